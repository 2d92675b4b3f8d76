"""What the PyTorch peers share: the library itself, log-probabilities, one update of Adam, and a contestant of them."""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.cases import Contestant, Unavailable
from benchmarks.timing import Call


def torch_or_unavailable() -> Any:
    """The module `torch`, without Triton, which no call on a CPU needs.

    PyTorch's builds for GPUs bring Triton and import it with the first optimiser; in a process that has TensorFlow loaded the
    import is a segmentation fault.

    Raises:
        Unavailable: If it is not installed.
    """
    if "triton" not in sys.modules:
        sys.modules["triton"] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        import torch
    except ImportError as error:
        raise Unavailable("PyTorch is not installed (pip install torch)") from error
    return torch


def log_prob_call(losses: Callable[[Any], Any], x: np.ndarray) -> Call:
    """Log-probabilities of `x`, `[B]`; `losses` gives the negative log-probability of each row."""
    torch = torch_or_unavailable()
    batch = torch.from_numpy(x)

    @torch.inference_mode()
    def log_prob() -> np.ndarray:
        return -losses(batch).numpy()

    return log_prob


def train_step_call(network: Any, losses: Callable[[Any], Any], x: np.ndarray, batch_size: int) -> Call:
    """One update of Adam (PyTorch's fused one, the fastest) on the next slice of `x`; `losses` gives one number a row."""
    torch = torch_or_unavailable()
    batches = itertools.cycle(torch.from_numpy(x).split(batch_size))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = losses(next(batches)).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def contestant(
    network: Any, losses: Callable[[Any, Any], Any], sample: Call, x: np.ndarray, batch_size: int
) -> Contestant:
    """Returns `log_prob`, `sample` and `train_step` of a network, as written.

    Args:
        network: a module of PyTorch.
        losses: maps the network and rows to the negative log-probability, or a bound of it, of each row.
        sample: draws a batch.
        x: the rows of several batches.
        batch_size: int.
    """
    of_rows = functools.partial(losses, network)
    return Contestant(
        operations={
            "log_prob": {"eager": log_prob_call(of_rows, x[:batch_size])},
            "sample": {"eager": sample},
            "train_step": {"eager": train_step_call(network, of_rows, x, batch_size)},
        },
        parameters=sum(parameter.numel() for parameter in network.parameters()),
    )
