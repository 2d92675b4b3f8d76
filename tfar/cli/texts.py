"""Texts in the commands: how a run reads them, its vocabulary, and the scores of documents."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfar.cli.trained_on import SPLIT, TrainedOn, located
from tfar.exports import sha256

MAX_WORDS = 10_000


def load(settings: Any) -> tuple[Any, TrainedOn]:
    """Opens the texts of a run, and returns them with what the run remembers of them.

    Raises:
        ValueError: If options of other data are given, or the files hold no texts.
    """
    from tfar.data import from_texts

    names = ("key", "header", "frames", "condition", "channel", "chunk_length", "head")
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(settings, name) is not None]
    if given:
        raise ValueError(f"{', '.join(given)}: {settings.model} takes texts, which have no such option")
    path, column = located(str(settings.data), settings.data_dir), _column(settings.columns)
    splits = from_texts(path, column=column, max_words=settings.max_words or MAX_WORDS, **SPLIT)
    files = {"sha256": _fingerprint(path), **SPLIT}
    text = {"vocabulary": splits.vocabulary.as_json(), "column": column, "counts": _counts(splits, settings)}
    return splits, TrainedOn(files=files, text=text)


def _counts(splits: Any, settings: Any) -> list[int]:
    """Returns how often each word occurs in the training texts, and word 0, the end, if texts of the model have one."""
    counts = splits.counts
    if settings.arguments.get("length") == "eos":
        ends = {"max_length": settings.arguments.get("max_length"), "ends": True}
        counts[0] = splits.batches("train", **ends).num_ends
    return counts.tolist()


def _column(columns: Sequence[str | int] | None) -> str | int | None:
    """Returns the only column of `--columns`, or None."""
    if columns is None:
        return None
    if len(columns) != 1:
        raise ValueError(f"--columns: expected the one column of the texts; received {len(columns)}")
    return columns[0]


def _fingerprint(path: str) -> str:
    from tfar.data.texts import find_texts

    return sha256(find_texts(path))


def batches(splits: Any, split: str, dist: Any, settings: Any) -> Any:
    """Returns the documents of a split for training and validation, or None if there is no such split."""
    if split not in splits.documents:
        return None
    ends, limit = decoder_of(dist).network.ends, dist.event_shape[0]
    return splits.batches(split, batch_size=settings.batch_size, max_length=limit, ends=ends, seed=settings.seed)


def decoder_of(dist: Any) -> Any:
    """Returns the distribution of words itself, or, of a model with a latent variable, that given a latent."""
    return dist.decoder if dist.num_latents else dist


def perplexity(nll: float, documents: Any) -> float:
    """Returns the perplexity of a word from the mean negative log-likelihood of documents; an end counts as a word."""
    return math.exp(nll * documents.num_rows / (documents.num_words + documents.num_ends))


def open_like(data: str, split: str | None, data_dir: Path | None, trained: TrainedOn) -> tuple[Any, str, bool]:
    """Opens texts with the vocabulary of a model.

    Args:
        data: str. Path of files of texts.
        split: str or None. Default: "test" for the files that the model was trained on, "all" for others.
        data_dir: folder that `data` is relative to, or None.
        trained: what the model knows of its data.

    Returns:
        The texts, the name of the split, and whether these are the test texts of those that the model was trained on.
    """
    from tfar.data import Vocabulary, from_texts
    from tfar.data.splits import SPLIT_NAMES

    text, path = trained.text or {}, located(data, data_dir)
    is_known = trained.files is not None and _fingerprint(path) == trained.files["sha256"]
    split = split or ("test" if is_known else "all")
    if split not in (*SPLIT_NAMES, "all"):
        raise ValueError(f"unknown split {split!r}: expected one of {', '.join((*SPLIT_NAMES, 'all'))}")
    fractions: dict[str, Any] = {**SPLIT, **({"valid_fraction": 0.0, "test_fraction": 0.0} if split == "all" else {})}
    vocabulary = Vocabulary.from_json(text["vocabulary"])
    splits = from_texts(path, column=text["column"], vocabulary=vocabulary, **fractions)
    return splits, split, is_known and split == "test"


def scores(
    dist: Any, splits: Any, split: str, batch_size: int, latents: int
) -> Iterator[tuple[dict[str, np.ndarray], int]]:
    """Yields the scores `[B]` of the documents of each batch by name, in order, and their number of words and ends.

    They are the log-probabilities or, of a model with a latent variable, its bounds, the importance-weighted one with `latents`
    latents first.
    """
    decoder, row = decoder_of(dist), 0
    how: dict[str, Any] = {"max_length": dist.event_shape[0], "ends": decoder.network.ends, "shuffle": False}
    found = splits.batches("train" if split == "all" else split, batch_size=batch_size, **how)
    for index in range(len(found)):
        batch = found[index]
        if dist.num_latents:  # Every document has latents of its own.
            terms = dist.evaluate(**batch, seed=row, num_samples=latents)
            named = {name: terms[name] for name in ("importance_log_prob", "elbo") if name in terms}
        else:
            named = {"log_prob": -dist.evaluate(**batch)["nll"]}
        observed = batch.get("observed", None if decoder.network.ends else np.ones_like(batch["value"], bool))
        num_words = int(np.sum(decoder.law.num_symbols(batch["value"], observed)))
        row += len(batch["value"])
        yield {name: np.asarray(values, np.float64) for name, values in named.items()}, num_words


def open_rows(data: str, description: Mapping[str, Any], trained: TrainedOn, batch_size: int) -> Any:
    """Opens texts of any number for an exported model, whose `tfar.json` has this description."""
    from tfar.data import Vocabulary, open_texts

    text = trained.text or {}
    return open_texts(
        data,
        Vocabulary.from_json(text["vocabulary"]),
        batch_size=batch_size,
        column=text["column"],
        max_length=description["event_shape"][0],
        ends=not description["shorter"],
    )


def beginnings(
    data: str, data_dir: Path | None, trained: TrainedOn, dist: Any, length: int | None, count: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Reads texts as the beginnings of documents.

    Args:
        data: str. Path of files of texts.
        data_dir: folder that `data` is relative to, or None.
        trained: what the model knows of its data.
        dist: the distribution.
        length: number of words of the completed documents; None for the size of the event.
        count: number of texts, or None for all.

    Returns:
        The words, float32 `[N, length]`, and which of them are given, bool.

    Raises:
        ValueError: If a length is missing or another than that of the event, or a text has more words.
    """
    from tfar.data import Vocabulary, open_texts

    text, limit = trained.text or {}, dist.event_shape[0]
    if length is None and limit is None:
        raise ValueError("expected --length, the number of words of a completion of a model of texts of any length")
    if None not in (length, limit) and length != limit:
        raise ValueError(f"--length: expected {limit}, the number of words of a text of the model; received {length}")
    size = int(length or limit)
    vocabulary = Vocabulary.from_json(text["vocabulary"])
    rows = open_texts(located(data, data_dir), vocabulary, column=text["column"])
    lines = list(itertools.islice(rows.texts(), count))
    if not lines:
        raise ValueError(f"{data}: expected texts; received none")
    documents = vocabulary.encode(lines)
    value, known = np.zeros([len(documents), size], np.float32), np.zeros([len(documents), size], bool)
    for row, document in enumerate(documents):
        if len(document) > size:
            raise ValueError(f"{data}: expected at most {size} words; received {len(document)} in text {row}")
        value[row, : len(document)], known[row, : len(document)] = document, True
    return value, known


def write(path: Path, samples: np.ndarray, trained: TrainedOn) -> None:
    """Writes samples as lines of text."""
    from tfar import files
    from tfar.data import Vocabulary

    lines = Vocabulary.from_json((trained.text or {})["vocabulary"]).decode(samples)
    with files.replacing(path) as temporary:
        Path(temporary).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
