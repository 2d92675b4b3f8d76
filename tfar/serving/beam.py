"""Scores rows on many machines with Apache Beam: a `ModelHandler` for `RunInference`.

Beam's own handler for TensorFlow loads Keras files; this one calls the signature `log_prob` of a SavedModel. It needs
`pip install "tfar[beam]"`.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

try:
    from apache_beam.ml.inference.base import ModelHandler, PredictionResult
except ImportError as error:
    raise ImportError(
        f'apache_beam could not be imported ({error}). Install it with: pip install "tfar[beam]"'
    ) from error

from tfar.exports import find_export
from tfar.serving.log_prob import SavedLogProb


class LogProbModelHandler(ModelHandler[Any, PredictionResult, SavedLogProb]):
    """Scores rows with an exported SavedModel.

    An element is a row, an array of `event_shape`; for a conditional model it is a dict of `value` and `conditional_input`. Its
    result is a `PredictionResult` with the row and its log_prob in nats, a float, which is NaN for a row that is outside of the
    support or not finite. To match rows with results, give pairs of a key and a row to
    `RunInference(KeyedModelHandler(handler))`.

    Each worker process loads the model once.

    Args:
        export: folder of an exported SavedModel that every worker can read: of all versions, which means the newest one when
            the pipeline is built, or of one version. An address with `://` must be that of one version; TensorFlow on the
            workers reads it.
        min_batch_size: int. Smallest number of rows to score at once, unless fewer remain.
        max_batch_size: int. Largest number of rows to score at once.

    Raises:
        ValueError: If `export` is not an export, or a size is not valid.

    Example:
        >>> import apache_beam as beam
        >>> from apache_beam.ml.inference.base import RunInference
        >>> _ = tfar.serving.export_saved_model(tfar.MADE([4], [8]), "exported/made")
        >>> handler = LogProbModelHandler("exported/made")
        >>> with beam.Pipeline() as pipeline:
        ...     results = pipeline | beam.Create([np.zeros([4])]) | RunInference(handler)
        ...     _ = results | beam.Map(lambda result: print(result.inference < 0.0))
        True
    """

    def __init__(
        self, export: str | os.PathLike[str], *, min_batch_size: int = 100, max_batch_size: int = 1000
    ) -> None:
        super().__init__()
        if not 1 <= min_batch_size <= max_batch_size:
            raise ValueError(
                f"expected 1 <= min_batch_size <= max_batch_size; received {min_batch_size!r} and {max_batch_size!r}"
            )
        self.sizes = {"min_batch_size": min_batch_size, "max_batch_size": max_batch_size}
        # All workers use one version, even if another one is exported while they run.
        self.path = os.fspath(export) if "://" in os.fspath(export) else str(find_export(export).path)

    def load_model(self) -> SavedLogProb:
        """Loads the SavedModel."""
        return SavedLogProb(self.path)

    def run_inference(
        self, batch: Sequence[Any], model: SavedLogProb, inference_args: dict[str, Any] | None = None
    ) -> Iterable[PredictionResult]:
        """Scores a batch of rows.

        Raises:
            ValueError: If the rows have another shape or lack the condition.
        """
        scores = model(_stacked(batch))
        return [PredictionResult(row, score, self.path) for row, score in zip(batch, scores.tolist(), strict=True)]

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        """Returns the bounds of the batch size."""
        return self.sizes

    def get_num_bytes(self, batch: Sequence[Any]) -> int:
        """Returns the size of a batch in bytes, for the metrics of Beam."""
        return sum(_num_bytes(row) for row in batch)

    def get_metrics_namespace(self) -> str:
        """Returns the namespace of the metrics of this handler."""
        return "tfar_log_prob"


def _stacked(rows: Sequence[Any]) -> Any:
    """Stacks rows, arrays or dicts of arrays."""
    if isinstance(rows[0], Mapping):
        return {name: _stacked([row[name] for row in rows]) for name in rows[0]}
    shapes = {np.shape(row) for row in rows}
    if len(shapes) > 1:
        raise ValueError(f"expected rows of one shape; received {', '.join(map(str, sorted(shapes)))}")
    return np.stack([np.asarray(row) for row in rows])


def _num_bytes(row: Any) -> int:
    return sum(map(_num_bytes, row.values())) if isinstance(row, Mapping) else np.asarray(row).nbytes
