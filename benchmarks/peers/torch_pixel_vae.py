"""PixelVAE in PyTorch: convolutions to a latent, and the Gated PixelCNN of `torch_pixel_cnn` given it, in whole passes."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.cases import Contestant
from benchmarks.peers.masks import random_bits
from benchmarks.peers.torch_pixel_cnn import make_gated_pixel_cnn
from benchmarks.peers.torch_side import log_prob_call, torch_or_unavailable, train_step_call

NUM_BATCHES = 10


def make_pixel_vae(
    filters: int,
    num_blocks: int,
    size: int,
    latent_dim: int,
    stages: Sequence[int],
    image: Sequence[int],
    *,
    seed: int = 0,
) -> Any:
    """An encoder of two 3x3 a stage, the second of stride 2, to location and log scale, and the decoder given a latent."""
    torch = torch_or_unavailable()
    torch.manual_seed(seed)
    nn, layers, inputs = torch.nn, [], 1
    for width in stages:
        layers += [
            nn.Conv2d(inputs, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 2, padding=1),
            nn.ReLU(),
        ]
        inputs = width
    places = np.prod([-(-n // 2 ** len(stages)) for n in image])
    encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * int(places), 2 * latent_dim))
    decoder = make_gated_pixel_cnn(filters, num_blocks, filters, size=size, latent_dim=latent_dim, seed=seed)
    return nn.ModuleDict({"encoder": encoder, "decoder": decoder})


def losses(network: Any, x: Any, noise: Any = None) -> Any:
    """Negative bounds `[B]` of images of bits, with one latent each from standard normal `noise [B, latent_dim]`."""
    torch = torch_or_unavailable()
    loc, log_scale = network["encoder"](x).chunk(2, dim=1)
    noise = torch.randn_like(loc) if noise is None else noise
    z = loc + log_scale.exp() * noise
    divergence = (0.5 * z**2 - 0.5 * noise**2 - log_scale).sum(1)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(network["decoder"](x, z), x, reduction="none")
    return entropy.sum((1, 2, 3)) + divergence


def build(network: Any, image: Sequence[int], batch_size: int, *, sample: bool) -> Contestant:
    """`elbo`, under the name of the operation `log_prob`, `train_step`, and `sample` unless it takes minutes."""
    torch = torch_or_unavailable()
    shape = (1, *image)
    x = random_bits(NUM_BATCHES * batch_size, int(np.prod(shape)), 0).reshape(-1, *shape)

    @torch.inference_mode()
    def draw() -> np.ndarray:
        events = torch.zeros((batch_size, *shape))
        z = torch.randn(batch_size, network["encoder"][-1].out_features // 2)
        for r, c in itertools.product(*map(range, image)):
            events[:, :, r, c] = torch.bernoulli(torch.sigmoid(network["decoder"](events, z)[:, :, r, c]))
        return events.numpy()

    loss = functools.partial(losses, network)
    operations = {
        "log_prob": {"eager": log_prob_call(loss, x[:batch_size])},
        "train_step": {"eager": train_step_call(network, loss, x, batch_size)},
        **({"sample": {"eager": draw}} if sample else {}),
    }
    return Contestant(operations, parameters=sum(parameter.numel() for parameter in network.parameters()))
