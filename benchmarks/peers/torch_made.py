"""MADE in PyTorch with the usual structure: linear layers whose weight is multiplied by a mask at every call."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.cases import Contestant
from benchmarks.peers.masks import made_masks, random_bits
from benchmarks.peers.torch_side import torch_or_unavailable
from benchmarks.timing import Call

NUM_BATCHES = 10


def build(
    event_size: int,
    hidden_units: Sequence[int],
    batch_size: int,
    *,
    num_masks: int = 1,
    order: str = "natural",
    seed: int = 0,
    use_compile: bool = True,
) -> Contestant:
    """The PyTorch peer: `log_prob` and `train_step`; it has no sampler of its own.

    With `num_masks` > 1 the masks are made once and kept, an update uses the next of them, and `log_prob` averages the
    probabilities of whole events over all of them.

    Raises:
        Unavailable: without PyTorch.
    """
    network, masks = make_network(event_size, hidden_units, num_masks=num_masks, order=order, seed=seed)
    x = random_bits(NUM_BATCHES * batch_size, event_size, seed)
    use_compile = use_compile and any(map(shutil.which, ("g++", "clang++")))
    return Contestant(
        operations={
            "log_prob": log_prob_calls(network, masks, x[:batch_size], use_compile=use_compile),
            "train_step": train_step_calls(network, masks, x, batch_size, use_compile=use_compile),
        },
        parameters=sum(parameter.numel() for parameter in network.parameters()),
    )


def make_network(
    event_size: int, hidden_units: Sequence[int], *, num_masks: int = 1, order: str = "natural", seed: int = 0
) -> tuple[Any, list[list[Any]]]:
    """A `torch.nn.ModuleList` of linear layers, and for each member of the ensemble the masks of its layers."""
    torch = torch_or_unavailable()
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    widths = [event_size, *hidden_units, event_size]
    network = torch.nn.ModuleList(torch.nn.Linear(inputs, outputs) for inputs, outputs in itertools.pairwise(widths))
    members = [made_masks(event_size, hidden_units, rng, order) for _ in range(num_masks)]
    return network, [[torch.from_numpy(mask) for mask in member] for member in members]


def log_prob_calls(
    network: Any, masks: list[list[Any]], x: np.ndarray, *, use_compile: bool = False
) -> dict[str, Call]:
    """Log-probabilities of `x`, `[B]`, averaged over the masks as probabilities."""
    torch = torch_or_unavailable()
    batch, num_masks = torch.from_numpy(x), len(masks)

    def make(losses: Callable[..., Any]) -> Call:
        @torch.inference_mode()
        def log_prob() -> np.ndarray:
            members = [-losses(batch, member) for member in masks]
            if num_masks == 1:
                return members[0].numpy()
            return (torch.logsumexp(torch.stack(members), 0) - np.log(num_masks)).numpy()

        return log_prob

    return {mode: make(losses) for mode, losses in _losses(network, use_compile).items()}


def train_step_calls(
    network: Any, masks: list[list[Any]], x: np.ndarray, batch_size: int, *, use_compile: bool = False
) -> dict[str, Call]:
    """One update of Adam (PyTorch's fused one, the fastest) on the next slice of `x`."""
    torch = torch_or_unavailable()
    batches, members = itertools.cycle(torch.from_numpy(x).split(batch_size)), itertools.cycle(masks)

    def make(losses: Callable[..., Any]) -> Call:
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)

        def step() -> float:
            optimizer.zero_grad(set_to_none=True)
            loss = losses(next(batches), next(members)).mean()
            loss.backward()
            optimizer.step()
            return loss.item()

        return step

    return {mode: make(losses) for mode, losses in _losses(network, use_compile).items()}


def _losses(network: Any, use_compile: bool) -> dict[str, Callable[..., Any]]:
    """`(x, masks) -> [B]` negative log-likelihoods, as written and compiled."""
    torch = torch_or_unavailable()
    linear, cross_entropy = torch.nn.functional.linear, torch.nn.functional.binary_cross_entropy_with_logits

    def losses(x: Any, masks: list[Any]) -> Any:
        hidden = x
        for layer, mask in zip(network[:-1], masks[:-1], strict=True):
            hidden = torch.relu(linear(hidden, layer.weight * mask, layer.bias))
        logits = linear(hidden, network[-1].weight * masks[-1], network[-1].bias)
        return cross_entropy(logits, x, reduction="none").sum(-1)

    return {"eager": losses, "torch.compile": torch.compile(losses)} if use_compile else {"eager": losses}
