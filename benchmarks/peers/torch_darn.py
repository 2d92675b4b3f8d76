"""DARN of one layer of latent bits in PyTorch, written plainly: the bound, the half estimator, and a sampler bit by bit."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from benchmarks.cases import Contestant
from benchmarks.peers.masks import random_bits
from benchmarks.peers.torch_side import contestant, torch_or_unavailable
from benchmarks.timing import Call

NUM_BATCHES = 10


def build(event_size: int, latent_units: int, batch_size: int, *, seed: int = 0) -> Contestant:
    """The PyTorch peer: `elbo`, under the name of the operation `log_prob`, `sample` and `train_step`.

    Raises:
        Unavailable: without PyTorch.
    """
    network = make_network(event_size, latent_units, seed=seed)
    x = random_bits(NUM_BATCHES * batch_size, event_size, seed)
    return contestant(network, losses, sample_call(network, batch_size), x, batch_size)


def make_network(event_size: int, latent_units: int, *, seed: int = 0) -> Any:
    """A `torch.nn.ParameterDict`: prior `h`, `bh`; decoder `x`, `u`, `bx`; encoder `q`, `bq`."""
    torch = torch_or_unavailable()
    torch.manual_seed(seed)
    shapes = {
        "h": (latent_units, latent_units),
        "x": (event_size, event_size),
        "u": (event_size, latent_units),
        "q": (latent_units, event_size),
    }
    kernels = {name: torch.nn.init.xavier_uniform_(torch.empty(shape)) for name, shape in shapes.items()}
    biases = {"bh": latent_units, "bx": event_size, "bq": latent_units}
    return torch.nn.ParameterDict({**kernels, **{name: torch.zeros(size) for name, size in biases.items()}})


def losses(network: Any, x: Any, uniform: Any = None) -> Any:
    """Negative bounds `[B]` with the closed entropy of q, whose gradients are those of the half estimator."""
    torch = torch_or_unavailable()
    cross_entropy = functools.partial(torch.nn.functional.binary_cross_entropy_with_logits, reduction="none")
    logits = torch.nn.functional.linear(x, network["q"], network["bq"])
    uniform = torch.rand_like(logits) if uniform is None else uniform
    bits = (uniform >= torch.sigmoid(-logits)).float().detach()
    factor = 0.5 * torch.sigmoid((1 - 2 * bits) * logits).detach()
    h = bits + factor * (logits - logits.detach())
    prior = torch.nn.functional.linear(h, network["h"].tril(-1), network["bh"])
    decoder = torch.nn.functional.linear(x, network["x"].tril(-1), network["bx"]) + h @ network["u"].t()
    entropy = torch.nn.functional.softplus(logits) - logits * torch.sigmoid(logits)
    return (cross_entropy(prior, h).sum(-1) - entropy.sum(-1)) + cross_entropy(decoder, x).sum(-1)


def sample_call(network: Any, batch_size: int) -> Call:
    """A batch of samples, `[B, D]`: the bits of the latent one by one, then those of the event."""
    torch = torch_or_unavailable()

    def layer(kernel: Any, logits: Any) -> Any:
        bits = torch.zeros_like(logits)
        for site in range(logits.shape[1]):
            logit = logits[:, site] + bits[:, :site] @ kernel[site, :site]
            bits[:, site] = torch.bernoulli(torch.sigmoid(logit))
        return bits

    @torch.inference_mode()
    def sample() -> np.ndarray:
        h = layer(network["h"], network["bh"].expand(batch_size, -1))
        return layer(network["x"], network["bx"] + h @ network["u"].t()).numpy()

    return sample
