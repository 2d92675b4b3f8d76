"""Benchmark of the likelihood: `python -m benchmarks.likelihood made [--data NAME ...] [--paper-width] [--quick]`.

Each case is trained with early stopping on the validation set and evaluated on the test set with the best weights; models of
audio and of texts train for a number of processor seconds, `--seconds`. Then the command prints the results and writes the
result file. A run that was killed continues if it is started again: `--folder`, by default in the cache folder of the user,
holds a checkpoint whose name depends on the settings and the data. `--fresh` deletes it.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import data, latent, machine, render, results, training, videos
from benchmarks.cases import LikelihoodCase, load_cases, model_names

QUICK_EVAL_ROWS = 20


def run(case: LikelihoodCase, options: argparse.Namespace, command: str) -> results.Result:
    """Loads rows of one shape, and trains and evaluates a case on them."""
    splits = data.load(case.data, with_classes=case.with_classes)
    splits = splits.head(data.QUICK_ROWS) if options.quick else splits
    return run_case(case, splits, options.folder, command, fresh=options.fresh)


def run_case(
    case: LikelihoodCase, splits: data.Splits, folder: pathlib.Path, command: str, *, fresh: bool = False
) -> results.Result:
    """Trains and evaluates one case."""
    splits = splits.shaped(case.event_shape)
    place = training.case_folder(folder, case, splits, fresh=fresh)
    dist, epochs = training.train(case, splits, place)
    figures = evaluate(case, dist, splits)
    figures |= {"epochs": len(epochs), "train_seconds": round(sum(epoch["seconds"] for epoch in epochs), 1)}
    figures["curve"] = training.curve(epochs)
    figures["parameters"] = int(sum(np.prod(v.shape) for v in dist.trainable_variables))
    if case.beside is not None:
        figures["bits_per_dim"] = round(figures["test_nll"] / (splits.event_size * np.log(2.0)), 4)
        figures["beside"] = dict(case.beside(splits))
    return results.make(
        kind="likelihood",
        case=case.name,
        command=command,
        seed=case.settings.seed,
        data=splits.describe(),
        settings=case.settings.as_dict(),
        figures=figures,
        paper={} if case.paper is None else {"test_nll": case.paper, "source": case.source},
        targets=[*case.check(figures["test_nll"]), *case.check_further(figures)],
    )


def evaluate(case: LikelihoodCase, dist: Any, splits: data.Splits) -> dict[str, Any]:
    """Returns the test results of a trained distribution, for several numbers of orders if the case has them."""
    if not case.settings.test_orders:
        if dist.num_latents:
            return latent.evaluate(case, dist, splits)
        batch_size = 500 if splits.test.ndim == 2 else 100
        valid, _ = training.evaluate(dist.log_prob, splits.valid, batch_size, splits.condition("valid"))
        test, error = training.evaluate(dist.log_prob, splits.test, batch_size, splits.condition("test"))
        return {"test_nll": round(test, 4), "standard_error": round(error, 4), "valid_nll": round(valid, 4)}
    rows = splits.test[: case.eval_rows]
    curve = training.evaluate_orders(dist, rows, case.settings.test_orders)
    test, error = curve[case.settings.test_orders[-1]]
    figures = {"test_nll": round(test, 4), "standard_error": round(error, 4), "test_nll_by_orders": _by_orders(curve)}
    if case.eval_rows is not None:
        figures["test_rows"] = len(rows)
    if case.all_rows_orders:
        figures[results.ALL_ROWS] = _by_orders(training.evaluate_orders(dist, splits.test, case.all_rows_orders))
    return figures


def _by_orders(curve: Mapping[int, tuple[float, float]]) -> dict[str, float]:
    return {str(count): round(mean, 4) for count, (mean, _) in curve.items()}


def quick_case(case: LikelihoodCase) -> LikelihoodCase:
    """Returns a version of the case with narrow layers that trains for two epochs."""
    hidden_units = tuple(min(units, 32) for units in case.settings.hidden_units)
    narrow = {
        "hidden_units": hidden_units,
        "max_epochs": 2,
        "decay_epochs": 0,
        "test_orders": case.settings.test_orders[:2],
    }
    settings = dataclasses.replace(case.settings, **{**narrow, **case.quick})
    eval_rows = None if case.eval_rows is None else min(case.eval_rows, QUICK_EVAL_ROWS)
    few = {"eval_rows": eval_rows, "all_rows_orders": case.all_rows_orders[:1]}
    return dataclasses.replace(case, name=f"{case.name}-quick", settings=settings, **few)


def select(cases: Sequence[LikelihoodCase], options: argparse.Namespace) -> list[LikelihoodCase]:
    """Returns the cases that the command line selects."""
    chosen = [case for case in cases if case.paper_width == options.paper_width]
    if options.data:
        chosen = [case for case in chosen if case.data in options.data]
    if options.case:
        chosen = [case for case in cases if case.name in options.case]
    if not chosen:
        raise ValueError(f"Expected cases out of {[case.name for case in cases]}. Received: {vars(options)}")
    return [quick_case(case) for case in chosen] if options.quick else chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the selected cases one after the other."""
    options = _parse(arguments)
    machine.set_threads(options.threads)
    cases = select(load_cases(options.model).likelihood, options)
    folder = options.json or (None if options.quick else results.FOLDER)
    found = []
    for case in cases:
        print(f"{case.name}: {case.settings}", flush=True)
        found.append((case.run or run)(case, options, _command(options, case)))
        if folder is not None:
            results.write(found[-1], folder)
        print(render.likelihood_table([case], found[-1:]), flush=True)
    print("\n" + render.likelihood_table(cases, found))
    if any("test_bound" in result.figures for result in found):
        print("\n" + render.bounds_table(cases, found))
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.likelihood", description=__doc__)
    parser.add_argument("model", choices=model_names())
    names = sorted({**data.NOTES, **data.FOLDS, **data.SPEECH, **videos.DIGITS})
    parser.add_argument("--data", nargs="+", choices=names, help="only these data sets")
    parser.add_argument("--case", nargs="+", help="only these cases, by name")
    parser.add_argument("--paper-width", action="store_true", help="the paper's own widths: hours")
    parser.add_argument("--quick", action="store_true", help="narrow models, two epochs, a few rows; writes no result")
    parser.add_argument("--folder", type=pathlib.Path, default=training.DEFAULT_FOLDER, help="where checkpoints lie")
    parser.add_argument("--fresh", action="store_true", help="start again instead of resuming")
    parser.add_argument(
        "--seconds", type=float, help="processor seconds of training, of cases that have a budget of seconds"
    )
    parser.add_argument("--threads", type=int, default=machine.NUM_THREADS)
    parser.add_argument("--json", type=pathlib.Path, metavar="FOLDER", help="where to write the results")
    return parser.parse_args(arguments)


def _command(options: argparse.Namespace, case: LikelihoodCase) -> str:
    flags = " --quick" if options.quick else ""
    return f"python -m benchmarks.likelihood {options.model} --case {case.name.removesuffix('-quick')}{flags}"


if __name__ == "__main__":
    raise SystemExit(main())
