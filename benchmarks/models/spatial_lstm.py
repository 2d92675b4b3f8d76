"""Spatial LSTM, NIPS 2015 (Theis and Bethge): speed and likelihoods, with all their settings."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from benchmarks import tfar_side
from benchmarks.cases import Contestant, LikelihoodCase, ModelCases, Settings, SpeedCase, Target
from benchmarks.peers import least_squares
from benchmarks.ratios import ratio_to_fastest, ratio_within

OURS, DIAGONAL = "tfar", "tfar, DiagonalBiLSTM"
PATCH, SPEED_IMAGE, QUICK_IMAGE = (32, 32), (28, 28), (4, 4)
TWO_LAYERS, QUICK_LAYERS = (64, 64), (4,)
SAMPLE_TO_LOG_PROB, STEP_TO_DIAGONAL = 2.5, 1.5

# Likelihood. The paper trains on patches of 8 to 22 pixels, an epoch each, with momentum, then the head alone by L-BFGS. Here all
# weights are trained at once on patches of 32 pixels. The learning rate and the epochs are chosen so that the LSTMs train for an
# hour on two cores; the others train for as many epochs or more. A PixelCNN of 70 features has as many weights. The limit is
# 2.4 bits a pixel, in nats.
PATCHES = Settings(
    hidden_units=TWO_LAYERS,
    learning_rate=2e-3,
    ema_momentum=0.998,
    batch_size=16,
    max_epochs=12,
    decay_epochs=6,
    decay_factor=0.5,
    clip_norm=1.0,
)
NO_LAYERS = dataclasses.replace(PATCHES, hidden_units=(64,), max_epochs=30, decay_epochs=10, decay_factor=0.6)
PIXEL_CNN = dataclasses.replace(PATCHES, hidden_units=(70,), max_epochs=14)
PIXEL_CNN_ARGUMENTS = {"num_blocks": 7, "first_kernel_size": 7, "output_filters": [64]}
PATCHES_NATS = 1703.5


def build_patches(settings: Settings, event_size: int, *, layers: bool = True) -> tuple[Any, Any]:
    """SpatialLSTM over grey patches, or its head on a linear function of the neighbourhood."""
    import tfar

    units, num_layers = settings.hidden_units[0], len(settings.hidden_units) if layers else 0
    dist = tfar.SpatialLSTM(PATCH, units, num_layers, seed=settings.seed)
    return dist, tfar.training.DensityModel(dist, seed=settings.seed)


def build_pixel_cnn(settings: Settings, event_size: int) -> tuple[Any, Any]:
    """A PixelCNN over grey patches, whose pixels are mixtures of normals."""
    import tfar

    head = tfar.heads.Standardized(tfar.heads.NormalMixture(10))
    dist = tfar.PixelCNN(PATCH, settings.hidden_units[0], head=head, seed=settings.seed, **PIXEL_CNN_ARGUMENTS)
    return dist, tfar.training.DensityModel(dist, seed=settings.seed)


def build_ours(image: tuple[int, int], hidden_units: tuple[int, ...], batch_size: int) -> Contestant:
    """Our contestant."""
    import tfar

    dist = tfar.SpatialLSTM(image, hidden_units[0], len(hidden_units))
    return tfar_side.contestant(dist, image[0] * image[1], batch_size)


def build_diagonal(image: tuple[int, int], hidden_units: tuple[int, ...], batch_size: int) -> Contestant:
    """A Diagonal BiLSTM of as many units, whose recurrence has two directions."""
    import tfar

    dist = tfar.DiagonalBiLSTM(image, hidden_units[0], len(hidden_units))
    return tfar_side.contestant(dist, image[0] * image[1], batch_size)


def speed_targets() -> list[Target]:
    """A batch of samples within so many log_probs of it, and a train step within so many of the Diagonal BiLSTM's."""
    sample = functools.partial(ratio_within, ours=OURS, operation="sample", unit="log_prob")
    step = functools.partial(ratio_to_fastest, ours=OURS, peers=(DIAGONAL,), operation="train_step")
    return [
        Target(f"{OURS}: sample / log_prob", "<=", SAMPLE_TO_LOG_PROB, sample),
        Target(f"{OURS}: train_step / DiagonalBiLSTM", "<=", STEP_TO_DIAGONAL, step),
    ]


def speed_case(
    name: str, image: tuple[int, int], hidden_units: tuple[int, ...], batch_size: int, *, quick: bool = False
) -> SpeedCase:
    """Both recurrences at one size; no public implementation of a spatial LSTM runs on a maintained library."""
    sizes = (image, hidden_units, batch_size)
    contestants = {OURS: functools.partial(build_ours, *sizes), DIAGONAL: functools.partial(build_diagonal, *sizes)}
    settings = {
        "event_shape": list(image),
        "units": hidden_units[0],
        "num_layers": len(hidden_units),
        "batch_size": batch_size,
        "dtype": "float32",
    }
    return SpeedCase(name, settings, contestants, [] if quick else speed_targets(), quick=quick)


def likelihood_case(name: str, title: str, settings: Settings, build: Any, target: float | None) -> LikelihoodCase:
    """A model on grey patches of photographs; the least-squares coder stands beside the one with a target."""
    return LikelihoodCase(
        name,
        title,
        "grey_patches_32",
        settings,
        build,
        None,
        "",
        target,
        event_shape=PATCH,
        quick={"batch_size": 50},
        beside=None if target is None else least_squares.beside,
    )


CASES = ModelCases(
    speed=[
        speed_case("spatial-lstm-2x64-batch-16", SPEED_IMAGE, TWO_LAYERS, 16),
        speed_case("spatial-lstm-quick", QUICK_IMAGE, QUICK_LAYERS, 4, quick=True),
    ],
    likelihood=[
        likelihood_case("spatial-lstm-patches", "SpatialLSTM 2 x 64", PATCHES, build_patches, PATCHES_NATS),
        likelihood_case(
            "spatial-lstm-patches-no-layers",
            "the head of SpatialLSTM on the neighbourhood, without LSTMs",
            NO_LAYERS,
            functools.partial(build_patches, layers=False),
            None,
        ),
        likelihood_case(
            "spatial-lstm-patches-pixel-cnn", "PixelCNN 7 x 70, 10 normals", PIXEL_CNN, build_pixel_cnn, None
        ),
    ],
)
