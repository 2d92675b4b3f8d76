"""NADE in PyTorch with the structure of pytorch-generative's: one Python loop over the sites that scores and samples at once.

The package (https://github.com/EugenHotaj/pytorch-generative, `NADE`) is not on the package index, so its design is written again
here: rectified units, kernels of the inputs stored `[H, D]` of which a step takes a column, the probability of each site by a
product of matrices, and a draw at every site, which is kept where the site has no value yet.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.cases import Contestant
from benchmarks.peers.masks import random_bits
from benchmarks.peers.torch_side import contestant, torch_or_unavailable
from benchmarks.timing import Call

NUM_BATCHES = 10
# The value of a site that is to be drawn.
UNKNOWN = -1.0


def build(event_size: int, hidden_units: int, batch_size: int, *, seed: int = 0) -> Contestant:
    """The PyTorch peer: `log_prob`, `sample` and `train_step`, as written (a loop of this length is not for `torch.compile`).

    Raises:
        Unavailable: without PyTorch.
    """
    network = make_network(event_size, hidden_units, seed=seed)
    x = random_bits(NUM_BATCHES * batch_size, event_size, seed)
    return contestant(network, losses, sample_call(network, batch_size), x, batch_size)


def make_network(event_size: int, hidden_units: int, *, seed: int = 0) -> Any:
    """A `torch.nn.ParameterDict` of `w [H, D]`, `c [H]`, `v [D, H]` and `b [D]`."""
    torch = torch_or_unavailable()
    torch.manual_seed(seed)
    kernels = {"w": torch.empty(hidden_units, event_size), "v": torch.empty(event_size, hidden_units)}
    for kernel in kernels.values():
        torch.nn.init.kaiming_normal_(kernel)
    return torch.nn.ParameterDict({**kernels, "c": torch.zeros(hidden_units), "b": torch.zeros(event_size)})


def forward(network: Any, x: Any) -> tuple[Any, Any]:
    """Probabilities `[B, D]` of ones, a site after the other, and `x` with draws where it is `UNKNOWN`."""
    torch = torch_or_unavailable()
    activations, probs, sites = network["c"].expand(len(x), -1), [], []
    for d in range(x.shape[1]):
        one = slice(d, d + 1)
        prob = torch.sigmoid(torch.relu(activations) @ network["v"][one].t() + network["b"][one])
        drawn = torch.distributions.Bernoulli(probs=prob).sample()
        site = torch.where(x[:, one] < 0, drawn, x[:, one])
        activations = activations + site @ network["w"][:, one].t()
        probs.append(prob)
        sites.append(site)
    return torch.cat(probs, dim=1), torch.cat(sites, dim=1)


def losses(network: Any, x: Any) -> Any:
    """Negative log-likelihoods `[B]`."""
    cross_entropy = torch_or_unavailable().nn.functional.binary_cross_entropy
    return cross_entropy(forward(network, x)[0], x, reduction="none").sum(-1)


def sample_call(network: Any, batch_size: int) -> Call:
    """A batch of samples, `[B, D]`."""
    torch = torch_or_unavailable()
    unknown = torch.full((batch_size, len(network["b"])), UNKNOWN)

    @torch.inference_mode()
    def sample() -> np.ndarray:
        return forward(network, unknown)[1].numpy()

    return sample
