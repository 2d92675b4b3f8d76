"""What the PyTorch peers share: the library itself, log-probabilities, and one update of Adam."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.cases import Unavailable
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
