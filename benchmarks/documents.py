"""A likelihood case of documents: perplexities a word and retrieval, beside LDA, LSI and TF-IDF of scikit-learn."""

from __future__ import annotations

import argparse
import dataclasses
import time
from typing import Any

import numpy as np

from benchmarks import newsgroups, results, topics
from benchmarks.cases import LikelihoodCase, Settings, check
from benchmarks.newsgroups import Bags

UNIT = "perplexity"
# Documents and words of a document for which LDA is scored, because left-to-right takes a time that grows with their square.
LDA_DOCUMENTS, LDA_WORDS, LDA_PARTICLES, LDA_PASSES, LDA_ALPHA, LDA_ETA = 150, 120, 20, 15, 0.1, 0.05
EVAL_BATCH = 100
MIXTURE_TARGETS = {None: 825.0, "balanced": 850.0}
LEAST_PRECISION = 0.49


@dataclasses.dataclass(frozen=True)
class DocumentSettings(Settings):
    """Settings of a model of bags of words; `tree` and `vocabulary_size` as in `tfar.DocNADE`."""

    hidden_units: tuple[int, ...] = (50,)
    vocabulary_size: int = 2000
    tree: str | None = None
    num_orders: tuple[int, ...] = (1, 16)
    learning_rate: float = 2e-3
    max_epochs: int = 40
    patience: int = 5

    def as_dict(self) -> dict[str, Any]:
        """Returns the settings that these models use, for the result file."""
        used = ("hidden_units", "vocabulary_size", "tree", "num_orders", "learning_rate", "batch_size", "max_epochs")
        found = {name: getattr(self, name) for name in (*used, "patience", "seed")}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def build(settings: DocumentSettings, bags: Bags) -> Any:
    """tfar's DocNADE."""
    import tfar

    counts = bags.counts["train"].sum(axis=0)
    size, units = bags.vocabulary_size, settings.hidden_units
    return tfar.DocNADE(size, units, tree=settings.tree, counts=counts, seed=settings.seed)


def run(case: LikelihoodCase, options: argparse.Namespace, command: str) -> results.Result:
    """Trains and evaluates a case; `options` are those of the command line."""
    settings: Any = case.settings
    bags = newsgroups.load(settings.vocabulary_size)
    bags = bags.head() if options.quick else bags
    dist = case.build(settings, bags)
    start = time.perf_counter()
    epochs = train(dist, settings, bags)
    figures = {"epochs": epochs, "train_seconds": round(time.perf_counter() - start, 1)}
    figures |= evaluate(dist, settings, bags)
    figures["parameters"] = int(sum(np.prod(v.shape) for v in dist.trainable_variables))
    figures["beside"] = beside(bags)
    mixture = figures["perplexities"][str(settings.num_orders[-1])]["macro"]
    targets = case.check(figures["perplexity"])
    if targets:
        last, lda = settings.num_orders[-1], figures["beside"]["LDA"]["perplexities"]["macro"]
        own = figures["lda_documents"][str(settings.num_orders[0])]["macro"]
        targets.append(check(f"perplexity, {last} orders", "<=", MIXTURE_TARGETS[settings.tree], mixture))
        targets.append(check("perplexity / that of LDA, on the same documents", "<=", 1.0, round(own / lda, 4)))
        targets.append(check("precision at 2 %", ">=", LEAST_PRECISION, figures["precision"]["2.00%"]))
    return results.make(
        kind="likelihood",
        case=case.name,
        command=command,
        seed=settings.seed,
        data=bags.describe(),
        settings=settings.as_dict(),
        figures=figures,
        paper={} if case.paper is None else {"perplexity": case.paper, "source": case.source},
        targets=targets,
    )


def train(dist: Any, settings: DocumentSettings, bags: Bags) -> int:
    """Trains with early stopping on the validation documents, which have the best weights; returns the number of epochs."""
    import keras

    import tfar

    how: dict[str, Any] = {"batch_size": settings.batch_size, "seed": settings.seed}
    data = {
        name: tfar.data.DocumentBatches(bags.documents(name), shuffle=name == "train", **how) for name in bags.counts
    }
    model = tfar.training.DensityModel(dist, seed=settings.seed)
    model.compile(keras.optimizers.Adam(settings.learning_rate))
    watched = {"monitor": "val_nll", "mode": "min"}
    slower = keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=1, **watched)
    best = keras.callbacks.EarlyStopping(patience=settings.patience, restore_best_weights=True, **watched)
    fitted = model.fit(
        data["train"], epochs=settings.max_epochs, validation_data=data["valid"], callbacks=[slower, best], verbose=2
    )
    return len(fitted.epoch)


