"""PixelVAE, ICLR 2017 (Gulrajani et al.): speed and likelihoods, with all their settings."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from benchmarks import tfar_side
from benchmarks.cases import Contestant, LikelihoodCase, ModelCases, Settings, SpeedCase, Target
from benchmarks.models.pixel_cnn import PixelSettings, gated_pixel_cnn
from benchmarks.models.pixel_cnn import build_model as build_pixel_model
from benchmarks.peers import torch_pixel_vae
from benchmarks.ratios import ratio_to_fastest, ratio_within

OURS, TORCH = "tfar", "PyTorch"
MNIST, STAGES, LATENT_DIM = (28, 28), (32, 64, 64), 16
# Speed: the paper's decoder for binarised MNIST, 12 blocks of 5x5 of 16 features after the first; float32, two threads.
# `log_prob` is the bound of one latent: a pass of the encoder and one of the decoder.
PAPER, QUICK = {"filters": 16, "num_blocks": 12}, {"filters": 4, "num_blocks": 1}
SAMPLE_TO_BOUND, STEP_TO_TORCH = 2.5, 1.10


@dataclasses.dataclass(frozen=True)
class PixelVAESettings(PixelSettings):
    """Settings of a PixelVAE: those of its decoder, the features of the encoder's stages and the steps of the annealing."""

    hidden_units: tuple[int, ...] = (16,) * 4
    kernel_size: int = 5
    output_filters: tuple[int, ...] = (16, 16)
    latent_units: tuple[int, ...] = (LATENT_DIM,)
    condition: str = "upsample"
    encoder_filters: tuple[int, ...] = STAGES
    kl_annealing_steps: int = 10_000
    importance_samples: int = 500
    batch_size: int = 16
    max_epochs: int = 6
    decay_epochs: int = 3
    decay_factor: float = 0.6


# The paper's decoder has 12 blocks and takes the latent as a bias; it trains for 200,000 steps of 100 images and is scored with
# 1,000 latents. Decoders of few blocks need the upsampled latent. The two layers of the others are the first block and one more.
FOUR = PixelVAESettings()
TWO = dataclasses.replace(FOUR, hidden_units=(16,))
# An epoch without latents takes less time, so this model trains for twice as many.
TWO_WITHOUT = PixelSettings(
    **{
        field.name: getattr(TWO, field.name)
        for field in dataclasses.fields(PixelSettings)
        if "latent" not in field.name
    }
    | {"max_epochs": 2 * TWO.max_epochs, "decay_epochs": 2 * TWO.decay_epochs, "decay_factor": TWO.decay_factor**0.5}
)
# What an answer must show besides its bound: figures of `benchmarks.latent` with their limits.
USES_LATENTS = {
    "kl": (">=", 3.0),
    "kl_per_bit": ("<=", 25.0 / LATENT_DIM),
    "bound_gap": ("<=", 1.5),
    "probe_accuracy": (">=", 0.85),
}


def build_model(settings: PixelVAESettings, event_size: int) -> tuple[Any, Any]:
    """The distribution of a likelihood case and the `DensityModel` that trains it."""
    import tfar

    dist = tfar.PixelVAE(
        MNIST,
        settings.latent_units[0],
        filters=settings.hidden_units[0],
        num_blocks=len(settings.hidden_units),
        kernel_size=settings.kernel_size,
        output_filters=settings.output_filters,
        encoder_filters=settings.encoder_filters,
        condition=settings.condition,
        kl_annealing_steps=settings.kl_annealing_steps,
        seed=settings.seed,
    )
    return dist, tfar.training.DensityModel(dist, seed=settings.seed)


def likelihood_case(
    name: str, title: str, settings: Settings, build: Any, paper: float | None, target: float | None, **options: Any
) -> LikelihoodCase:
    """A model on binarised MNIST."""
    source = "the paper's: Gulrajani et al. 2017, table 1, 13 layers"
    shared = {"event_shape": MNIST, "jit_compile": False}
    return LikelihoodCase(name, title, "mnist", settings, build, paper, source, target, **shared, **options)


def likelihood_cases() -> list[LikelihoodCase]:
    """PixelVAE of four blocks, and of two layers beside a GatedPixelCNN of two layers, trained for as many epochs."""
    latent = {"further": USES_LATENTS, "eval_rows": 2000, "linear_probe": True, "quick": {"importance_samples": 5}}
    without = functools.partial(build_pixel_model, make=gated_pixel_cnn)
    return [
        likelihood_case("pixel-vae-mnist", "PixelVAE 4 x 16", FOUR, build_model, 79.02, 84.0, **latent),
        likelihood_case("pixel-vae-mnist-2-layers", "PixelVAE 1 x 16", TWO, build_model, None, 84.0, **latent),
        likelihood_case("gated-pixel-cnn-mnist-2-layers", "GatedPixelCNN 1 x 16", TWO_WITHOUT, without, None, None),
    ]


def build_ours(batch_size: int, **sizes: Any) -> Contestant:
    """Our contestant, with one layer before the parameters as the peer's, and without annealing."""
    import tfar

    dist = tfar.PixelVAE(
        MNIST, LATENT_DIM, **sizes, encoder_filters=STAGES, output_filters=[sizes["filters"]], kl_annealing_steps=1
    )
    return tfar_side.contestant(dist, MNIST[0] * MNIST[1], batch_size)


def build_peer(batch_size: int, *, filters: int, num_blocks: int) -> Contestant:
    """The PyTorch peer; its samples, a whole pass for each pixel, are left out."""
    network = torch_pixel_vae.make_pixel_vae(filters, num_blocks, 5, LATENT_DIM, STAGES, MNIST)
    return torch_pixel_vae.build(network, MNIST, batch_size, sample=False)


def speed_targets() -> list[Target]:
    """A train step within a tenth of PyTorch's, and a batch of samples within so many bounds."""
    step = functools.partial(ratio_to_fastest, ours=OURS, peers=(TORCH,), operation="train_step")
    sampling = functools.partial(ratio_within, ours=OURS, operation="sample", unit="log_prob")
    return [
        Target(f"{OURS}: train_step / PyTorch", "<=", STEP_TO_TORCH, step),
        Target(f"{OURS}: sample / elbo", "<=", SAMPLE_TO_BOUND, sampling),
    ]


def speed_case(name: str, sizes: dict[str, int], batch_size: int, *, quick: bool = False) -> SpeedCase:
    """Both at one size."""
    contestants = {
        OURS: functools.partial(build_ours, batch_size, **sizes),
        TORCH: functools.partial(build_peer, batch_size, **sizes),
    }
    settings = {"event_shape": list(MNIST), "latent_dim": LATENT_DIM, **sizes, "kernel_size": 5}
    settings |= {"encoder_filters": list(STAGES), "batch_size": batch_size, "dtype": "float32"}
    return SpeedCase(name, settings, contestants, [] if quick else speed_targets(), quick=quick)


CASES = ModelCases(
    speed=[speed_case("pixel-vae-12x16-batch-16", PAPER, 16), speed_case("pixel-vae-quick", QUICK, 4, quick=True)],
    likelihood=likelihood_cases(),
)
