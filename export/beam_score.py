"""Scores files of any size on many machines: an Apache Beam pipeline that runs the log_prob of an exported SavedModel.

    pip install "tfar[beam,data]"
    python export/beam_score.py exported/made "logs/*.parquet" --out scores/part

writes scores/part-00000-of-0000N.csv, ...: tables of file, row (from 0 in each file) and log_prob, in any order. The score of a
row that is outside of the support, missing or not finite is NaN. Other options are passed to Beam, such as
`--runner=SparkRunner`. Every worker needs tfar, and the export and the data under the same paths. On one machine, `tfar score`
is simpler, keeps the order and can resume.
"""

import argparse
import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
from apache_beam.ml.inference.base import KeyedModelHandler, PredictionResult, RunInference
from apache_beam.options.pipeline_options import PipelineOptions

from tfar.data import open_rows
from tfar.serving.beam import LogProbModelHandler

Key = tuple[str, int]
ROWS_OF_A_PART = 100_000


@dataclass(frozen=True)
class Part:
    """Rows that one worker reads. `stop` is None for the rest of the file, because the length of a .csv file is unknown."""

    path: str
    start: int
    stop: int | None


def parts(pattern: str) -> list[Part]:
    """Splits files into parts that can be read in parallel. A .csv file is one part, because it is read from its start."""
    found = []
    for path in map(str, open_rows(pattern).paths):
        readers = open_rows(path).readers
        if any(reader.num_rows is None for reader in readers):
            found.append(Part(path, 0, None))
            continue
        num_rows = sum(reader.num_rows for reader in readers)
        starts = range(0, num_rows, ROWS_OF_A_PART)
        found.extend(Part(path, start, min(start + ROWS_OF_A_PART, num_rows)) for start in starts)
    return found


def read(part: Part) -> Iterator[tuple[Key, np.ndarray]]:
    """Yields the rows of a part, each with its file and its number in the file."""
    row = part.start
    for chunk in open_rows(part.path).chunks(part.start):
        for values in chunk[: None if part.stop is None else part.stop - row]:
            yield (part.path, row), values
            row += 1
        if row == part.stop:
            return


def as_line(scored: tuple[Key, PredictionResult]) -> str:
    """Returns a line of the table, with nine digits, which restore the float32."""
    (path, row), result = scored
    beam.metrics.Metrics.counter("tfar", "rows").inc()
    beam.metrics.Metrics.counter("tfar", "nan").inc(int(math.isnan(result.inference)))
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([path, row, f"{result.inference:.9g}"])
    return line.getvalue()


def run(export: str, pattern: str, out: str, options: Sequence[str] = ()) -> tuple[int, int]:
    """Runs the pipeline.

    Returns:
        The number of rows and the number of NaN scores.
    """
    handler = KeyedModelHandler(LogProbModelHandler(export))
    pipeline = beam.Pipeline(options=PipelineOptions(list(options), save_main_session=True))
    _ = (
        pipeline
        | "Parts" >> beam.Create(parts(pattern))
        | "Spread parts" >> beam.Reshuffle()
        | "Read rows" >> beam.FlatMap(read)
        | "Spread rows" >> beam.Reshuffle()
        | "Score" >> RunInference(handler)
        | "Lines" >> beam.Map(as_line)
        | "Write" >> beam.io.WriteToText(out, file_name_suffix=".csv", header="file,row,log_prob")
    )
    result = pipeline.run()
    result.wait_until_finish()
    found = result.metrics().query(beam.metrics.MetricsFilter().with_namespace("tfar"))["counters"]
    counts = {counter.key.metric.name: counter.committed for counter in found}
    return counts.get("rows", 0), counts.get("nan", 0)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", help="folder of an exported SavedModel")
    parser.add_argument("data", help=".npy, .npz, .csv or .parquet file, or a quoted pattern of them")
    parser.add_argument("--out", required=True, help="prefix of the names of the tables")
    arguments, options = parser.parse_known_args()
    rows, nan = run(arguments.export, arguments.data, arguments.out, options)
    print(f"Wrote the log_prob of {rows:,} rows to {arguments.out}-*.csv; {nan:,} are NaN.")


if __name__ == "__main__":
    main()
