"""ConvNADE: Uria et al., JMLR 2016, section 5. Its speed and its likelihood, with all their settings."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from benchmarks import tfar_side
from benchmarks.cases import Contestant, LikelihoodCase, ModelCases, Settings, SpeedCase, Target
from benchmarks.ratios import ratio_within

IMAGE = (28, 28)
KERNEL_SIZES = (8, 4, 6, 7)
PAPER_FILTERS, PAPER_HIDDEN_UNITS = (64, 64, 64, 64), (500, 500)

# Speed: image, filters, kernels, units of the branch, batch; float32, two threads, not compiled with XLA.
SIZE = (IMAGE, PAPER_FILTERS, KERNEL_SIZES, PAPER_HIDDEN_UNITS, 10)
QUICK_SIZE = ((6, 6), (8, 8), (3, 2), (16,), 4)
OURS = "tfar"
SAMPLE_TO_LOG_PROB = 2.0


@dataclasses.dataclass(frozen=True)
class ConvSettings(Settings):
    """Settings of a ConvNADE; `hidden_units` are those of the fully connected branch."""

    hidden_units: tuple[int, ...] = PAPER_HIDDEN_UNITS
    filters: tuple[int, ...] = PAPER_FILTERS
    kernel_sizes: tuple[int, ...] = KERNEL_SIZES
    ema_momentum: float | None = 0.999
    max_epochs: int = 400
    patience: int = 10
    test_orders: tuple[int, ...] = (1,)
    validation_draws: int = 2
    jit_compile: bool = False


# Likelihood. The authors' best command: the architecture above, ReLU units, batches of 100, Adam at 1e-4, stopped after 10 epochs
# without progress on the objective. Kept are kernels, branch, units and batches. A quarter of the filters makes an hour of
# training on two cores do. The weight of the objective makes some gradients large: they are clipped, and the step is then larger.
HOUR = ConvSettings(
    filters=(16, 16, 16, 16),
    learning_rate=2e-3,
    clip_norm=20.0,
    max_epochs=60,
    patience=30,
    decay_epochs=50,
    decay_factor=0.92,
)
PAPER = ConvSettings(learning_rate=1e-4)
# Rows of the test set that are scored, with 784 passes each.
EVAL_ROWS = 2000
LIMIT = 92.0


def build_distribution(settings: ConvSettings, event_size: int) -> Any:
    """tfar's ConvNADE over bits."""
    import tfar

    if event_size != IMAGE[0] * IMAGE[1]:
        raise ValueError(f"Expected events of {IMAGE[0]} x {IMAGE[1]} pixels. Received: {event_size}")
    names = ("filters", "kernel_sizes", "hidden_units", "activation", "seed", "jit_compile")
    return tfar.ConvNADE(
        IMAGE, num_orders=max(settings.test_orders), **{name: getattr(settings, name) for name in names}
    )


def build_model(settings: ConvSettings, event_size: int) -> tuple[Any, Any]:
    """The distribution of a likelihood case and the `DensityModel` that trains it, validated on the objective."""
    import tfar

    dist = build_distribution(settings, event_size)
    return dist, tfar.training.DensityModel(dist, seed=settings.seed, validation_draws=settings.validation_draws)


def build_ours(
    image: tuple[int, int],
    filters: tuple[int, ...],
    kernel_sizes: tuple[int, ...],
    hidden_units: tuple[int, ...],
    batch_size: int,
) -> Contestant:
    """Our contestant: log_prob of one order, the sampler and the train step that `fit` runs."""
    import tfar

    dist = tfar.ConvNADE(image, filters, kernel_sizes, hidden_units, seed=0)
    return tfar_side.contestant(dist, image[0] * image[1], batch_size)


def speed_case(name: str, size: tuple[Any, ...], *, quick: bool = False) -> SpeedCase:
    """One size; a batch of samples within two log_probs is the target."""
    image, filters, kernel_sizes, hidden_units, batch_size = size
    settings = {
        "event_shape": list(image),
        "filters": list(filters),
        "kernel_sizes": list(kernel_sizes),
        "hidden_units": list(hidden_units),
        "batch_size": batch_size,
        "dtype": "float32",
        "jit_compile": False,
    }
    sampling = functools.partial(ratio_within, ours=OURS, operation="sample", unit="log_prob")
    targets = [] if quick else [Target(f"{OURS}: sample / log_prob", "<=", SAMPLE_TO_LOG_PROB, sampling)]
    return SpeedCase(f"conv-nade-{name}", settings, {OURS: functools.partial(build_ours, *size)}, targets, quick=quick)


def likelihood_case(name: str, title: str, settings: ConvSettings, *, paper_width: bool = False) -> LikelihoodCase:
    """One architecture on binarised MNIST."""
    return LikelihoodCase(
        name,
        title,
        "mnist",
        settings,
        build_model,
        None,
        "",
        LIMIT,
        paper_width,
        event_shape=IMAGE,
        eval_rows=EVAL_ROWS,
        quick={"filters": (4, 4, 4, 4)},
    )


CASES = ModelCases(
    speed=[speed_case("28x28", SIZE), speed_case("quick", QUICK_SIZE, quick=True)],
    likelihood=[
        likelihood_case("conv-nade-mnist", "ConvNADE 4x16 + 2x500, 1 order", HOUR),
        likelihood_case("conv-nade-mnist-64", "ConvNADE 4x64 + 2x500, 1 order", PAPER, paper_width=True),
    ],
)
