"""The any-order transformer: its speed beside OrderlessNADE, and its likelihoods, with all their settings."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from benchmarks import tfar_side
from benchmarks.cases import Contestant, LikelihoodCase, ModelCases, Settings, SpeedCase, Target
from benchmarks.models import orderless_nade
from benchmarks.ratios import ratio_within

# Speed: bits, width of a token in each block, batch; float32, two threads, one order. OrderlessNADE has two layers of 500 units.
SIZE, QUICK_SIZE = (100, (64,) * 4, 100), (16, (16,) * 2, 20)
ORDERLESS_UNITS, QUICK_ORDERLESS_UNITS = (500, 500), (32, 32)
OURS, ORDERLESS = "tfar", "tfar OrderlessNADE"
NUM_HEADS = 4
SAMPLE_TO_LOG_PROB = 8.0


@dataclasses.dataclass(frozen=True)
class TransformerSettings(Settings):
    """Settings of a transformer; `hidden_units` has the width of a token for each block."""

    hidden_units: tuple[int, ...] = (64,) * 4
    num_heads: int = NUM_HEADS
    training_orders: str = "completion"
    order: str = "natural"
    dropout_rate: float = 0.1
    weight_decay: float | None = 0.01
    ema_momentum: float | None = 0.99
    clip_norm: float | None = 1.0
    max_epochs: int = 200
    patience: int = 20


# Likelihood. No paper reports such a model on these tables. Those of completions are scored in the order of the columns, and
# those of random orders by the mean over the numbers of orders of the orderless models.
COMPLETION = TransformerSettings()
RANDOM = TransformerSettings(training_orders="random", test_orders=(1, 2, 4, 8, 16))


def build_distribution(event_size: int, units: tuple[int, ...], **arguments: Any) -> Any:
    """tfar's any-order transformer over bits."""
    import tfar

    return tfar.AnyOrderTransformer([event_size], units[0], num_layers=len(units), **arguments)


def build_model(settings: TransformerSettings, event_size: int) -> tuple[Any, Any]:
    """The distribution of a likelihood case and the model that trains it."""
    import tfar

    names = ("num_heads", "training_orders", "order", "activation", "dropout_rate", "seed")
    arguments = {name: getattr(settings, name) for name in names}
    dist = build_distribution(event_size, settings.hidden_units, **arguments)
    return dist, tfar.training.DensityModel(dist, seed=settings.seed)


def likelihood_case(name: str, data: str, settings: TransformerSettings) -> LikelihoodCase:
    """One data set with one distribution of training orders."""
    title = f"AnyOrderTransformer {len(settings.hidden_units)} x {settings.hidden_units[0]}"
    title += f", {max(settings.test_orders)} orders" if settings.test_orders else ", one order"
    return LikelihoodCase(f"any-order-transformer-{name}", title, data, settings, build_model, None, "", None)


def build_ours(event_size: int, units: tuple[int, ...], batch_size: int) -> Contestant:
    """Our contestant: log_prob of one order, samples and the train step that `fit` runs."""
    dist = build_distribution(event_size, units, num_heads=NUM_HEADS, seed=0)
    return tfar_side.contestant(dist, event_size, batch_size)


def speed_case(
    name: str, size: tuple[int, tuple[int, ...], int], orderless_units: tuple[int, ...], *, quick: bool = False
) -> SpeedCase:
    """Both models for any order of tfar at one event size."""
    event_size, units, batch_size = size
    settings = {"event_size": event_size, "units": list(units), "num_heads": NUM_HEADS, "batch_size": batch_size}
    settings |= {"orderless_units": list(orderless_units), "dtype": "float32"}
    contestants = {
        OURS: functools.partial(build_ours, *size),
        ORDERLESS: functools.partial(orderless_nade.build_ours, event_size, orderless_units, batch_size),
    }
    sampling = functools.partial(ratio_within, ours=OURS, operation="sample", unit="log_prob")
    targets = [] if quick else [Target(f"{OURS}: sample / log_prob", "<=", SAMPLE_TO_LOG_PROB, sampling)]
    return SpeedCase(f"any-order-transformer-{name}", settings, contestants, targets, quick=quick)


CASES = ModelCases(
    speed=[
        speed_case("100-4x64", SIZE, ORDERLESS_UNITS),
        speed_case("quick", QUICK_SIZE, QUICK_ORDERLESS_UNITS, quick=True),
    ],
    likelihood=[
        likelihood_case("mushrooms", "mushrooms", COMPLETION),
        likelihood_case("adult", "adult", COMPLETION),
        likelihood_case("mushrooms-random-orders", "mushrooms", RANDOM),
    ],
)
