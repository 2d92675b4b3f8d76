"""RNADE in PyTorch: a Python loop over the sites, as in the peer of NADE.

The equations are those of Uria, Murray and Larochelle (NIPS 2013, section 3) for values that are standardised already, with a
softplus in place of the exponential, as in tfar, so that both compute the same function.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from benchmarks.cases import Contestant
from benchmarks.peers.masks import random_reals
from benchmarks.peers.torch_side import contestant, torch_or_unavailable
from benchmarks.timing import Call

NUM_BATCHES = 10
MIN_SCALE = 1e-4


def build(event_size: int, hidden_units: int, num_components: int, batch_size: int, *, seed: int = 0) -> Contestant:
    """The PyTorch peer: `log_prob`, `sample` and `train_step`, as written (a loop of this length is not for `torch.compile`).

    Raises:
        Unavailable: without PyTorch.
    """
    network = make_network(event_size, hidden_units, num_components, seed=seed)
    x = random_reals(NUM_BATCHES * batch_size, event_size, seed)
    return contestant(network, losses, sample_call(network, batch_size), x, batch_size)


def make_network(event_size: int, hidden_units: int, num_components: int, *, seed: int = 0) -> Any:
    """A `torch.nn.ParameterDict` of `w [H, D]`, `c [H]`, `rho [D]`, `v [D, 3 K, H]` and `b [D, 3 K]`."""
    torch = torch_or_unavailable()
    torch.manual_seed(seed)
    kernels = {
        "w": torch.empty(hidden_units, event_size),
        "v": torch.empty(event_size, 3 * num_components, hidden_units),
    }
    for kernel in kernels.values():
        torch.nn.init.kaiming_normal_(kernel)
    others = {"c": torch.zeros(hidden_units), "rho": torch.ones(event_size)}
    return torch.nn.ParameterDict({**kernels, **others, "b": torch.zeros(event_size, 3 * num_components)})


def conditional(network: Any, activations: Any, d: int) -> tuple[Any, Any, Any]:
    """Logits, means and deviations of the components of site `d`, `[B, K]` each."""
    torch = torch_or_unavailable()
    hidden = torch.relu(network["rho"][d] * activations)
    logits, means, raw = (hidden @ network["v"][d].t() + network["b"][d]).chunk(3, dim=1)
    return logits, means, MIN_SCALE + torch.nn.functional.softplus(raw)


def with_site(network: Any, activations: Any, site: Any, d: int) -> Any:
    """The activations after the values `[B, 1]` of site `d`."""
    return activations + site @ network["w"][:, d : d + 1].t()


def losses(network: Any, x: Any) -> Any:
    """Negative log-likelihoods `[B]`."""
    torch = torch_or_unavailable()
    activations, log_probs = network["c"].expand(len(x), -1), []
    for d in range(x.shape[1]):
        logits, means, scales = conditional(network, activations, d)
        site = x[:, d : d + 1]
        normal = -0.5 * ((site - means) / scales) ** 2 - torch.log(scales) - 0.5 * math.log(2 * math.pi)
        log_probs.append(torch.logsumexp(torch.log_softmax(logits, dim=1) + normal, dim=1))
        activations = with_site(network, activations, site, d)
    return -torch.stack(log_probs, dim=1).sum(1)


def sample_call(network: Any, batch_size: int) -> Call:
    """A batch of samples, `[B, D]`."""
    torch = torch_or_unavailable()

    @torch.inference_mode()
    def sample() -> np.ndarray:
        activations, sites = network["c"].expand(batch_size, -1), []
        for d in range(len(network["rho"])):
            logits, means, scales = conditional(network, activations, d)
            component = torch.distributions.Categorical(logits=logits).sample()[:, None]
            sites.append(torch.normal(means.gather(1, component), scales.gather(1, component)))
            activations = with_site(network, activations, sites[-1], d)
        return torch.cat(sites, dim=1).numpy()

    return sample
