"""Benchmark of imputation, in comparison with scikit-learn: `python -m benchmarks.imputation [--quick] [--json FOLDER]`.

A fraction of the bits of the data set Adult is removed at random from the train, validation and test rows. Every imputer is
trained on the remaining bits of the train rows and predicts for each missing bit of the test rows the probability that it is
one. A tfar model of any order computes the probability given the observed bits in one pass (`conditionals`). For other tfar
models it is the fraction of ones among samples of `complete`, which are samples from the joint distribution of the missing
bits of a row. The probability of scikit-learn is the imputed value.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import data, machine, render, results, training
from benchmarks.cases import Settings
from benchmarks.models import made, orderless_nade

CASE = "adult"
MISSING, TEST_ROWS, QUICK_ROWS = 0.3, 2000, 200
NUM_DRAWS, BATCH = 100, 100
SMALLEST = 1e-6  # Smallest probability, because float32 rounds probabilities near 1.
SEED = 0
# The log loss of a wrong probability of 0 or 1 is infinite, so the imputed values of scikit-learn are clipped. The validation
# rows determine by how much.
CLIPS = (1e-4, 1e-3, 1e-2, 0.03, 0.1)
NEIGHBOURS = (5, 10, 20, 50)
COMMON = Settings(batch_size=50, ema_momentum=0.99, dropout_rate=0.2, max_epochs=300, patience=15)
SETTINGS: Mapping[str, tuple[Callable[[Settings, int], tuple[Any, Any]], Settings]] = {
    "tfar OrderlessNADE": (
        orderless_nade.build_model,
        dataclasses.replace(COMMON, test_orders=(1,), validation_draws=8),
    ),
    "tfar MADE, any order": (made.build_model, dataclasses.replace(COMMON, num_masks=None, num_eval_masks=2)),
}


@dataclasses.dataclass(frozen=True)
class Rows:
    """Bits, float32 `[rows, D]`, and the mask of the observed bits, bool `[rows, D]`."""

    bits: np.ndarray
    observed: np.ndarray

    @property
    def masked(self) -> np.ndarray:
        """The bits, with NaN for missing bits."""
        return np.where(self.observed, self.bits, np.float32(np.nan))

    @property
    def examples(self) -> dict[str, np.ndarray]:
        """The argument of `fit`."""
        return {"value": self.masked, "observed": self.observed}


def knock_out(splits: data.Splits) -> dict[str, Rows]:
    """Removes every bit with the same probability, with a fixed seed."""
    generator = np.random.default_rng(SEED)
    found = {}
    for name in ("train", "valid", "test"):
        bits = getattr(splits, name)
        found[name] = Rows(bits, generator.random(bits.shape) >= MISSING)
    found["test"] = Rows(found["test"].bits[:TEST_ROWS], found["test"].observed[:TEST_ROWS])
    return found


def score(probs: np.ndarray, rows: Rows) -> dict[str, float]:
    """Returns the mean log loss of the missing bits in nats, and the fraction of missing bits whose likelier value is correct."""
    ones, p = rows.bits[~rows.observed] > 0.5, probs[~rows.observed].astype(np.float64)
    losses = -np.log(np.where(ones, p, 1.0 - p))
    return {"log_loss": round(float(losses.mean()), 4), "accuracy": round(float(((p > 0.5) == ones).mean()), 4)}


def ours(
    build: Callable[[Settings, int], tuple[Any, Any]],
    settings: Settings,
    rows: Mapping[str, Rows],
    folder: pathlib.Path,
) -> np.ndarray:
    """Trains a tfar model and returns its probabilities of the test bits."""
    dist, model = build(settings, rows["train"].bits.shape[1])
    model.compile(optimizer=training.make_optimizer(settings))
    folder.mkdir(parents=True, exist_ok=True)
    model.fit(
        rows["train"].examples,
        validation_data=rows["valid"].examples,
        epochs=settings.max_epochs,
        batch_size=settings.batch_size,
        callbacks=training.make_callbacks(settings, folder),
        verbose=0,
    )
    return predicted(dist, rows["test"])


def predicted(dist: Any, rows: Rows) -> np.ndarray:
    """Returns the probability of each bit given the observed bits: exact for one model of any order, else from samples."""
    if not dist.network.any_order or dist.num_members > 1:
        return completed(dist, rows)
    # Missing bits are NaN, which `conditionals` ignores.
    parts = [slice(start, start + BATCH) for start in range(0, len(rows.bits), BATCH)]
    found = [dist.conditionals(rows.masked[part], observed=rows.observed[part]).mean() for part in parts]
    return np.clip(np.concatenate(found), SMALLEST, 1.0 - SMALLEST)


def completed(dist: Any, rows: Rows) -> np.ndarray:
    """Returns the fraction of ones among samples, with a pseudocount of 1/2 so that no probability is 0 or 1."""
    found = []
    for start in range(0, len(rows.bits), BATCH):
        part = slice(start, start + BATCH)
        draws = dist.complete(rows.masked[part], rows.observed[part], num_samples=NUM_DRAWS, seed=[SEED, start])
        found.append((np.asarray(draws).sum(0) + 0.5) / (NUM_DRAWS + 1.0))
    return np.concatenate(found)


def theirs(imputers: Mapping[Any, Any], rows: Mapping[str, Rows]) -> tuple[np.ndarray, dict[str, Any]]:
    """Returns the probabilities of the test bits of the imputer and the clipping with the best validation loss."""
    losses = {}
    for name, imputer in imputers.items():
        imputer.fit(rows["train"].masked)
        valid = imputer.transform(rows["valid"].masked)
        losses |= {(name, clip): score(np.clip(valid, clip, 1.0 - clip), rows["valid"])["log_loss"] for clip in CLIPS}
    name, clip = min(losses, key=losses.__getitem__)
    probs = imputers[name].transform(rows["test"].masked)
    return np.clip(probs, clip, 1.0 - clip), {"parameter": name, "clip": clip}


def measure(rows: Mapping[str, Rows], folder: pathlib.Path, *, quick: bool = False) -> dict[str, dict[str, Any]]:
    """Returns the scores of every imputer on the missing bits of the test rows."""
    from sklearn.impute import KNNImputer, SimpleImputer

    found = {}
    for title, (build, settings) in SETTINGS.items():
        if quick:
            settings = dataclasses.replace(settings, hidden_units=(32,), max_epochs=2)
        place = folder / f"imputation-{title.replace(' ', '-')}"
        found[title] = score(ours(build, settings, rows, place), rows["test"])
    # With few rows a column may have no observed bit. It must be kept, so that the columns keep their indices.
    mean = {"mean": SimpleImputer(keep_empty_features=True)}
    nearest = {k: KNNImputer(n_neighbors=k, keep_empty_features=True) for k in NEIGHBOURS}
    for title, imputers in (("scikit-learn KNNImputer", nearest), ("scikit-learn SimpleImputer, mean", mean)):
        probs, chosen = theirs(imputers, rows)
        found[title] = {**score(probs, rows["test"]), "chosen": chosen}
    return found


def run(folder: pathlib.Path, command: str, *, quick: bool = False) -> results.Result:
    """Trains and scores all imputers."""
    splits = data.load("adult")
    splits = splits.head(QUICK_ROWS) if quick else splits
    rows = knock_out(splits)
    figures = measure(rows, folder, quick=quick)
    chosen = {title: settings.as_dict() for title, (_, settings) in SETTINGS.items()}
    return results.make(
        kind="imputation",
        case=CASE,
        command=command,
        seed=SEED,
        data=splits.describe() | {"missing": MISSING, "test_rows": len(rows["test"].bits)},
        settings={"num_draws": NUM_DRAWS, "threads": machine.NUM_THREADS, "models": chosen},
        figures=figures,
        paper={},
        targets=[],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark, prints its table and, without `--quick`, writes its result file."""
    parser = argparse.ArgumentParser("python -m benchmarks.imputation", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="narrow models, two epochs, a few rows; writes no result")
    parser.add_argument("--folder", type=pathlib.Path, default=training.DEFAULT_FOLDER, help="where checkpoints lie")
    parser.add_argument("--fresh", action="store_true", help="start again instead of resuming")
    parser.add_argument("--json", type=pathlib.Path, metavar="FOLDER", help="where to write the result")
    options = parser.parse_args(arguments)
    machine.set_threads(machine.NUM_THREADS)
    if options.fresh:
        for place in options.folder.glob("imputation-*"):
            shutil.rmtree(place)
    command = "python -m benchmarks.imputation" + (" --quick" if options.quick else "")
    result = run(options.folder, command, quick=options.quick)
    if options.json or not options.quick:
        results.write(result, options.json or results.FOLDER)
    print(render.imputation_table(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
