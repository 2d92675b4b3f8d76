"""Benchmark of classifiers that start from a model of texts: `python -m benchmarks.classifiers [--quick] [--json FOLDER]`.

The classifiers tell whether a sentence of a film review is positive. Each run draws 500 labelled sentences by its seed, and all
training sentences can be used without labels (Dai and Le. Semi-supervised sequence learning. NIPS 2015). The pretrained
models are those of the likelihood cases, in the same folder. A finished one is loaded.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import machine, render, results, sentences, texts, training
from benchmarks.cases import LikelihoodCase, check, load_cases
from benchmarks.likelihood import quick_case

CASE, DATA = "movie-sentences", "movie_sentences"
SCRATCH, PEER = "tfar, random weights", "TF-IDF and logistic regression"
# The likelihood case of each pretrained model.
PRETRAINED = {
    "tfar, RecurrentLanguageModel": "recurrent-language-model-movie-sentences",
    "tfar, SequenceAutoencoder": "sequence-autoencoder-movie-sentences",
}
AUTOENCODER = "tfar, SequenceAutoencoder"
NUM_LABELLED, NUM_VALID = 500, 100
SEEDS = tuple(range(5))
# Points of accuracy out of a hundred that pretraining should add at least.
BETTER = 4.0
HEADER = ("method", "test accuracy, %", "standard deviation over seeds", "seconds of a run")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the training of a classifier; its sizes are those of the pretrained models."""

    dropout_rate: float = 0.5
    learning_rate: float = 1e-3
    batch_size: int = 32
    max_epochs: int = 30
    patience: int = 5


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Sentences and whether they are positive."""

    words: NDArray[np.int32]
    is_positive: NDArray[np.bool_]


Method = Callable[[Labelled, int], float]


def labelled(data: sentences.Texts, split: str) -> Labelled:
    """Returns the sentences of a split but those of valence 0."""
    assert data.valences is not None
    valences = data.valences[split]
    return Labelled(data.words[split][valences != 0], valences[valences != 0] > 0)


def draw(rows: Labelled, count: int, seed: int) -> Labelled:
    """Returns so many of the rows at random."""
    chosen = np.random.default_rng(seed).permutation(len(rows.words))[:count]
    return Labelled(rows.words[chosen], rows.is_positive[chosen])


def accuracy_of_network(encoder: Any, train: Labelled, test: Labelled, settings: Settings, seed: int) -> float:
    """Trains the layer `encoder` and a linear layer on its output, and returns the accuracy on test rows.

    The last `NUM_VALID` rows of `train` tell when to stop.
    """
    import keras

    keras.utils.set_random_seed(seed)
    model = keras.Sequential([encoder, keras.layers.Dropout(settings.dropout_rate), keras.layers.Dense(1)])
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(settings.learning_rate, global_clipnorm=1.0)
    model.compile(optimizer, loss, metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)])
    stop = keras.callbacks.EarlyStopping("val_loss", patience=settings.patience, restore_best_weights=True)
    x, y = np.float32(train.words), np.float32(train.is_positive)[:, None]
    model.fit(
        x[:-NUM_VALID],
        y[:-NUM_VALID],
        validation_data=(x[-NUM_VALID:], y[-NUM_VALID:]),
        batch_size=settings.batch_size,
        epochs=settings.max_epochs,
        callbacks=[stop],
        verbose=0,
    )
    is_positive = model.predict(np.float32(test.words), batch_size=200, verbose=0)[:, 0] > 0
    return float((is_positive == test.is_positive).mean())


def accuracy_of_counts(all_words: NDArray[np.int32], train: Labelled, test: Labelled) -> float:
    """Trains logistic regression on weighted counts of words and of pairs, and returns the accuracy on test rows.

    The weights of words are those of all training sentences; the penalty is chosen by cross-validation of the labelled ones.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\d+").fit(_strings(all_words))
    penalties = GridSearchCV(LogisticRegression(max_iter=1000), {"C": list(np.logspace(-2, 4, 7))}, cv=5)
    penalties.fit(vectorizer.transform(_strings(train.words)), train.is_positive)
    return float(penalties.score(vectorizer.transform(_strings(test.words)), test.is_positive))


def _strings(words: NDArray[np.int32]) -> list[str]:
    """Returns texts as strings of the numbers of their words."""
    return [" ".join(map(str, row[row > 0])) for row in words]


