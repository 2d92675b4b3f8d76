"""The Video Pixel Network in PyTorch with the usual structure: sampling takes a whole pass of the decoder for each pixel."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.cases import Contestant
from benchmarks.peers.masks import random_bits
from benchmarks.peers.torch_pixel_cnn import masked_conv
from benchmarks.peers.torch_side import log_prob_call, torch_or_unavailable, train_step_call
from benchmarks.timing import Call

NUM_BATCHES = 10
DILATIONS = (1, 2, 4, 8)


def residual_block(filters: int, dilation: int = 1, *, masked: bool) -> Any:
    """Returns two multiplicative units between 1x1 convolutions, a function of `2 * filters` features to as many."""
    torch = torch_or_unavailable()
    nn, width = torch.nn, 2 * filters

    class Unit(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            if masked:
                self.gates = masked_conv(filters, 4 * filters, 3, causal=False)
            else:
                self.gates = nn.Conv2d(filters, 4 * filters, 3, padding=dilation, dilation=dilation)

        def forward(self, h: Any) -> Any:
            first, second, third, update = self.gates(h).chunk(4, dim=1)
            inside = torch.sigmoid(second) * h + torch.sigmoid(third) * torch.tanh(update)
            return torch.sigmoid(first) * torch.tanh(inside)

    return nn.Sequential(nn.Conv2d(width, filters, 1), Unit(), Unit(), nn.Conv2d(filters, width, 1))


def make_network(
    filters: int, num_encoder_blocks: int, num_decoder_blocks: int, lstm_filters: int, seed: int = 0
) -> Any:
    """The network of `tfar.VideoPixelNetwork` for binary videos `[B, T, H, W]`: `encode(x)` and `decode(frames, context)`."""
    torch = torch_or_unavailable()
    torch.manual_seed(seed)
    nn, width = torch.nn, 2 * filters

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(1, width, 3, padding=1)
            self.encoder = nn.ModuleList(
                residual_block(filters, DILATIONS[n % 4], masked=False) for n in range(num_encoder_blocks)
            )
            self.input = nn.Conv2d(width, 4 * lstm_filters, 3, padding=1)
            self.state = nn.Conv2d(lstm_filters, 4 * lstm_filters, 3, padding=1, bias=False)
            self.masked = masked_conv(1, width, 7, causal=True)
            self.context = nn.Conv2d(lstm_filters, num_decoder_blocks * width, 1, bias=False)
            self.decoder = nn.ModuleList(residual_block(filters, masked=True) for _ in range(num_decoder_blocks))
            relus = [nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, 1, 1)]
            self.outputs = nn.Sequential(*relus)

        def encode(self, x: Any) -> Any:
            """States before each frame, `[B T, k, H, W]`."""
            features = self.first(x[:, :-1].flatten(0, 1)[:, None])
            for part in self.encoder:
                features = features + part(features)
            steps = self.input(features).unflatten(0, (len(x), -1)).unbind(1)
            h = c = torch.zeros(len(x), lstm_filters, *x.shape[2:])
            states = [h]
            for gates in steps:
                o, f, i, g = (gates + self.state(h)).chunk(4, dim=1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
                states.append(h)
            return torch.stack(states, dim=1).flatten(0, 1)

        def decode(self, frames: Any, context: Any) -> Any:
            """Logits `[B, 1, H, W]` of frames `[B, 1, H, W]`."""
            features, parts = self.masked(frames), self.context(context).chunk(num_decoder_blocks, dim=1)
            for part, added in zip(self.decoder, parts, strict=True):
                features = features + added
                features = features + part(features)
            return self.outputs(features)

        def forward(self, x: Any) -> Any:
            return self.decode(x.flatten(0, 1)[:, None], self.encode(x)).view_as(x)

    return Network()


def losses(network: Any, x: Any) -> Any:
    """Negative log-probability of each video."""
    nll = torch_or_unavailable().nn.functional.binary_cross_entropy_with_logits(network(x), x, reduction="none")
    return nll.flatten(1).sum(1)


def build(video: Sequence[int], batch_size: int, *, one_pixel: str, **sizes: int) -> Contestant:
    """`log_prob`, `train_step`, and under the name `one_pixel` a pass of the decoder, with the draw of one pixel."""
    network = make_network(**sizes)
    x = random_bits(NUM_BATCHES * batch_size, math.prod(video), 0).reshape(-1, *video)
    own = functools.partial(losses, network)
    operations = {
        "log_prob": {"eager": log_prob_call(own, x[:batch_size])},
        one_pixel: {"eager": one_pixel_call(network, x[:batch_size])},
        "train_step": {"eager": train_step_call(network, own, x, batch_size)},
    }
    return Contestant(operations, parameters=sum(parameter.numel() for parameter in network.parameters()))


def one_pixel_call(network: Any, x: np.ndarray) -> Call:
    """Draws the last pixel of the last frame, whose state is known."""
    torch = torch_or_unavailable()
    with torch.inference_mode():
        frames = torch.from_numpy(x)[:, -1:].clone()
        context = network.encode(torch.from_numpy(x)).unflatten(0, (len(x), -1))[:, -1].clone()

    @torch.inference_mode()
    def sample() -> np.ndarray:
        probs = torch.sigmoid(network.decode(frames, context)[:, 0, -1, -1])
        frames[:, 0, -1, -1] = torch.bernoulli(probs)
        return frames.numpy()

    return sample
