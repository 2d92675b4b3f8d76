"""A likelihood case of texts: the perplexity a word of a language model or of reconstructions, beside Kneser-Ney n-grams."""

from __future__ import annotations

import argparse
import dataclasses
import time
from typing import Any

import numpy as np

from benchmarks import results, sentences
from benchmarks.cases import LikelihoodCase, Settings, check
from benchmarks.peers.kneser_ney import KneserNey
from benchmarks.sentences import Texts

UNIT = "perplexity"
ORDERS = (1, 2, 3, 4, 5)
EVAL_BATCH = 200


@dataclasses.dataclass(frozen=True)
class TextSettings(Settings):
    """Settings of a recurrent model of texts; `model` is the name of a class of tfar."""

    model: str = "RecurrentLanguageModel"
    units: int = 256
    embedding_dim: int = 128
    arguments: tuple[tuple[str, Any], ...] = ()
    dropout_rate: float = 0.5
    learning_rate: float = 2e-3
    clip_norm: float | None = 5.0
    batch_size: int = 64
    max_epochs: int = 30
    patience: int = 3

    def as_dict(self) -> dict[str, Any]:
        """Returns the settings that these models use, for the result file."""
        used = ("model", "units", "embedding_dim", "dropout_rate", "learning_rate", "clip_norm", "batch_size")
        return {name: getattr(self, name) for name in (*used, "max_epochs", "patience", "seed")} | dict(self.arguments)


def build(settings: TextSettings, texts: Texts) -> Any:
    """The model of a case; its sizes are those of the texts."""
    import tfar

    how = {"embedding_dim": settings.embedding_dim, "dropout_rate": settings.dropout_rate, "seed": settings.seed}
    sizes = (texts.vocabulary_size, *texts.words["train"].shape[1:], settings.units)
    return getattr(tfar, settings.model)(*sizes, counts=texts.counts, **how, **dict(settings.arguments))


def run(case: LikelihoodCase, options: argparse.Namespace, command: str) -> results.Result:
    """Trains and evaluates a case; `options` are those of the command line."""
    settings: Any = case.settings
    texts = sentences.load(case.data)
    texts = texts.head() if options.quick else texts
    dist = case.build(settings, texts)
    start = time.perf_counter()
    epochs = train(dist, settings, texts)
    figures = {"epochs": epochs, "train_seconds": round(time.perf_counter() - start, 1), **evaluate(dist, texts)}
    figures["parameters"] = int(sum(np.prod(v.shape) for v in dist.trainable_variables))
    if texts.words["train"].ndim == 2:
        figures["beside"] = beside(texts)
    targets = case.check(figures["perplexity"])
    if settings.model == "RecurrentLanguageModel":
        best = min(own["perplexity"] for own in figures["beside"].values())
        targets.append(check("perplexity / best of Kneser-Ney", "<=", 1.0, round(figures["perplexity"] / best, 4)))
    return results.make(
        kind="likelihood",
        case=case.name,
        command=command,
        seed=settings.seed,
        data=texts.describe(),
        settings=settings.as_dict(),
        figures=figures,
        paper={},
        targets=targets,
    )


def train(dist: Any, settings: TextSettings, texts: Texts) -> int:
    """Trains with early stopping on the validation texts; returns the number of epochs."""
    import keras

    import tfar

    model = tfar.training.DensityModel(dist, seed=settings.seed)
    model.compile(keras.optimizers.Adam(settings.learning_rate, global_clipnorm=settings.clip_norm))
    watched = {"monitor": "val_nll", "mode": "min"}
    slower = keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=1, **watched)
    best = keras.callbacks.EarlyStopping(patience=settings.patience, restore_best_weights=True, **watched)
    how = {"epochs": settings.max_epochs, "batch_size": settings.batch_size, "callbacks": [slower, best], "verbose": 2}
    fitted = model.fit(texts.words["train"], validation_data=texts.words["valid"], **how)
    return len(fitted.epoch)


def evaluate(dist: Any, texts: Texts) -> dict[str, Any]:
    """Returns the perplexity a word of the test texts, an end counted as a word, of an autoencoder that of reconstructions."""
    words = texts.words["test"]
    batches = [words[first : first + EVAL_BATCH] for first in range(0, len(words), EVAL_BATCH)]
    nats = np.concatenate([np.asarray(dist.evaluate(batch)["nll"], np.float64) for batch in batches])
    counts = np.concatenate([np.asarray(dist.law.num_symbols(batch.astype(np.float32))) for batch in batches])
    return perplexity(nats, counts)


def perplexity(nats: Any, counts: Any) -> dict[str, float]:
    """Returns exp(sum of nats / sum of words) and its standard error over texts."""
    found, share = float(np.exp(nats.sum() / counts.sum())), nats.sum() / counts.sum()
    error = float(np.std(nats - share * counts, ddof=1)) * len(nats) ** 0.5 / counts.sum()
    each = round(float(nats.mean()), 3)
    return {"perplexity": round(found, 2), "standard_error": round(found * error, 2), "nats_a_text": each}


def beside(texts: Texts) -> dict[str, Any]:
    """Returns the perplexities of Kneser-Ney n-grams by their order."""
    train, test = texts.texts("train"), texts.texts("test")
    counts, found = np.array([len(text) for text in test]), {}
    for order in ORDERS:
        peer = KneserNey(train, order, texts.vocabulary_size)
        found[f"Kneser-Ney {order}"] = perplexity(np.array([peer.nats(text) for text in test]), counts)
    return found
