"""PixelCNN and Gated PixelCNN in PyTorch with the usual structure: masked kernels, whole passes, no cache in sampling."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.cases import Contestant
from benchmarks.peers.masks import random_bits
from benchmarks.peers.torch_side import log_prob_call, torch_or_unavailable, train_step_call
from benchmarks.timing import Call

NUM_BATCHES = 10


def build(network: Any, image: Sequence[int], batch_size: int, *, sample: bool = True, seed: int = 0) -> Contestant:
    """`log_prob`, `train_step` and, unless it takes minutes, `sample` of a network over images, as written; it is fed bits.

    Args:
        network: what `make_pixel_cnn` or `make_gated_pixel_cnn` returned.
        image: height and width.
        batch_size: int.
        sample: bool. Whether to sample: a whole pass for each pixel.
        seed: int. Of the data.
    """
    shape = (network.channels, *image)
    x = random_bits(NUM_BATCHES * batch_size, math.prod(shape), seed).reshape(-1, *shape)
    operations = {
        "log_prob": {"eager": log_prob_call(functools.partial(losses, network), x[:batch_size])},
        "train_step": {"eager": train_step_call(network, functools.partial(losses, network), x, batch_size)},
    }
    if sample:
        operations["sample"] = {"eager": sample_call(network, (batch_size, *shape))}
    return Contestant(operations, parameters=sum(parameter.numel() for parameter in network.parameters()))


# Networks ------------------------------------------------------------------------------------------------------------


def masked_conv(inputs: int, outputs: int, kernel_size: int, *, causal: bool, groups: int = 1) -> Any:
    """A convolution whose weights are multiplied by the mask in every pass; causal: a group does not see its own values."""
    torch = torch_or_unavailable()

    class MaskedConv(torch.nn.Conv2d):
        def __init__(self) -> None:
            super().__init__(inputs, outputs, kernel_size, padding=kernel_size // 2)
            centre, mask = kernel_size // 2, torch.ones(outputs, inputs, kernel_size, kernel_size)
            mask[:, :, centre, centre + 1 :] = 0.0
            mask[:, :, centre + 1 :] = 0.0
            of_inputs, of_outputs = (torch.arange(n) * groups // n for n in (inputs, outputs))
            mask[:, :, centre, centre] = (of_inputs + causal <= of_outputs[:, None]).float()
            self.register_buffer("mask", mask)

        def forward(self, x: Any) -> Any:
            return self._conv_forward(x, self.weight * self.mask, self.bias)

    return MaskedConv()


def make_pixel_cnn(filters: int, num_blocks: int, *, channels: int = 1, levels: int = 2, seed: int = 0) -> Any:
    """7x7 A, so many 3x3 B after ReLUs, and 1x1 to a logit or to the logits of all levels of each channel."""
    torch = torch_or_unavailable()
    torch.manual_seed(seed)
    params = channels * (1 if levels == 2 else levels)
    conv = functools.partial(masked_conv, groups=channels)
    layers = [conv(channels, filters, 7, causal=True)]
    for _ in range(num_blocks):
        layers += [torch.nn.ReLU(), conv(filters, filters, 3, causal=False)]
    network = torch.nn.Sequential(*layers, torch.nn.ReLU(), conv(filters, params, 1, causal=False))
    network.channels, network.levels = channels, levels
    return network


def gated_block(filters: int, inputs: int, size: int, latent_dim: int, *, first: bool, last: bool) -> Any:
    """Returns a block of two stacks: `(above, left, latent)` to the features of both stacks and of the skip connection.

    The first block shifts its inputs by a row and by a column. The last one has no residual connection.
    """
    nn, pad = torch_or_unavailable().nn, torch_or_unavailable().nn.functional.pad

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.reach = size // 2
            self.vertical = nn.Conv2d(inputs, 2 * filters, (size // 2 + (not first), size))
            self.link = nn.Conv2d(2 * filters, 2 * filters, 1, bias=False)
            self.horizontal = nn.Conv2d(inputs, 2 * filters, (1, size // 2 + (not first)))
            self.skip = nn.Conv2d(filters, filters, 1)
            self.residual = None if last else nn.Conv2d(filters, filters, 1)
            self.condition = nn.Linear(latent_dim, 4 * filters, bias=False) if latent_dim else None

        def forward(self, above: Any, left: Any, latent: Any = None) -> tuple[Any, Any, Any]:
            reach, before = self.reach, left
            if first:
                above, before = above[:, :, :-1], left[:, :, :, :-1]
            above = self.vertical(pad(above, (reach, reach, reach, 0)))
            before = self.horizontal(pad(before, (reach, 0)))
            if self.condition is not None:
                added = self.condition(latent)[:, :, None, None]
                above, before = above + added[:, : 2 * filters], before + added[:, 2 * filters :]
            gated = gate(before + self.link(above))
            if self.residual is not None:
                left = self.residual(gated) + (0.0 if first else left)
            return gate(above), left, self.skip(gated)

    return Block()


def gate(features: Any) -> Any:
    """Returns tanh of the first half of the channels times the sigmoid of the second half."""
    torch = torch_or_unavailable()
    a, b = features.chunk(2, dim=1)
    return torch.tanh(a) * torch.sigmoid(b)


def make_gated_pixel_cnn(
    filters: int, num_blocks: int, output_filters: int, *, size: int = 3, latent_dim: int = 0, seed: int = 0
) -> Any:
    """A block of 7x7, so many of `size` x `size` with two stacks, skip connections, and two 1x1 to a logit.

    The network takes a latent `[B, latent_dim]` beside the image, if there is one: it enters both stacks of every block.
    """
    torch = torch_or_unavailable()
    torch.manual_seed(seed)
    nn = torch.nn

    class Gated(nn.Module):
        channels, levels = 1, 2

        def __init__(self) -> None:
            super().__init__()
            sizes = [(1, 7)] + [(filters, size)] * num_blocks
            self.blocks = nn.ModuleList(
                gated_block(filters, inputs, width, latent_dim, first=i == 0, last=i == num_blocks)
                for i, (inputs, width) in enumerate(sizes)
            )
            relu, hidden = nn.ReLU(), nn.Conv2d(filters, output_filters, 1)
            self.head = nn.Sequential(relu, hidden, nn.ReLU(), nn.Conv2d(output_filters, 1, 1))

        def forward(self, x: Any, latent: Any = None) -> Any:
            above, left, total = x, x, 0.0
            for block in self.blocks:
                above, left, skipped = block(above, left, latent)
                total = total + skipped
            return self.head(total)

    return Gated()


# Operations ----------------------------------------------------------------------------------------------------------


def losses(network: Any, x: Any) -> Any:
    """Negative log-likelihoods `[B]` of bits, or of levels 0, 1, ..., which the network sees as -1 .. 1."""
    functional = torch_or_unavailable().nn.functional
    if network.levels == 2:
        found = functional.binary_cross_entropy_with_logits(network(x), x, reduction="none")
    else:
        logits = network(x * (2.0 / (network.levels - 1)) - 1.0).unflatten(1, (network.channels, network.levels))
        found = functional.cross_entropy(logits.transpose(1, 2), x.long(), reduction="none")
    return found.sum((1, 2, 3))


def sample_call(network: Any, shape: tuple[int, int, int, int]) -> Call:
    """A batch of binary samples of a shape, by a whole pass for each pixel."""
    torch = torch_or_unavailable()

    @torch.inference_mode()
    def sample() -> np.ndarray:
        x = torch.zeros(shape)
        for r, c in itertools.product(range(shape[2]), range(shape[3])):
            x[:, :, r, c] = torch.bernoulli(torch.sigmoid(network(x)[:, :, r, c]))
        return x.numpy()

    return sample
