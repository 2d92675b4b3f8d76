"""PixelCNN, ICML 2016, and Gated PixelCNN, NIPS 2016 (van den Oord et al.): speed and likelihoods, with all their settings."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import tfar_side
from benchmarks.cases import Contestant, LikelihoodCase, Medians, ModelCases, Settings, SpeedCase, Target
from benchmarks.peers import torch_pixel_cnn
from benchmarks.ratios import ratio_to_fastest, ratio_within

OURS, TORCH = "tfar", "PyTorch"
MNIST, CIFAR = (28, 28), (32, 32, 3)

# Speed: a plain PixelCNN of 7x7 and six 3x3, also in colour with a softmax over 256 levels, and the Gated PixelCNN of
# pytorch-generative: ten blocks of 128, 32 features before the logit. float32, two threads.
PLAIN = {"filters": 64, "num_blocks": 6, "use_residual": False, "output_filters": []}
COLOUR = {**PLAIN, "filters": 96}
GATED = {"filters": 128, "num_blocks": 10, "output_filters": [32]}
QUICK = {**PLAIN, "filters": 8, "num_blocks": 1}
SAMPLE_TO_LOG_PROB = 2.5
# One image: at most so many times one log_prob, or so many milliseconds.
ONE_TO_LOG_PROB, ONE_MS = 4.0, 8.0

# Likelihood. The papers' settings for binarised MNIST are not given in full; widths and depths here are chosen so that a case
# trains for an hour or two on two cores. `hidden_units` has the features of each block. In the first thousands of steps a kernel
# of 7x7 learns much faster than the papers' 3x3 in more blocks, at the same cost, and batches of 16 faster than larger ones.
PIXEL_CNN = Settings(
    hidden_units=(64,) * 5, learning_rate=2e-3, ema_momentum=0.9995, batch_size=16, max_epochs=10, decay_epochs=3
)
KERNEL_SIZE = 7
GATED_PIXEL_CNN = Settings(
    hidden_units=(24,) * 4,
    learning_rate=2e-3,
    ema_momentum=0.9995,
    batch_size=16,
    max_epochs=18,
    decay_epochs=12,
    decay_factor=0.7,
)
CLASSES = dataclasses.replace(GATED_PIXEL_CNN, max_epochs=10, decay_epochs=6, decay_factor=0.55)
NUM_CLASSES = 10
OUTPUT_FILTERS = 32  # before the sigmoid, as the ICML paper's for MNIST


def pixel_cnn(event_shape: tuple[int, ...], levels: int = 2, **arguments: Any) -> Any:
    """tfar's PixelCNN."""
    import tfar

    head = tfar.heads.Bernoulli() if levels == 2 else tfar.heads.Categorical(levels)
    return tfar.PixelCNN(event_shape=event_shape, head=head, **arguments)


def gated_pixel_cnn(event_shape: tuple[int, ...], **arguments: Any) -> Any:
    """tfar's GatedPixelCNN."""
    import tfar

    return tfar.GatedPixelCNN(event_shape=event_shape, **arguments)


def build_model(
    settings: Settings,
    event_size: int,
    make: Callable[..., Any],
    output_filters: tuple[int, ...],
    **arguments: Any,
) -> tuple[Any, Any]:
    """The distribution of a likelihood case and the `DensityModel` that trains it."""
    import tfar

    dist = make(
        MNIST,
        filters=settings.hidden_units[0],
        num_blocks=len(settings.hidden_units),
        output_filters=output_filters,
        seed=settings.seed,
        **arguments,
    )
    return dist, tfar.training.DensityModel(dist, seed=settings.seed)


def build_ours(make: Callable[[], Any], batch_size: int) -> Contestant:
    """Our contestant: log_prob, the sampler and the train step that `fit` runs."""
    dist = make()
    return tfar_side.contestant(dist, int(np.prod(dist.event_shape)), batch_size)


def build_peer(make: Callable[[], Any], batch_size: int, *, sample: bool) -> Contestant:
    """The PyTorch peer."""
    return torch_pixel_cnn.build(make(), MNIST, batch_size, sample=sample)


def sample_target(limit: float = SAMPLE_TO_LOG_PROB) -> Target:
    """A batch of samples within so many log_probs of it."""
    return Target(
        f"{OURS}: sample / log_prob",
        "<=",
        limit,
        functools.partial(ratio_within, ours=OURS, operation="sample", unit="log_prob"),
    )


def one_image(medians: Medians) -> float:
    """The share that the sample of one image takes of what it may take."""
    found = medians[OURS]
    return found["sample"] / max(ONE_TO_LOG_PROB * found["log_prob"], ONE_MS)


def no_slower_target(operation: str) -> Target:
    """At most the peer's time."""
    value = functools.partial(ratio_to_fastest, ours=OURS, peers=(TORCH,), operation=operation)
    return Target(f"{OURS}: {operation} / PyTorch", "<=", 1.0, value)