def methods(
    data: sentences.Texts, test: Labelled, settings: Settings, options: argparse.Namespace
) -> dict[str, Method]:
    """Returns the methods by name: functions of labelled rows and a seed, whose value is the accuracy on test rows.

    The pretrained models are trained, or loaded if that is done.
    """

    def of_random_weights(rows: Labelled, seed: int) -> float:
        case = _case(PRETRAINED[AUTOENCODER], options)
        dist = case.build(dataclasses.replace(case.settings, seed=seed), data)
        return of_weights(dist, rows, seed)

    def of_weights(dist: Any, rows: Labelled, seed: int) -> float:
        return accuracy_of_network(dist.pretrained_encoder(), rows, test, settings, seed)

    found: dict[str, Method] = {SCRATCH: of_random_weights}
    for name, case_name in PRETRAINED.items():
        case = _case(case_name, options)
        dist = case.build(case.settings, data)
        texts.train(dist, case.settings, data, training.case_folder(options.folder, case, data))
        found[name] = functools.partial(of_weights, dist)
    found[PEER] = lambda rows, seed: accuracy_of_counts(data.words["train"], rows, test)
    return found


def measure(method: Method, train: Labelled, count: int) -> dict[str, Any]:
    """Returns the accuracies of a method in percent, one for each seed, and the processor seconds of a run."""
    start = time.process_time()
    found = [round(100.0 * method(draw(train, count, seed), seed), 2) for seed in SEEDS]
    seconds = round((time.process_time() - start) / len(SEEDS), 1)
    spread = {"mean": round(float(np.mean(found)), 2), "deviation": round(float(np.std(found, ddof=1)), 2)}
    return {"accuracies": found, **spread, "seconds": seconds}


def run(options: argparse.Namespace, command: str) -> results.Result:
    """Trains all classifiers and compares them; `options` are those of the command line."""
    data = sentences.load(DATA)
    data = data.head() if options.quick else data
    settings = dataclasses.replace(Settings(), max_epochs=1) if options.quick else Settings()
    train, test = labelled(data, "train"), labelled(data, "test")
    count, figures = NUM_LABELLED // 2 if options.quick else NUM_LABELLED, {}
    for name, method in methods(data, test, settings, options).items():
        figures[name] = measure(method, train, count)
        print(f"{name}: {figures[name]}", flush=True)
    pretrained = {name: _case(case, options).settings.as_dict() for name, case in PRETRAINED.items()}
    own = {**dataclasses.asdict(settings), "seeds": list(SEEDS), "threads": options.threads}
    return results.make(
        kind="classifiers",
        case=CASE,
        command=command,
        seed=SEEDS[0],
        data={**data.describe(), "labelled": count, "test_labelled": len(test.words)},
        settings={**own, "pretrained": pretrained},
        figures=figures,
        paper={},
        targets=targets(figures),
    )


def targets(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the claims of the paper: the autoencoder is better than random weights, and varies less over seeds."""
    ours, scratch = figures[AUTOENCODER], figures[SCRATCH]
    better, steadier = ours["mean"] - scratch["mean"], ours["deviation"] - scratch["deviation"]
    return [
        check("points above random weights", ">=", BETTER, round(better, 2)),
        check("deviation over seeds less that of random weights", "<=", 0.0, round(steadier, 2)),
    ]


def _case(name: str, options: argparse.Namespace) -> LikelihoodCase:
    """Returns the likelihood case of a pretrained model."""
    (case,) = [case for case in load_cases("recurrent_text").likelihood if case.name == name]
    return quick_case(case) if options.quick else case


def table(result: results.Result | None) -> str:
    """Returns a row for each method."""
    if result is None:
        return f"{render.NOT_RUN} (`python -m benchmarks.classifiers` writes it)"
    rows = [
        [name, f"{own['mean']:.1f}", f"{own['deviation']:.1f}", f"{own['seconds']:.0f}"]
        for name, own in result.figures.items()
    ]
    verdicts = [f"{t['name']} {t['relation']} {t['limit']}, {'met' if t['met'] else 'missed'}" for t in result.targets]
    sizes = f"{result.data['labelled']} labelled sentences, {result.data['test_labelled']} for the test"
    note = f"{result.data['name']}: {sizes}, {len(result.settings['seeds'])} seeds. Targets: {'; '.join(verdicts)}."
    return "\n\n".join([render.markdown_table(HEADER, rows), note])


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark, prints the table and writes the result file."""
    parser = argparse.ArgumentParser("python -m benchmarks.classifiers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few sentences, one epoch; writes no result")
    parser.add_argument("--threads", type=int, default=machine.NUM_THREADS)
    parser.add_argument("--folder", type=pathlib.Path, default=training.DEFAULT_FOLDER, help="of the pretrained models")
    parser.add_argument("--json", type=pathlib.Path, metavar="FOLDER", help="where to write the result")
    options = parser.parse_args(arguments)
    machine.set_threads(options.threads)
    result = run(options, "python -m benchmarks.classifiers" + " --quick" * options.quick)
    folder = options.json or (None if options.quick else results.FOLDER)
    if folder is not None:
        results.write(result, folder)
    print(table(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