def evaluate(dist: Any, settings: DocumentSettings, bags: Bags) -> dict[str, Any]:
    """Returns perplexities of the test documents by the number of orders, and the precision of retrieval."""
    lengths = bags.counts["test"].sum(axis=1)
    nats = {k: -_scores(dist, bags.documents("test"), k) for k in settings.num_orders}
    found = {str(k): topics.perplexities(own, lengths) for k, own in nats.items()}
    first = found[str(settings.num_orders[0])]
    few = np.flatnonzero(lengths <= LDA_WORDS)[:LDA_DOCUMENTS]
    return {
        "perplexity": first["macro"],
        "standard_error": first["macro_error"],
        "perplexities": found,
        "lda_documents": {str(k): topics.perplexities(own[few], lengths[few]) for k, own in nats.items()},
        "precision": retrieval(dist, bags),
    }


def _scores(dist: Any, documents: Any, count: int) -> np.ndarray:
    """log-probability of each document, averaged over random orders as probabilities."""
    import tfar

    batches = tfar.data.DocumentBatches(documents, EVAL_BATCH)
    parts = [
        dist.order_averaged_log_prob(batch["value"], count, index, observed=batch["observed"])
        for index, batch in ((index, batches[index]) for index in range(len(batches)))
    ]
    return np.concatenate(parts).astype(np.float64)


def retrieval(dist: Any, bags: Bags) -> dict[str, float]:
    """Returns the precision of retrieval by the vectors of documents."""
    import tfar

    def vectors(split: str) -> np.ndarray:
        batches = tfar.data.DocumentBatches(bags.documents(split), EVAL_BATCH)
        return np.concatenate([dist.encode(**batches[index]) for index in range(len(batches))])

    return topics.precisions(vectors("train"), vectors("test"), bags.labels["train"], bags.labels["test"])


def beside(bags: Bags) -> dict[str, Any]:
    """Returns the perplexities and the precision of other models: word frequencies, TF-IDF, LSI and LDA of 50 topics.

    LDA is scored on the documents of `lda_documents`, each in one random order of its words.
    """
    from sklearn.decomposition import LatentDirichletAllocation, TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer

    train, test = bags.counts["train"], bags.counts["test"]
    labels = (bags.labels["train"], bags.labels["test"])
    lengths = test.sum(axis=1)
    tfidf = TfidfTransformer().fit(train)
    weighted = [np.asarray(tfidf.transform(part).todense()) for part in (train, test)]
    lsi = TruncatedSVD(50, random_state=0).fit(weighted[0])
    priors = {"doc_topic_prior": LDA_ALPHA, "topic_word_prior": LDA_ETA}
    lda = LatentDirichletAllocation(50, learning_method="online", max_iter=LDA_PASSES, random_state=0, **priors).fit(
        train
    )
    parts = lda.components_ / lda.components_.sum(axis=1, keepdims=True)
    few, rng = np.flatnonzero(lengths <= LDA_WORDS)[:LDA_DOCUMENTS], np.random.default_rng(0)
    words = bags.documents("test")
    nats = [topics.left_to_right_nats(rng.permutation(words[row]), parts, LDA_ALPHA, LDA_PARTICLES, rng) for row in few]
    return {
        "word frequencies": {"perplexities": topics.perplexities(topics.unigram_nats(train, test), lengths)},
        "LDA": {
            "perplexities": topics.perplexities(np.array(nats), lengths[few]),
            "documents": len(few),
            "precision": topics.precisions(lda.transform(train), lda.transform(test), *labels),
        },
        "TF-IDF": {"precision": topics.precisions(*weighted, *labels)},
        "LSI": {"precision": topics.precisions(*(lsi.transform(part) for part in weighted), *labels)},
    }
