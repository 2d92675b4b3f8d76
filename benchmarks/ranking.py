"""Benchmark of recommendations from implicit feedback: `python -m benchmarks.ranking [--quick] [--json FOLDER]`.

Every rating of MovieLens 100K is a positive item. A fifth of the items of each user is held out, at random with a fixed seed, and
is what recommendations should find among all items that the user has not rated in training. Settings were chosen on a fifth of
the training items of each user (`--validate`), never on the test items.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks import machine, ranking_metrics, ratings, ratings_table, results, training
from benchmarks.cases import Settings, Unavailable, check
from benchmarks.peers import implicit_lists

CASE, OURS = "movielens-100k", "tfar ImplicitCFNADE"
SEED, TEST_SHARE, LENGTH = 0, 0.2, 100
NDCG, MAP = 0.520, 0.285
NOTE = "every rating is a positive item; a fifth of the items of each user held out, drawn with a fixed seed"


@dataclasses.dataclass(frozen=True)
class RankingSettings(Settings):
    """Settings of ImplicitCFNADE. `alpha`: the confidence of a positive item is 1 + alpha."""

    alpha: float = 3.0


SETTINGS = RankingSettings(
    hidden_units=(200,),
    activation="tanh",
    learning_rate=1e-3,
    weight_decay=1.0,
    ema_momentum=0.99,
    batch_size=64,
    max_epochs=240,
)


def split(positive: np.ndarray, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Returns the items for training, bool `[users, items]`, and the held-out items of each user."""
    generator, kept, held = np.random.default_rng(seed), positive.copy(), []
    for user in range(len(positive)):
        own = generator.permutation(np.flatnonzero(positive[user]))
        held.append(np.sort(own[: int(TEST_SHARE * len(own))]))
        kept[user, held[-1]] = False
    return kept, held


def load(*, quick: bool = False, validate: bool = False) -> tuple[np.ndarray, list[np.ndarray]]:
    """Reads the positive items and splits them; `validate` splits the training items again."""
    found = ratings.load(quick)
    positive = np.zeros([1 + found.users.max(), 1 + found.items.max()], bool)
    positive[found.users, found.items] = True
    kept, held = split(positive, SEED)
    return split(kept, SEED + 1) if validate else (kept, held)


def ours(positive: np.ndarray, settings: RankingSettings) -> np.ndarray:
    """Trains ImplicitCFNADE and returns the lists of all users, `[users, LENGTH]`."""
    import keras

    import tfar

    arguments = {name: getattr(settings, name) for name in ("activation", "dropout_rate", "seed")}
    dist = tfar.ImplicitCFNADE(positive.shape[1], settings.hidden_units, **arguments)
    model = tfar.training.DensityModel(dist, seed=settings.seed)
    model.compile(optimizer=training.make_optimizer(settings))
    rows = {"value": positive.astype(np.float32), "site_weight": 1.0 + settings.alpha * positive.astype(np.float32)}
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    model.fit(rows, batch_size=settings.batch_size, epochs=settings.max_epochs, callbacks=[swap], verbose=0)
    return np.asarray(dist.recommend(positive, k=LENGTH).items)


def best(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Returns the items of the highest scores that are not positive in training, `[users, LENGTH]`, best first."""
    return np.argsort(-np.where(positive, -np.inf, scores), axis=1, kind="stable")[:, :LENGTH]


def run(settings: RankingSettings, command: str, *, quick: bool = False, validate: bool = False) -> results.Result:
    """Trains and ranks with every method, and compares each with ours."""
    positive, held = load(quick=quick, validate=validate)
    methods = {OURS: lambda positive: ours(positive, settings)}
    for name, scores in implicit_lists.METHODS.items():
        methods[name] = lambda positive, scores=scores: best(scores(positive), positive)
    found, figures = {}, {}
    for name, method in methods.items():
        start = time.process_time()
        try:
            found[name] = ranking_metrics.of_users(method(positive), held)
        except Unavailable as error:
            figures[name] = {"skipped": str(error)}
            continue
        figures[name] = {metric: round(float(values.mean()), 4) for metric, values in found[name].items()}
        figures[name]["seconds"] = round(time.process_time() - start, 1)
        difference = ranking_metrics.bootstrap(found[OURS]["NDCG@100"] - found[name]["NDCG@100"])
        figures[name]["difference"] = [round(end, 4) for end in difference]
        print(f"{name}: {figures[name]}", flush=True)
    return results.make(
        kind="ranking",
        case=CASE,
        command=command,
        seed=settings.seed,
        data={"name": "movielens_100k", "users": len(positive), "items": positive.shape[1], "note": NOTE},
        settings=settings.as_dict(),
        figures=figures,
        paper={},
        targets=[
            check("NDCG@100", ">=", NDCG, figures[OURS]["NDCG@100"]),
            check("MAP@10", ">=", MAP, figures[OURS]["MAP@10"]),
        ],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark, prints the table and writes the result file."""
    parser = argparse.ArgumentParser("python -m benchmarks.ranking", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few users, two epochs; writes no result")
    parser.add_argument("--validate", action="store_true", help="rank the validation items; writes no result")
    parser.add_argument("--threads", type=int, default=machine.NUM_THREADS)
    parser.add_argument("--json", type=pathlib.Path, metavar="FOLDER", help="where to write the result")
    options = parser.parse_args(arguments)
    machine.set_threads(options.threads)
    few: dict[str, Any] = {"hidden_units": (16,), "max_epochs": 2} if options.quick else {}
    settings = dataclasses.replace(SETTINGS, **few)
    command = "python -m benchmarks.ranking" + " --quick" * options.quick + " --validate" * options.validate
    result = run(settings, command, quick=options.quick, validate=options.validate)
    folder = options.json or (None if options.quick or options.validate else results.FOLDER)
    if folder is not None:
        results.write(result, folder)
    print(ratings_table.ranking_table(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
