"""Scores rows that may be larger than memory with an exported model, in runs that can be resumed."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tfar import files
from tfar.exports import find_export
from tfar.serving import score_files
from tfar.serving.log_prob import SavedLogProb
from tfar.serving.partial_scores import PartialScores


class Batches(Protocol):
    """Batches of rows that can be read from any batch on, such as those of `tfar.data.open_rows`."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """JSON values that identify the rows and how they are batched."""

    def batches(self, skip: int = 0) -> Iterable[Any]:
        """Returns the batches after the first `skip`."""


@dataclass(frozen=True)
class Scored:
    """The result of `score`.

    Args:
        path: the file of the scores.
        num_rows: int.
        num_resumed: int. Number of rows that an earlier, interrupted run had scored.
        num_nan: int. Number of rows whose values are outside of the support, missing or not finite.
        first_nan: int. The first of these rows, from 0; -1 if there is none.
    """

    path: Path
    num_rows: int
    num_resumed: int
    num_nan: int
    first_nan: int


def score(
    export: str | os.PathLike[str],
    data: Batches | tf.data.Dataset,
    out: str | os.PathLike[str],
    *,
    progress: Callable[[int], None] | None = None,
) -> Scored:
    """Writes the log_prob of each row, in nats, with constant memory.

    About every second the scores are saved in the hidden folder `.<name of out>.part` in the folder of `out`. If the run is
    killed, or the disk is full, the same call resumes from there. The result has every row exactly once and, on the same
    machine, equals that of an uninterrupted run to the last bit. `out` is written when all rows are scored and replaces an
    existing file.

    The score of a row is NaN if its values are outside of the support or not finite; other rows are not affected. A value that
    is NaN is not observed if the model takes any pattern of observed values, and the score is that of the others. Rows of a model
    of events of any length, such as documents, are padded with NaN, and the score is that of the values before. For other models
    the score is NaN.

    Args:
        export: folder of an exported SavedModel: of all versions, which means the newest one, or of one version.
        data: `tfar.data.open_rows(...)`, `tfar.data.open_texts(...)`, or a `tf.data.Dataset` of batches: arrays
            `[B, *event_shape]`, or dicts of `value` and `conditional_input` for a conditional model. To resume, a dataset
            must yield the same batches again; only its element_spec and cardinality are checked.
        out: `.csv` (columns row and log_prob), `.npy` (float32 `[N]`) or `.parquet` (columns row and log_prob).
        progress: called with the number of rows scored so far, in a resumed run first with the number of resumed rows.

    Returns:
        `Scored`.

    Raises:
        ValueError: If `export`, `data` or `out` is not valid, if they do not match, or if the hidden folder has scores of another
            model or of other rows.
        OSError: If a file cannot be written, for example because the disk is full. The scores so far are kept.

    Example:
        >>> _ = tfar.serving.export_saved_model(tfar.MADE([4], [8]), "exported/made")
        >>> np.save("rows.npy", np.eye(4)[[0, 1, 2, 3, 0]])
        >>> score("exported/made", tfar.data.open_rows("rows.npy", batch_size=2), "scores.npy").num_rows
        5
        >>> np.load("scores.npy").shape
        (5,)
    """
    out = Path(out)
    score_files.check_out(out)
    found = find_export(export)
    rows = _Dataset(data) if isinstance(data, tf.data.Dataset) else data
    identity = {"model": found.checksums(), "data": rows.identity}
    missing = any(found.description.get(name, False) for name in ("any_pattern", "shorter"))
    log_prob = SavedLogProb(found.path, missing=missing)
    with PartialScores(out, identity) as done:
        resumed = done.rows
        _score(log_prob, rows.batches(done.batches), done, progress)
        if not done.rows:
            raise ValueError("expected rows to score; received none")
        num_nan, first_nan = _count_nan(done)
        with done.explaining(out), files.replacing(out, out.suffix, done.folder) as temporary:
            score_files.write(temporary, done.chunks(), done.rows, out.suffix)
        files.sync_folder(out.parent)
        done.remove()
    return Scored(out, done.rows, resumed, num_nan, first_nan)


def _score(
    log_prob: SavedLogProb, batches: Iterable[Any], done: PartialScores, progress: Callable[[int], None] | None
) -> None:
    rows = done.rows
    if progress is not None:
        progress(rows)
    for batch in batches:
        scores = log_prob(batch)
        done.append(scores)
        rows += len(scores)
        if progress is not None:
            progress(rows)
    done.commit()


def _count_nan(done: PartialScores) -> tuple[int, int]:
    count, first_nan = 0, -1
    for first, scores in done.chunks():
        rows = np.flatnonzero(np.isnan(scores))
        if len(rows) and first_nan < 0:
            first_nan = first + int(rows[0])
        count += len(rows)
    return count, first_nan


class _Dataset:
    """Batches of a `tf.data.Dataset`."""

    def __init__(self, dataset: tf.data.Dataset) -> None:
        self.dataset = dataset
        self.identity = {"spec": str(dataset.element_spec), "cardinality": int(dataset.cardinality())}

    def batches(self, skip: int = 0) -> Iterable[Any]:
        return self.dataset.skip(skip).prefetch(2).as_numpy_iterator()
