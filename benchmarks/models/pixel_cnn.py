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
MNIST, CIFAR, LEVELS = (28, 28), (32, 32, 3), 256

# Speed: a plain PixelCNN of 7x7 and six 3x3, also in colour with a softmax over 256 levels, and the Gated PixelCNN of
# pytorch-generative: ten blocks of 128, 32 features before the logit. float32, two threads.
PLAIN = {"filters": 64, "num_blocks": 6, "use_residual": False, "output_filters": []}
COLOUR = {**PLAIN, "filters": 96}
GATED = {"filters": 128, "num_blocks": 10, "output_filters": [32]}
QUICK = {**PLAIN, "filters": 8, "num_blocks": 1}
SAMPLE_TO_LOG_PROB = 2.5
# One image: at most so many times one log_prob, or so many milliseconds.
ONE_TO_LOG_PROB, ONE_MS = 4.0, 8.0

NUM_CLASSES = 10


@dataclasses.dataclass(frozen=True)
class PixelSettings(Settings):
    """Settings of a pixel model; `hidden_units` has the features of each block, `output_filters` those before the sigmoid."""

    hidden_units: tuple[int, ...] = (64,) * 5
    kernel_size: int = 7
    output_filters: tuple[int, ...] = (32,)  # 32 is the ICML paper's for MNIST
    learning_rate: float = 2e-3
    ema_momentum: float | None = 0.9995
    batch_size: int = 16


# Likelihood. The papers' settings for binarised MNIST are not given in full; widths and depths here are chosen so that a case
# trains for an hour or two on two cores. In the first thousands of steps a kernel of 7x7 learns much faster than the papers'
# 3x3 in more blocks, at the same cost, and batches of 16 faster than larger ones.
PIXEL_CNN = PixelSettings(output_filters=(32, 32), max_epochs=10, decay_epochs=3)
GATED_PIXEL_CNN = PixelSettings(
    hidden_units=(24,) * 4, weight_decay=0.2, max_epochs=15, patience=30, decay_epochs=9, decay_factor=0.75
)
# Without the decay, until validation stopped falling; fewer epochs, for what more of them give; and with classes.
UNDECAYED = dataclasses.replace(
    GATED_PIXEL_CNN, weight_decay=None, max_epochs=18, patience=2, decay_epochs=12, decay_factor=0.7
)
FEWER_EPOCHS = dataclasses.replace(UNDECAYED, max_epochs=8, patience=30, decay_epochs=3, decay_factor=0.3)
CLASSES = dataclasses.replace(UNDECAYED, max_epochs=8, patience=30, decay_epochs=5, decay_factor=0.5)


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
    settings: PixelSettings, event_size: int, make: Callable[..., Any], **arguments: Any
) -> tuple[Any, Any]:
    """The distribution of a likelihood case and the `DensityModel` that trains it."""
    import tfar

    dist = make(
        MNIST,
        filters=settings.hidden_units[0],
        num_blocks=len(settings.hidden_units),
        kernel_size=settings.kernel_size,
        output_filters=settings.output_filters,
        seed=settings.seed,
        **arguments,
    )
    return dist, tfar.training.DensityModel(dist, seed=settings.seed)


def build_ours(make: Callable[[], Any], batch_size: int) -> Contestant:
    """Our contestant: log_prob, the sampler and the train step that `fit` runs."""
    dist = make()
    return tfar_side.contestant(dist, int(np.prod(dist.event_shape)), batch_size)


def build_peer(make: Callable[[], Any], batch_size: int, *, image: tuple[int, int] = MNIST, sample: bool) -> Contestant:
    """The PyTorch peer."""
    return torch_pixel_cnn.build(make(), image, batch_size, sample=sample)


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
    """The plain PixelCNN over colour images with 256 levels beside the peer's; its samples, which take it long, are left out."""
    ours = functools.partial(pixel_cnn, CIFAR, levels=LEVELS, **COLOUR)
    sizes, colours = (COLOUR["filters"], COLOUR["num_blocks"]), {"channels": CIFAR[2], "levels": LEVELS}
    peer = functools.partial(torch_pixel_cnn.make_pixel_cnn, *sizes, **colours)
    settings = {"event_shape": list(CIFAR), "levels": LEVELS, **COLOUR, "batch_size": batch_size, "dtype": "float32"}
    contestants = {
        OURS: functools.partial(build_ours, ours, batch_size),
        TORCH: functools.partial(build_peer, peer, batch_size, image=CIFAR[:2], sample=False),
    }
    targets = [no_slower_target("log_prob"), no_slower_target("train_step"), sample_target()]
    return SpeedCase(f"pixel-cnn-32x32x3-96-batch-{batch_size}", settings, contestants, targets)


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
    name: str,
    make: Callable[..., Any],
    settings: PixelSettings,
    paper: float | None,
    target: float | None,
    *,
    note: str = "",
    with_classes: bool = False,
) -> LikelihoodCase:
    """A model on binarised MNIST."""
    arguments = {"conditional_shape": [NUM_CLASSES]} if with_classes else {}
    model = "PixelCNN" if make is pixel_cnn else "GatedPixelCNN"
    sizes = f"{len(settings.hidden_units)} x {settings.hidden_units[0]}"
    return LikelihoodCase(
        name,
        f"{model} {sizes}, kernels of {settings.kernel_size} x {settings.kernel_size}{note}",
        "mnist",
        settings,
        functools.partial(build_model, make=make, **arguments),
        paper,
        "the paper's: van den Oord et al. 2016, binarised MNIST table",
        target,
        event_shape=MNIST,
        jit_compile=False,
        with_classes=with_classes,
    )


CASES = ModelCases(
    speed=[
        plain_case(16, [sample_target()], with_peer=True),
        plain_case(1, [Target(f"{OURS}: sample / max(4 log_prob, 8 ms)", "<=", 1.0, one_image)], with_peer=False),
        colour_case(16),
        gated_case(16),
        quick_case(),
    ],
    likelihood=[
        likelihood_case("pixel-cnn-mnist", pixel_cnn, PIXEL_CNN, 81.30, 83.0),
        likelihood_case("gated-pixel-cnn-mnist", gated_pixel_cnn, GATED_PIXEL_CNN, 80.10, 82.5),
        likelihood_case(
            "gated-pixel-cnn-mnist-no-decay", gated_pixel_cnn, UNDECAYED, None, None, note=", no weight decay"
        ),
        likelihood_case("gated-pixel-cnn-mnist-8-epochs", gated_pixel_cnn, FEWER_EPOCHS, None, None, note=", 8 epochs"),
        likelihood_case(
            "gated-pixel-cnn-mnist-classes",
            gated_pixel_cnn,
            CLASSES,
            None,
            None,
            note=", given the class",
            with_classes=True,
        ),
    ],
)
