"""Row LSTM and Diagonal BiLSTM in PyTorch with the usual structure: a loop over rows or diagonals, whole passes in sampling.

Both have the form of the paper; the Diagonal BiLSTM is skewed by padding and loops over its diagonals, both directions at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.peers.torch_pixel_cnn import masked_conv
from benchmarks.peers.torch_side import torch_or_unavailable


def make_pixel_rnn(filters: int, num_layers: int, output_filters: int, *, diagonal: bool, seed: int = 0) -> Any:
    """7x7 A, residual LSTMs of so many features, and two 1x1 to a logit; the Row LSTM has kernels of 3 pixels along rows."""
    torch = torch_or_unavailable()
    torch.manual_seed(seed)
    nn = torch.nn
    first, relu = masked_conv(1, 2 * filters, 7, causal=True), nn.ReLU()
    outputs = [relu, nn.Conv2d(2 * filters, output_filters, 1), nn.ReLU(), nn.Conv2d(output_filters, 1, 1)]
    network = nn.Sequential(first, *[residual_lstm(filters, diagonal=diagonal) for _ in range(num_layers)], *outputs)
    network.channels, network.levels = 1, 2
    return network


def residual_lstm(filters: int, *, diagonal: bool) -> Any:
    """Returns an LSTM over rows, or two over diagonals, with a residual connection around it."""
    torch = torch_or_unavailable()
    nn, directions, taps = torch.nn, 1 + diagonal, 3 - diagonal

    class LSTM(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            gates = 4 * directions * filters
            self.inputs = nn.Conv2d(2 * filters, gates, 1) if diagonal else nn.Conv2d(2 * filters, gates, (1, 2))
            self.kernel = nn.Parameter(torch.randn(directions, taps * filters, 4 * filters) * (taps * filters) ** -0.5)
            self.initial = nn.Parameter(torch.zeros(directions, 2, filters))
            self.output = nn.Conv2d(filters, 2 * filters, 1)

        def forward(self, x: Any) -> Any:
            gates = self.inputs(x if diagonal else nn.functional.pad(x, (1, 0)))
            return x + self.output(self.diagonals(gates) if diagonal else self.rows(gates))

        def rows(self, gates: Any) -> Any:
            steps = gates.permute(2, 0, 3, 1)[:, None]  # [H, 1, B, W, 4 h]
            hidden = torch.stack(scan(steps.unbind(), self.kernel, self.initial, (-1, 0, 1)))[:, 0]
            return hidden.permute(1, 3, 0, 2)

        def diagonals(self, gates: Any) -> Any:
            size, (height, width) = gates.shape[0], gates.shape[2:]
            left, right = gates.chunk(2, dim=1)
            both = nn.functional.pad(torch.stack([left, right.flip(3)]), (0, height)).flatten(3)
            both = both[..., : height * (height + width - 1)].unflatten(3, (height, height + width - 1))
            steps = both.permute(4, 0, 1, 3, 2).contiguous().unbind()
            hidden = scan(steps, self.kernel, self.initial, (0, -1), grows=True)
            skewed = torch.stack(hidden).permute(1, 2, 4, 3, 0).flatten(3)
            left, right = nn.functional.pad(skewed, (0, height)).unflatten(3, (height, height + width))[..., :width]
            first = self.initial[1, 0][None, :, None, None].expand(size, filters, 1, width)
            return left + torch.cat([first, right.flip(3)[:, :, :-1]], dim=2)

    return LSTM()


def scan(steps: Sequence[Any], kernel: Any, initial: Any, offsets: Sequence[int], *, grows: bool = False) -> list[Any]:
    """Returns the hidden states after each row or diagonal.

    Args:
        steps: the contributions of the inputs to the gates, `[directions, B, cells, 4 h]` each.
        kernel: `[directions, offsets h, 4 h]`.
        initial: `[directions, 2, h]`, the hidden state and the cell state outside the picture.
        offsets: places of the earlier cells that a cell sees, relative to its own.
        grows: whether each step has one cell more within the picture than the step before, as diagonals do at first.
    """
    torch = torch_or_unavailable()
    shape, found = (*steps[0].shape[:3], initial.shape[-1]), []
    first_h, first_c = (initial[:, number, None, None].expand(shape) for number in (0, 1))
    h, c, rows = first_h, first_c, torch.arange(shape[2])[:, None]
    for t, inputs in enumerate(steps):
        edge = first_h[:, :, :1]
        padded = torch.cat([edge, h, edge], dim=2)
        seen = torch.cat([padded[:, :, 1 + offset : 1 + offset + shape[2]] for offset in offsets], dim=3)
        sums = inputs + torch.bmm(seen.flatten(1, 2), kernel).view_as(inputs)
        o, f, i, g = sums.chunk(4, dim=3)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        if grows and t < shape[2] - 1:
            h, c = torch.where(rows <= t, h, first_h), torch.where(rows <= t, c, first_c)
        found.append(h)
    return found
