"""Scores of rows that do not fit into memory, by an exported model, in a run that may be killed."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tfar import files
from tfar.exports import find_export
from tfar.serving.log_prob import SavedLogProb
from tfar.serving.partial_scores import PartialScores
from tfar.serving.score_files import WRITERS, check_out


class Batches(Protocol):
    """Batches of rows that can be read from any batch on, such as `tfar.data.open_rows` makes."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Plain JSON: what tells these rows, and these batches, from others."""

    def batches(self, skip: int = 0) -> Iterable[Any]:
        """The batches without the first `skip`."""


@dataclass(frozen=True)
class Scored:
    """What a run of `score` has done.

    Args:
        path: the file of the scores.
        num_rows: int.
        num_resumed: int. How many of them an earlier run, which was stopped, had scored.
        num_nan: int. Rows whose values are outside the support, missing or not finite.
        first_nan: int. The first of those rows, counted from 0; -1 if there is none.
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

    The rows so far lie in the hidden folder `.<name of out>.part` beside `out`, at most a second of work behind. If the
    run is killed, or the disk is full, the same call goes on from there: in the result no row is lost and none is
    repeated, and on the same machine it equals that of an unbroken run to the last bit. `out` takes its name when it is
    complete; a file that was there is replaced.

    A row whose values are outside the support, missing or not finite is NaN, and only that row.

    Args:
        export: folder of an exported SavedModel: of all versions, of which the newest is taken, or of one.
        data: `tfar.data.open_rows(...)`, or a `tf.data.Dataset` of batches: arrays `[B, *event_shape]`, or dicts of
            `value` and `conditional_input` for a conditional model. To resume, a dataset must give the same batches
            again; this is not checked beyond its element_spec and its cardinality.
        out: `.csv` (columns row and log_prob), `.npy` (float32 `[N]`) or `.parquet` (columns row and log_prob).
        progress: called with the number of rows scored so far; on a resumed run first with those of the runs before.

    Returns:
        `Scored`.

    Raises:
        ValueError: If `export`, `data` or `out` is not one, if they do not fit, or if what lies in the hidden folder
            was scored by another model or on other rows.
        OSError: If it could not be written, for example to a full disk; what was scored is kept.

    Example:
        >>> _ = tfar.serving.export_saved_model(tfar.MADE([4], [8]), "exported/made")
        >>> np.save("rows.npy", np.eye(4)[[0, 1, 2, 3, 0]])
        >>> score("exported/made", tfar.data.open_rows("rows.npy", batch_size=2), "scores.npy").num_rows
        5
        >>> np.load("scores.npy").shape
        (5,)
    """
    out = Path(out)
    check_out(out)
    found = find_export(export)
    rows = _Dataset(data) if isinstance(data, tf.data.Dataset) else data
    identity = {"model": found.checksums(), "data": rows.identity}
    log_prob = SavedLogProb(found.path)
    with PartialScores(out, identity) as done:
        resumed = done.rows
        _score(log_prob, rows.batches(done.batches), done, progress)
        if not done.rows:
            raise ValueError("expected rows to score; received none")
        num_nan, first_nan = _count_nan(done)
        with done.explaining(out), files.replacing(out, out.suffix, done.folder) as temporary:
            WRITERS[out.suffix](temporary, done.chunks(), done.rows)
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
    """The batches of a `tf.data.Dataset`."""

    def __init__(self, dataset: tf.data.Dataset) -> None:
        self.dataset = dataset
        self.identity = {"spec": str(dataset.element_spec), "cardinality": int(dataset.cardinality())}

    def batches(self, skip: int = 0) -> Iterable[Any]:
        return self.dataset.skip(skip).prefetch(2).as_numpy_iterator()
