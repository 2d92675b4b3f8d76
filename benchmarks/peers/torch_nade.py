"""NADE in PyTorch with the usual structure: a Python loop over the sites that carries the activations of the hidden units."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from benchmarks.cases import Contestant
from benchmarks.peers.masks import random_bits
from benchmarks.peers.torch_side import torch_or_unavailable, train_step_call
from benchmarks.timing import Call

NUM_BATCHES = 10


def build(event_size: int, hidden_units: int, batch_size: int, *, seed: int = 0) -> Contestant:
    """The PyTorch peer: `log_prob`, `sample` and `train_step`, as written (a loop of this length is not for `torch.compile`).

    Raises:
        Unavailable: without PyTorch.
    """
    network = make_network(event_size, hidden_units, seed=seed)
    x = random_bits(NUM_BATCHES * batch_size, event_size, seed)
    return Contestant(
        operations={
            "log_prob": {"eager": log_prob_call(network, x[:batch_size])},
            "sample": {"eager": sample_call(network, batch_size)},
            "train_step": {"eager": train_step_call(network, functools.partial(losses, network), x, batch_size)},
        },
        parameters=sum(parameter.numel() for parameter in network.parameters()),
    )


def make_network(event_size: int, hidden_units: int, *, seed: int = 0) -> Any:
    """A `torch.nn.ParameterDict` of `w [D, H]`, `c [H]`, `v [D, H]` and `b [D]`."""
    torch = torch_or_unavailable()
    torch.manual_seed(seed)
    kernels = {name: torch.empty(event_size, hidden_units) for name in ("w", "v")}
    for kernel in kernels.values():
        torch.nn.init.xavier_uniform_(kernel)
    return torch.nn.ParameterDict({**kernels, "c": torch.zeros(hidden_units), "b": torch.zeros(event_size)})


def logits_of(network: Any, x: Any) -> Any:
    """Logits `[B, D]` of bits `x [B, D]`, a site after the other."""
    torch = torch_or_unavailable()
    activations, logits = network["c"].expand(len(x), -1), []
    for d in range(x.shape[1]):
        logits.append(torch.sigmoid(activations) @ network["v"][d] + network["b"][d])
        activations = activations + x[:, d : d + 1] * network["w"][d]
    return torch.stack(logits, dim=1)


def losses(network: Any, x: Any) -> Any:
    """Negative log-likelihoods `[B]`."""
    cross_entropy = torch_or_unavailable().nn.functional.binary_cross_entropy_with_logits
    return cross_entropy(logits_of(network, x), x, reduction="none").sum(-1)


def log_prob_call(network: Any, x: np.ndarray) -> Call:
    """Log-probabilities of `x`, `[B]`."""
    torch = torch_or_unavailable()
    batch = torch.from_numpy(x)

    @torch.inference_mode()
    def log_prob() -> np.ndarray:
        return -losses(network, batch).numpy()

    return log_prob


def sample_call(network: Any, batch_size: int) -> Call:
    """A batch of samples, `[B, D]`."""
    torch = torch_or_unavailable()

    @torch.inference_mode()
    def sample() -> np.ndarray:
        activations, sites = network["c"].expand(batch_size, -1), []
        for d in range(len(network["b"])):
            probs = torch.sigmoid(torch.sigmoid(activations) @ network["v"][d] + network["b"][d])
            sites.append(torch.bernoulli(probs))
            activations = activations + sites[-1][:, None] * network["w"][d]
        return torch.stack(sites, dim=1).numpy()

    return sample