def plain_case(batch_size: int, targets: list[Target], *, with_peer: bool) -> SpeedCase:
    """The plain PixelCNN at one batch size."""
    contestants = {OURS: functools.partial(build_ours, functools.partial(pixel_cnn, MNIST, **PLAIN), batch_size)}
    if with_peer:
        make = functools.partial(torch_pixel_cnn.make_pixel_cnn, PLAIN["filters"], PLAIN["num_blocks"])
        contestants[TORCH] = functools.partial(build_peer, make, batch_size, sample=True)
    settings = {"event_shape": list(MNIST), **PLAIN, "batch_size": batch_size, "dtype": "float32"}
    return SpeedCase(f"pixel-cnn-28x28-64-batch-{batch_size}", settings, contestants, targets)


def colour_case(batch_size: int) -> SpeedCase:
    """The plain PixelCNN over colour images with 256 levels."""
    make = functools.partial(pixel_cnn, CIFAR, levels=256, **COLOUR)
    settings = {"event_shape": list(CIFAR), "levels": 256, **COLOUR, "batch_size": batch_size, "dtype": "float32"}
    contestants = {OURS: functools.partial(build_ours, make, batch_size)}
    return SpeedCase(f"pixel-cnn-32x32x3-96-batch-{batch_size}", settings, contestants, [sample_target()])


def gated_case(batch_size: int) -> SpeedCase:
    """The Gated PixelCNN beside the peer's; its samples, which take it minutes, are left out."""
    ours = functools.partial(build_ours, functools.partial(gated_pixel_cnn, MNIST, **GATED), batch_size)
    sizes = (GATED["filters"], GATED["num_blocks"], GATED["output_filters"][0])
    peer = functools.partial(torch_pixel_cnn.make_gated_pixel_cnn, *sizes)
    contestants = {OURS: ours, TORCH: functools.partial(build_peer, peer, batch_size, sample=False)}
    targets = [no_slower_target("log_prob"), no_slower_target("train_step"), sample_target()]
    settings = {"event_shape": list(MNIST), **GATED, "batch_size": batch_size, "dtype": "float32"}
    return SpeedCase(f"gated-pixel-cnn-10x128-batch-{batch_size}", settings, contestants, targets)


def quick_case(batch_size: int = 4) -> SpeedCase:
    """Both plain networks at a tiny size."""
    make = functools.partial(torch_pixel_cnn.make_pixel_cnn, QUICK["filters"], QUICK["num_blocks"])
    contestants = {
        OURS: functools.partial(build_ours, functools.partial(pixel_cnn, MNIST, **QUICK), batch_size),
        TORCH: functools.partial(build_peer, make, batch_size, sample=False),
    }
    settings = {"event_shape": list(MNIST), **QUICK, "batch_size": batch_size, "dtype": "float32"}
    return SpeedCase("pixel-cnn-quick", settings, contestants, [], quick=True)


def likelihood_case(
    name: str, title: str, settings: Settings, paper: float | None, target: float, **how: Any
) -> LikelihoodCase:
    """A model on binarised MNIST; `how` is what `build_model` takes, and `with_classes`."""
    with_classes = how.pop("with_classes", False)
    arguments = {"conditional_shape": [NUM_CLASSES]} if with_classes else {}
    return LikelihoodCase(
        name,
        title,
        "mnist",
        settings,
        functools.partial(build_model, **how, **arguments),
        paper,
        "the paper's: van den Oord et al. 2016, binarised MNIST table",
        target,
        event_shape=MNIST,
        jit_compile=False,
        with_classes=with_classes,
    )


GATED_HOW = {"make": gated_pixel_cnn, "kernel_size": KERNEL_SIZE, "output_filters": (OUTPUT_FILTERS,)}
CASES = ModelCases(
    speed=[
        plain_case(16, [sample_target()], with_peer=True),
        plain_case(1, [Target(f"{OURS}: sample / max(4 log_prob, 8 ms)", "<=", 1.0, one_image)], with_peer=False),
        colour_case(16),
        gated_case(16),
        quick_case(),
    ],
    likelihood=[
        likelihood_case(
            "pixel-cnn-mnist",
            "PixelCNN 5 x 64, kernels of 7 x 7",
            PIXEL_CNN,
            81.30,
            83.0,
            make=pixel_cnn,
            kernel_size=KERNEL_SIZE,
            output_filters=(OUTPUT_FILTERS, OUTPUT_FILTERS),
        ),
        likelihood_case(
            "gated-pixel-cnn-mnist", "GatedPixelCNN 4 x 24, kernels of 7 x 7", GATED_PIXEL_CNN, 80.10, 82.5, **GATED_HOW
        ),
        likelihood_case(
            "gated-pixel-cnn-mnist-classes",
            "GatedPixelCNN 4 x 24, kernels of 7 x 7, given the class",
            CLASSES,
            None,
            82.5,
            with_classes=True,
            **GATED_HOW,
        ),
    ],
)
