"""CF-NADE: Zheng et al., ICML 2016. Its speed and its likelihoods of ratings, with all their settings."""

from __future__ import annotations

import dataclasses
from typing import Any

from benchmarks import ratings
from benchmarks.cases import LikelihoodCase, ModelCases
from benchmarks.peers import surprise_side
from benchmarks.ratings import NUM_RATINGS, RatingSettings

# The paper's models have 500 tanh units, shared ratings, the ordinal cost alone, weight decay and averaged weights.
ITEMS = RatingSettings(
    hidden_units=(200,),
    activation="tanh",
    learning_rate=1e-3,
    weight_decay=1.0,
    ema_momentum=0.995,
    batch_size=64,
    max_epochs=80,
)


def build_model(settings: RatingSettings, event_size: int) -> tuple[Any, Any]:
    """The distribution of a likelihood case and the `DensityModel` that trains it."""
    import tfar

    names = ("activation", "dropout_rate", "ordinal_weight", "rank", "seed")
    arguments = {name: getattr(settings, name) for name in names}
    dist = tfar.CFNADE(event_size, settings.hidden_units, num_ratings=NUM_RATINGS, **arguments)
    return dist, tfar.training.DensityModel(dist, seed=settings.seed)


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
    likelihood=[
        likelihood_case("movielens", "CFNADE 200, item-based", ITEMS, target=1.215),
        likelihood_case(
            "movielens-ordinal", "CFNADE 200, item-based, ordinal cost", dataclasses.replace(ITEMS, ordinal_weight=1.0)
        ),
        likelihood_case("movielens-users", "CFNADE 200, user-based", dataclasses.replace(ITEMS, item_based=False)),
    ],
)
