"""WaveNet in PyTorch with the structure of the public generator that caches: https://github.com/r9y9/wavenet_vocoder.

A generator step calls the layers one after the other. Each dilated layer keeps a buffer of its last inputs. A step shifts this
buffer by one and multiplies the taps by the kernel as one matrix.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.cases import Contestant
from benchmarks.peers.torch_side import contestant, torch_or_unavailable
from benchmarks.timing import Call

NUM_BATCHES = 4


def random_levels(rows: int, length: int, levels: int, seed: int = 0) -> np.ndarray:
    """Returns independent levels 0 .. levels - 1, float32 `[rows, length]`."""
    return np.random.default_rng(seed).integers(0, levels, size=(rows, length)).astype(np.float32)


def build(network: Any, length: int, batch_size: int, *, seed: int = 0) -> Contestant:
    """Returns `log_prob`, `train_step` and `sample` of a network, as written."""
    x = random_levels(NUM_BATCHES * batch_size, length, network.levels, seed)
    return contestant(network, losses, sample_call(network, batch_size, length), x, batch_size)


def make_network(
    filters: int, *, skip_filters: int, num_layers: int, num_stacks: int, levels: int = 256, seed: int = 0
) -> Any:
    """Returns a network over levels with kernels of size 2: forward `[B, T]` to logits `[B, levels, T]`."""
    torch = torch_or_unavailable()
    torch.manual_seed(seed)
    nn, pad = torch.nn, torch.nn.functional.pad

    class WaveNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.levels, self.dilations = levels, [2**i for i in range(num_layers)] * num_stacks
            self.first = nn.Conv1d(levels, filters, 2)
            self.dilated = nn.ModuleList(nn.Conv1d(filters, 2 * filters, 2, dilation=d) for d in self.dilations)
            self.residual = nn.ModuleList(nn.Conv1d(filters, filters, 1) for _ in self.dilations[:-1])
            self.skip = nn.ModuleList(
                nn.Conv1d(filters, skip_filters, 1, bias=i == 0) for i in range(len(self.dilations))
            )
            self.output, self.params = nn.Conv1d(skip_filters, skip_filters, 1), nn.Conv1d(skip_filters, levels, 1)

        def one_hot(self, x: Any) -> Any:
            return nn.functional.one_hot(x.long(), levels).float()

        def forward(self, x: Any) -> Any:
            features = self.first(pad(self.one_hot(x[:, :-1]).transpose(1, 2), (2, 0)))
            return self.after_first(features, lambda i, h: self.dilated[i](pad(h, (self.dilations[i], 0))))

        def after_first(self, features: Any, dilated: Any) -> Any:
            """Maps features `[B, filters, T]` to logits; `dilated(i, features)` is dilated layer i."""
            total = 0.0
            for i, skip in enumerate(self.skip):
                a, b = dilated(i, features).chunk(2, dim=1)
                gated = torch.tanh(a) * torch.sigmoid(b)
                total = total + skip(gated)
                if i < len(self.residual):
                    features = features + self.residual[i](gated)
            return self.params(torch.relu(self.output(torch.relu(total))))

    return WaveNet()


def losses(network: Any, x: Any) -> Any:
    """Returns negative log-likelihoods `[B]` of levels `[B, T]`."""
    return torch_or_unavailable().nn.functional.cross_entropy(network(x), x.long(), reduction="none").sum(1)


def buffers_of(network: Any, batch_size: int) -> list[Any]:
    """Returns the buffers of the first layer and of all dilated layers before the first step, zeros."""
    torch = torch_or_unavailable()
    sizes = [(2, network.levels), *((dilation + 1, network.first.out_channels) for dilation in network.dilations)]
    return [torch.zeros(batch_size, *size) for size in sizes]


def step(network: Any, inputs: Any, buffers: list[Any]) -> Any:
    """Maps the one-hot vectors of the previous time, `[B, levels]`, to logits `[B, levels]`, and shifts the buffers."""
    features = shifted(network.first, buffers[0], inputs)
    logits = network.after_first(
        features[..., None], lambda i, h: shifted(network.dilated[i], buffers[i + 1], h[..., 0])[..., None]
    )
    return logits[..., 0]


def shifted(layer: Any, buffer: Any, x: Any) -> Any:
    """Returns the output of a layer for its next input x, which takes the last place of the buffer."""
    buffer[:, :-1] = buffer[:, 1:].clone()
    buffer[:, -1] = x
    taps = buffer[:, :: buffer.shape[1] - 1].flatten(1)
    return torch_or_unavailable().nn.functional.linear(taps, layer.weight.transpose(1, 2).flatten(1), layer.bias)


def sample_call(network: Any, batch_size: int, length: int, forced: np.ndarray | None = None) -> Call:
    """Returns a function that draws levels `[B, length]`; with `forced` levels it returns their log-probabilities instead."""
    torch = torch_or_unavailable()

    @torch.inference_mode()
    def sample() -> np.ndarray:
        buffers, inputs = buffers_of(network, batch_size), torch.zeros(batch_size, network.levels)
        levels, log_probs = [], torch.zeros(batch_size)
        for t in range(length):
            conditional = torch.distributions.Categorical(logits=step(network, inputs, buffers))
            level = conditional.sample() if forced is None else torch.from_numpy(forced[:, t])
            log_probs = log_probs + conditional.log_prob(level)
            levels.append(level)
            inputs = network.one_hot(level)
        return (torch.stack(levels, dim=1) if forced is None else log_probs).numpy()

    return sample
