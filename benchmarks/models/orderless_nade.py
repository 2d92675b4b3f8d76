"""Orderless NADE: Uria, Murray and Larochelle, ICML 2014. Its speed and its likelihoods, with all their settings."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from benchmarks import folds, tfar_side
from benchmarks.cases import Contestant, LikelihoodCase, ModelCases, Settings, SpeedCase, Target
from benchmarks.models.rnade import SOURCE as RED_WINE_SOURCE
from benchmarks.models.rnade import MixtureSettings
from benchmarks.ratios import ratio_within

# Speed: bits, hidden units, batch; float32, two threads, one order.
SIZE, QUICK_SIZE = (784, (500, 500), 100), (32, (64, 64), 20)
OURS = "tfar"
SAMPLE_TO_LOG_PROB = 2.0

# Likelihood. Widths, units and numbers of orders are the paper's; Adam with weight decay, averaged weights and early stopping
# stand in for its learning rate schedule. The validation figure is the training objective under fixed draws, as log_prob takes
# D passes. They were chosen on the validation sets; MNIST's step and activation, which are the best of a few, after ten epochs,
# its weight decay after 15 epochs of branches of a training with 0.01, at epoch 311. Its epochs take two cores half an hour.
# There the weight of the objective makes some gradients large: they are clipped.
VECTOR = Settings(
    hidden_units=(500,),
    learning_rate=1e-3,
    weight_decay=0.01,
    ema_momentum=0.999,
    max_epochs=1000,
    patience=40,
    test_orders=(1, 2, 4, 8, 16),
    validation_draws=8,
)
SETTINGS = {
    "adult": VECTOR,
    "dna": dataclasses.replace(
        VECTOR, weight_decay=0.1, max_epochs=650, patience=80, decay_epochs=300, decay_factor=0.985
    ),
    "mushrooms": dataclasses.replace(
        VECTOR,
        learning_rate=2e-3,
        ema_momentum=0.9995,
        max_epochs=2000,
        patience=100,
        decay_epochs=1500,
        decay_factor=0.998,
    ),
    "mnist": dataclasses.replace(
        VECTOR,
        hidden_units=(500, 500),
        activation="elu",
        learning_rate=2e-3,
        weight_decay=0.05,
        clip_norm=20.0,
        ema_momentum=0.9995,
        max_epochs=500,
        patience=200,
        decay_epochs=500,
        decay_factor=0.9946,
        test_orders=(1, 2, 4, 8, 16, 32, 64, 128),
        validation_draws=1,
    ),
}
# Real values: the paper's orderless RNADE, which has mixtures of 10 normals and 2 x 100 units.
RED_WINE = MixtureSettings(
    hidden_units=(100, 100),
    num_components=10,
    weight_decay=0.1,
    ema_momentum=0.995,
    max_epochs=1000,
    patience=60,
    test_orders=(32,),
    validation_draws=32,
)
RED_WINE_LIMIT = -9.4
UCI = "the paper's: Uria et al. 2014, table of binary data sets, 16 orders"
MNIST = "the paper's: Uria et al. 2014, binarised MNIST table, 2 layers, 1 to 128 orders"
#        data         the paper's figure, our limit
FIGURES = {"adult": (13.19, 13.3), "dna": (82.31, 82.5), "mushrooms": (9.68, 9.75), "mnist": (85.10, 85.5)}
# Rows of MNIST's test set that are scored, with 784 passes for each of the 128 orders; and the orders that score all of them.
MNIST_EVAL_ROWS, MNIST_ALL_ROWS_ORDERS = 1000, (1, 2, 4)
# The paper's curve for MNIST, by the number of orders.
MNIST_BY_ORDERS = {1: 89.17, 2: 87.96, 4: 87.10, 8: 86.41, 16: 85.96, 32: 85.60, 64: 85.28, 128: 85.10}


def build_distribution(event_size: int, hidden_units: Sequence[int], **arguments: Any) -> Any:
    """tfar's orderless NADE over bits."""
    import tfar

    return tfar.OrderlessNADE(
        event_shape=[event_size], hidden_units=list(hidden_units), head=tfar.heads.Bernoulli(), **arguments
    )


