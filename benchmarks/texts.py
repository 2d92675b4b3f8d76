"""A likelihood case of texts: the perplexity a word of a language model or of reconstructions, beside Kneser-Ney n-grams."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import budget, results, sentences, training
from benchmarks.cases import LikelihoodCase, Settings, check
from benchmarks.learner import ModelLearner
from benchmarks.peers.kneser_ney import KneserNey
from benchmarks.sentences import Texts

UNIT = "perplexity"
ORDERS = (1, 2, 3, 4, 5)
EVAL_BATCH = 200
# Variance of the mean of a latent between texts from which it counts as active; that of `tfar.training`.
ACTIVE_VARIANCE = 0.01


@dataclasses.dataclass(frozen=True)
class TextSettings(Settings):
    """Settings of a recurrent model of texts.

    Attributes:
        model: name of a class of tfar.
        arguments: further arguments of the constructor; `latent_dim` of a model with a latent variable among them.
        importance_samples: latents of the bound by which a model with a latent variable is scored.
        language_model: None, or the case of the language model beside which the model is set, and which has to run before it.
        beats_kneser_ney: whether a language model has the target of a perplexity below that of n-grams.
        seconds: processor seconds of training, see `benchmarks.budget`.
    """

    model: str = "RecurrentLanguageModel"
    importance_samples: int = 100
    language_model: str | None = None
    beats_kneser_ney: bool = True
    units: int = 256
    embedding_dim: int = 128
    arguments: tuple[tuple[str, Any], ...] = ()
    dropout_rate: float = 0.5
    learning_rate: float = 2e-3
    clip_norm: float | None = 5.0
    batch_size: int = 64
    seconds: float = 1800.0

    def as_dict(self) -> dict[str, Any]:
        """Returns the settings that these models use, for the result file."""
        used = ("model", "units", "embedding_dim", "dropout_rate", "learning_rate", "clip_norm", "batch_size")
        found = {name: getattr(self, name) for name in (*used, "seconds", "seed")} | dict(self.arguments)
        return found | ({} if self.language_model is None else {"importance_samples": self.importance_samples})


def build(settings: TextSettings, texts: Texts) -> Any:
    """The model of a case; its sizes are those of the texts."""
    import tfar

    how = {"embedding_dim": settings.embedding_dim, "dropout_rate": settings.dropout_rate, "seed": settings.seed}
    how |= {"units": settings.units, "counts": texts.counts}
    sizes = (texts.vocabulary_size, *texts.words["train"].shape[1:])
    return getattr(tfar, settings.model)(*sizes, **how, **dict(settings.arguments))


def run(case: LikelihoodCase, options: argparse.Namespace, command: str) -> results.Result:
    """Trains and evaluates a case; `options` are those of the command line."""
    case, command = budget.with_seconds(case, options, command)
    settings: Any = case.settings
    texts = sentences.load(case.data)
    texts = texts.head() if options.quick else texts
    language_model = None if options.quick else _language_model(settings, options.json or results.FOLDER)
    dist = case.build(settings, texts)
    trained = train(dist, settings, texts, training.case_folder(options.folder, case, texts, fresh=options.fresh))
    figures = {**evaluate(dist, settings, texts), **trained}
    if texts.words["train"].ndim == 2:
        figures["beside"] = beside(texts)
    if language_model is not None:
        figures["perplexity_to_language_model"] = round(figures["perplexity"] / language_model["perplexity"], 4)
        figures["nats_below_language_model"] = round(language_model["nats_a_text"] - figures["nats_a_text"], 3)
    return results.make(
        kind="likelihood",
        case=case.name,
        command=command,
        seed=settings.seed,
        data=texts.describe(),
        settings={**settings.as_dict(), "threads": options.threads},
        figures=figures,
        paper={},
        targets=_targets(case, figures, quick=options.quick),
    )


def _targets(case: LikelihoodCase, figures: dict[str, Any], *, quick: bool) -> list[dict[str, Any]]:
    """Returns the targets of a case; a quick run has no language model, and no targets beside one."""
    settings: Any = case.settings
    targets = case.check(figures["perplexity"])
    if settings.model == "RecurrentLanguageModel" and settings.beats_kneser_ney:
        best = min(own["perplexity"] for own in figures["beside"].values())
        targets.append(check("perplexity, that of the best Kneser-Ney", "<=", best, figures["perplexity"]))
    further = {name: limit for name, limit in case.further.items() if name in figures or not quick}
    return [*targets, *(check(f"test {name}", *limit, figures[name]) for name, limit in further.items())]


def _language_model(settings: Any, folder: Any) -> dict[str, Any] | None:
    """Returns the figures of the language model beside which a model is set, or None if there is none."""
    if settings.language_model is None:
        return None
    found = results.find("likelihood", settings.language_model, folder)
    if found is None:
        raise ValueError(f"Expected a result of {settings.language_model}, which has to run first. Received: none")
    return found.figures


def train(dist: Any, settings: Any, texts: Texts, folder: pathlib.Path) -> dict[str, Any]:
    """Trains for the seconds of the settings, or goes on where an earlier call was stopped; see `benchmarks.budget`.

    Returns:
        What a result file says of the training, and the number of parameters.
    """
    learner = ModelLearner(dist, {"value": texts.words["train"].astype(np.float32)}, settings)
    how = {"seconds": settings.seconds, "highest_rate": settings.learning_rate, "suffix": learner.suffix}
    journal = budget.train(learner, lambda: valid_loss(dist, texts), folder, **how)
    return {**budget.figures(journal), "parameters": learner.parameters}


def valid_loss(dist: Any, texts: Texts) -> float:
    """Returns the mean over validation texts of the negative log-probability, or of the negative bound of one latent."""
    terms = scores(dist, texts.words["valid"], 1)
    return float((-terms["elbo"] if dist.num_latents else terms["nll"]).mean())


def scores(dist: Any, words: NDArray[np.int32], num_samples: int) -> dict[str, NDArray[np.float64]]:
    """Returns what `dist.evaluate` gives for texts, by a number of latents if there are latents."""
    how = {"num_samples": num_samples} if dist.num_latents else {}
    found = [dist.evaluate(batch, seed=seed, **how) for seed, batch in enumerate(batches(words))]
    return {name: np.concatenate([np.asarray(part[name], np.float64) for part in found]) for name in found[0]}


def batches(words: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    """Returns texts in parts that are evaluated together."""
    return [words[first : first + EVAL_BATCH] for first in range(0, len(words), EVAL_BATCH)]


def evaluate(dist: Any, settings: Any, texts: Texts) -> dict[str, Any]:
    """Returns the perplexity a word of the test texts, an end counted as a word, of an autoencoder that of reconstructions.

    That of a model with a latent variable is by the importance-weighted bound, with the use of the latent beside it.
    """
    decoder, words = dist.decoder if dist.num_latents else dist, texts.words["test"]
    terms = scores(dist, words, settings.importance_samples)
    counts = np.concatenate([np.asarray(decoder.law.num_symbols(batch.astype(np.float32))) for batch in batches(words)])
    if not dist.num_latents:
        return perplexity(terms["nll"], counts)
    bound = perplexity(-terms["elbo"], counts)
    return {
        **perplexity(-terms["importance_log_prob"], counts),
        "bound_perplexity": bound["perplexity"],
        "bound_nats_a_text": bound["nats_a_text"],
        "kl": round(float(terms["kl"].mean()), 3),
        "active_units": int((terms["latent_mean"].var(axis=0) > ACTIVE_VARIANCE).sum()),
    }


def perplexity(nats: Any, counts: Any) -> dict[str, float]:
    """Returns exp(sum of nats / sum of words) and its standard error over texts."""
    nats, counts = np.asarray(nats, np.float64), np.asarray(counts, np.float64)
    found, share = float(np.exp(nats.sum() / counts.sum())), nats.sum() / counts.sum()
    error = float(np.std(nats - share * counts, ddof=1) * len(nats) ** 0.5 / counts.sum())
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
