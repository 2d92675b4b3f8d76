"""Multiscale PixelCNN: Reed et al., ICML 2017. Its speed and its likelihood, with all their settings."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from benchmarks import tfar_side
from benchmarks.cases import Contestant, LikelihoodCase, ModelCases, Settings, SpeedCase, Target
from benchmarks.models import pixel_cnn, pixel_cnn_plus_plus
from benchmarks.peers import torch_pixel_cnn
from benchmarks.ratios import faster_than, ratio_within

OURS, PLUS_PLUS, TORCH = "tfar", "tfar PixelCNN++", "PyTorch PixelCNN"
MNIST, PATCH = pixel_cnn.MNIST, pixel_cnn_plus_plus.PATCH
BATCH, NUM_COMPONENTS = 16, 10

# The paper trains networks of a size that it does not give, for days on many GPUs. Here: a base of 4 x 4 as the paper's for
# colour images, and 7 x 7 for images of 28 x 28 pixels.
COLOUR = {"filters": 64, "base_size": 4, "num_blocks": 4}
DIGITS = {"filters": 48, "base_size": 7, "num_blocks": 4}
QUICK = {"filters": 4, "base_size": 2, "num_blocks": 1}
QUICK_IMAGE = (4, 4, 3)
# About as many weights as the colour network has.
PLUS_PLUS_ARGUMENTS = {"filters": 72, "num_blocks": 1, "num_levels": 3, "num_components": NUM_COMPONENTS}
QUICK_PLUS_PLUS = {**PLUS_PLUS_ARGUMENTS, "filters": 4, "num_levels": 1}
SAMPLE_TO_LOG_PROB, FASTER_THAN_CACHED, FASTER_THAN_NAIVE = 1.5, 10.0, 300.0

# Likelihood, for at most an hour of two cores each.
DIGIT_SETTINGS = Settings(
    hidden_units=(48,) * 4,
    learning_rate=1e-3,
    ema_momentum=0.9995,
    batch_size=16,
    max_epochs=4,
    patience=30,
    decay_epochs=2,
    decay_factor=0.5,
)
PATCH_SETTINGS = dataclasses.replace(
    DIGIT_SETTINGS, hidden_units=(64,) * 4, ema_momentum=0.998, max_epochs=10, decay_epochs=5, decay_factor=0.6
)


def multiscale(event_shape: tuple[int, ...], **arguments: Any) -> Any:
    """tfar's MultiscalePixelCNN: of bits, or of 256 levels of the channels of a pixel together."""
    import tfar

    head = None
    if len(event_shape) == 3:
        head = tfar.heads.DiscretizedLogisticMixture(NUM_COMPONENTS, num_channels=event_shape[2])
    return tfar.MultiscalePixelCNN(event_shape, head=head, **arguments)


def plus_plus(event_shape: tuple[int, ...], **arguments: Any) -> Any:
    """tfar's PixelCNNPlusPlus, whose samples cache all features."""
    import tfar

    return tfar.PixelCNNPlusPlus(event_shape, **arguments)


def build(make: Any, batch_size: int) -> Contestant:
    """A contestant of tfar: log_prob, the sampler and the train step that `fit` runs."""
    dist = make()
    return tfar_side.contestant(dist, int(np.prod(dist.event_shape)), batch_size)


def build_model(settings: Settings, event_size: int, event_shape: tuple[int, ...], base_size: int) -> tuple[Any, Any]:
    """The distribution of a likelihood case and the `DensityModel` that trains it."""
    import tfar

    sizes = {"filters": settings.hidden_units[0], "num_blocks": len(settings.hidden_units), "base_size": base_size}
    dist = multiscale(event_shape, seed=settings.seed, **sizes)
    return dist, tfar.training.DensityModel(dist, seed=settings.seed)


def sample_target() -> Target:
    """A batch of samples within so many log_probs of it."""
    value = functools.partial(ratio_within, ours=OURS, operation="sample", unit="log_prob")
    return Target(f"{OURS}: sample / log_prob", "<=", SAMPLE_TO_LOG_PROB, value)


def faster_target(peer: str, limit: float) -> Target:
    """Samples so many times faster than those of another model."""
    value = functools.partial(faster_than, ours=OURS, peer=peer, operation="sample")
    return Target(f"{peer}: sample / {OURS}", ">=", limit, value)


def colour_case(
    name: str, image: tuple[int, int, int], ours: dict[str, Any], peer: dict[str, Any], *, quick: bool = False
) -> SpeedCase:
    """Colour images beside PixelCNN++, whose cached samples take a step for each pixel."""
    contestants = {
        OURS: functools.partial(build, functools.partial(multiscale, image, **ours), BATCH),
        PLUS_PLUS: functools.partial(build, functools.partial(plus_plus, image, **peer), BATCH),
    }
    targets = [] if quick else [sample_target(), faster_target(PLUS_PLUS, FASTER_THAN_CACHED)]
    settings = {"event_shape": list(image), **ours, "batch_size": BATCH, "dtype": "float32"}
    return SpeedCase(f"multiscale-pixel-cnn-{name}", settings, contestants, targets, quick=quick)


def digits_case() -> SpeedCase:
    """Digits beside the plain PixelCNN of PyTorch, whose samples take a pass for each pixel."""
    plain = pixel_cnn.PLAIN
    make = functools.partial(torch_pixel_cnn.make_pixel_cnn, plain["filters"], plain["num_blocks"])
    contestants = {
        OURS: functools.partial(build, functools.partial(multiscale, MNIST, **DIGITS), BATCH),
        TORCH: functools.partial(pixel_cnn.build_peer, make, BATCH, sample=True),
    }
    settings = {"event_shape": list(MNIST), **DIGITS, "batch_size": BATCH, "dtype": "float32"}
    targets = [sample_target(), faster_target(TORCH, FASTER_THAN_NAIVE)]
    return SpeedCase("multiscale-pixel-cnn-28x28-batch-16", settings, contestants, targets)


CASES = ModelCases(
    speed=[
        colour_case("32x32x3-batch-16", PATCH, COLOUR, PLUS_PLUS_ARGUMENTS),
        digits_case(),
        colour_case("quick", QUICK_IMAGE, QUICK, QUICK_PLUS_PLUS, quick=True),
    ],
    likelihood=[
        LikelihoodCase(
            "multiscale-pixel-cnn-mnist",
            "MultiscalePixelCNN 4 x 48, base of 7 x 7",
            "mnist",
            DIGIT_SETTINGS,
            functools.partial(build_model, event_shape=MNIST, base_size=7),
            None,
            "",
            88.0,
            event_shape=MNIST,
            jit_compile=False,
        ),
        LikelihoodCase(
            "multiscale-pixel-cnn-patches",
            "MultiscalePixelCNN 4 x 64, base of 4 x 4",
            "photo_patches_32",
            PATCH_SETTINGS,
            functools.partial(build_model, event_shape=PATCH, base_size=4),
            None,
            "",
            pixel_cnn_plus_plus.PNG_NATS,
            event_shape=PATCH,
            jit_compile=False,
            beside=pixel_cnn_plus_plus.compare_codecs,
        ),
    ],
)
