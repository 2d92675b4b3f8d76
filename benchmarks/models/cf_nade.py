"""CF-NADE: Zheng et al., ICML 2016. Its speed and its likelihoods of ratings, with all their settings."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from benchmarks import ratings, tfar_side
from benchmarks.cases import Contestant, LikelihoodCase, ModelCases, SpeedCase, Target
from benchmarks.peers import surprise_side, torch_cf_nade
from benchmarks.peers.masks import random_ratings
from benchmarks.ratings import NUM_RATINGS, RatingSettings
from benchmarks.ratios import ratio_to_fastest

# Speed: items, hidden units, batch, ratings a row; float32, two threads.
SIZE, QUICK_SIZE = (943, 200, 64, 60), (32, 16, 8, 5)
OURS, TORCH = "tfar", "PyTorch"
SHARE = 1.10

# The paper's models have 500 tanh units, shared ratings, the ordinal cost alone, weight decay and averaged weights. Decay,
# dropout and epochs were chosen on a twentieth of the training ratings of the first split, out of four settings.
ITEMS = RatingSettings(
    hidden_units=(200,),
    activation="tanh",
    learning_rate=1e-3,
    weight_decay=1.5,
    dropout_rate=0.3,
    ema_momentum=0.995,
    batch_size=64,
    max_epochs=50,
)


def build_model(settings: RatingSettings, event_size: int) -> tuple[Any, Any]:
    """The distribution of a likelihood case and the `DensityModel` that trains it."""
    import tfar

    names = ("activation", "dropout_rate", "ordinal_weight", "rank", "seed")
    arguments = {name: getattr(settings, name) for name in names}
    dist = tfar.CFNADE(event_size, settings.hidden_units, num_ratings=NUM_RATINGS, **arguments)
    return dist, tfar.training.DensityModel(dist, seed=settings.seed)


def build_ours(num_items: int, hidden_units: int, batch_size: int, num_rated: int) -> Contestant:
    """Our contestant: log_prob of the ratings, ratings of all items, and the train step that `fit` runs."""
    import tensorflow as tf

    import tfar

    dist = tfar.CFNADE(num_items, hidden_units, num_ratings=NUM_RATINGS, seed=0)
    x = random_ratings(tfar_side.NUM_BATCHES * batch_size, num_items, num_rated, NUM_RATINGS, 0)
    batch = tf.constant(x[:batch_size])
    rows = {"value": x, "observed": x > 0}
    return Contestant(
        operations={
            "log_prob": {"eager call": lambda: dist.log_prob(batch, observed=batch > 0).numpy()},
            "sample": {"eager call": tfar_side.sample_call(dist, batch_size, "ancestral")},
            "train_step": {"fit's step": tfar_side.train_step_call(dist, rows, batch_size)},
        },
        parameters=int(sum(np.prod(v.shape) for v in dist.trainable_variables)),
    )


def speed_case(name: str, size: tuple[int, int, int, int], *, quick: bool = False) -> SpeedCase:
    """Both at one size; the peer does not draw samples."""
    num_items, hidden_units, batch_size, num_rated = size
    settings = {"event_size": num_items, "hidden_units": [hidden_units], "batch_size": batch_size, "dtype": "float32"}
    targets = []
    for operation in () if quick else ("log_prob", "train_step"):
        value = functools.partial(ratio_to_fastest, ours=OURS, peers=(TORCH,), operation=operation)
        targets.append(Target(f"{OURS}: {operation} / PyTorch", "<=", SHARE, value))
    contestants = {OURS: functools.partial(build_ours, *size), TORCH: functools.partial(torch_cf_nade.build, *size)}
    return SpeedCase(f"cf-nade-{name}", {**settings, "ratings": num_rated}, contestants, targets, quick=quick)


def likelihood_case(name: str, title: str, settings: RatingSettings, target: float | None = None) -> LikelihoodCase:
    """One model on the five splits; the other methods stand beside the one with a target."""
    return LikelihoodCase(
        f"cf-nade-{name}",
        title,
        ratings.DATA,
        settings,
        build_model,
        paper=None,
        source="",
        target=target,
        quick={"max_epochs": 2},
        beside=None if target is None else surprise_side.methods,
        run=ratings.run,
    )


CASES = ModelCases(
    speed=[speed_case("943-200", SIZE), speed_case("quick", QUICK_SIZE, quick=True)],
    likelihood=[
        likelihood_case("movielens", "CFNADE 200, item-based", ITEMS, target=1.215),
        likelihood_case(
            "movielens-ordinal", "CFNADE 200, item-based, ordinal cost", dataclasses.replace(ITEMS, ordinal_weight=1.0)
        ),
        likelihood_case("movielens-users", "CFNADE 200, user-based", dataclasses.replace(ITEMS, item_based=False)),
    ],
)