def build_model(settings: Settings, event_size: int) -> tuple[Any, Any]:
    """The distribution of a likelihood case and the model that trains it and validates it by its objective."""
    import tfar

    arguments = {name: getattr(settings, name) for name in ("activation", "dropout_rate", "seed")}
    dist = build_distribution(event_size, settings.hidden_units, num_orders=max(settings.test_orders), **arguments)
    return dist, tfar.training.DensityModel(dist, seed=settings.seed, validation_draws=settings.validation_draws)


def build_real(settings: MixtureSettings, event_size: int) -> tuple[Any, Any]:
    """The distribution over real values of a likelihood case and the model that trains it."""
    import tfar

    dist = tfar.OrderlessNADE(
        event_shape=[event_size],
        hidden_units=list(settings.hidden_units),
        head=tfar.heads.NormalMixture(settings.num_components, min_scale=settings.min_scale),
        num_orders=max(settings.test_orders),
        activation=settings.activation,
        seed=settings.seed,
    )
    return dist, tfar.training.DensityModel(dist, seed=settings.seed, validation_draws=settings.validation_draws)


def build_ours(event_size: int, hidden_units: Sequence[int], batch_size: int) -> Contestant:
    """Our contestant: log_prob of one order, samples and the train step that `fit` runs."""
    return tfar_side.contestant(build_distribution(event_size, hidden_units, seed=0), event_size, batch_size)


def speed_case(name: str, size: tuple[int, tuple[int, ...], int], *, quick: bool = False) -> SpeedCase:
    """Ours alone: there is no peer."""
    event_size, hidden_units, batch_size = size
    settings = {"event_size": event_size, "hidden_units": list(hidden_units), "batch_size": batch_size}
    sampling = functools.partial(ratio_within, ours=OURS, operation="sample", unit="log_prob")
    targets = [] if quick else [Target(f"{OURS}: sample / log_prob", "<=", SAMPLE_TO_LOG_PROB, sampling)]
    contestants = {OURS: functools.partial(build_ours, *size)}
    return SpeedCase(f"orderless-nade-{name}", {**settings, "dtype": "float32"}, contestants, targets, quick=quick)


def likelihood_case(data: str) -> LikelihoodCase:
    """The paper's model on one data set."""
    paper, target = FIGURES[data]
    settings = SETTINGS[data]
    units = " x ".join(map(str, settings.hidden_units))
    title = f"OrderlessNADE {units}, {max(settings.test_orders)} orders"
    source = MNIST if data == "mnist" else UCI
    by_orders = MNIST_BY_ORDERS if data == "mnist" else None
    return LikelihoodCase(
        f"orderless-nade-{data}",
        title,
        data,
        settings,
        build_model,
        paper,
        source,
        target,
        paper_by_orders=by_orders,
        eval_rows=MNIST_EVAL_ROWS if data == "mnist" else None,
        all_rows_orders=MNIST_ALL_ROWS_ORDERS if data == "mnist" else (),
    )


RED_WINE_CASE = LikelihoodCase(
    "orderless-nade-red-wine",
    "OrderlessNADE 100 x 100, 10 normals, 32 orders, ten folds",
    "red_wine",
    RED_WINE,
    build_real,
    paper=-8.76,
    source=RED_WINE_SOURCE,
    target=RED_WINE_LIMIT,
    relation=">=",
    run=folds.run,
    standardize=True,
)
CASES = ModelCases(
    speed=[speed_case("784-500-500", SIZE), speed_case("quick", QUICK_SIZE, quick=True)],
    likelihood=[*(likelihood_case(data) for data in FIGURES), RED_WINE_CASE],
)
