"""`tfar score` and `tfar complete` for models of tables."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from tfar.cli import frames, outputs, table_runs
from tfar.cli.printing import shown
from tfar.cli.quiet import load_tensorflow


def refuse(**options: Any) -> None:
    """Raises ValueError if an option was given that a model of a table does not take."""
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given:
        raise ValueError(f"{', '.join(given)}: a model of a table does not take this option")


def score(path: Path, data: str, out: Path, batch_size: int, given: str | None, console: Console) -> None:
    """Writes the log_prob of each row to a .csv file; with `given`, see `tfar.TableModel.explain`, the surprise of each cell."""
    outputs.check_out(out, (".csv",))
    if out.exists() and Path(data).exists() and out.samefile(data):
        raise ValueError(f"expected --out to be a new file; {out} is the file to score")
    load_tensorflow()
    model = table_runs.load(path)
    header = ["row", "log_prob", *(model.schema.names if given else [])]
    written = Counted(_scores(model, frames.chunks(data, model.schema, batch_size), given))
    with console.status("Scoring"):
        outputs.write_table(out, header, written)
    console.print(f"Wrote the log_prob of {written.count:,} rows to [bold]{shown(out)}[/].")


def _scores(model: Any, parts: Iterator[Any], given: str | None) -> Iterator[list[Any]]:
    """Yields the number, the score and, with `given`, the surprises of each row."""
    number = 0
    for part in parts:
        log_probs = model.log_prob(part)
        cells = model.explain(part, given).to_numpy().tolist() if given else [[]] * len(part)
        for log_prob, surprises in zip(log_probs, cells, strict=True):
            yield [number, float(log_prob), *surprises]
            number += 1


class Counted:
    """An iterator that counts."""

    def __init__(self, items: Iterator[Any]) -> None:
        self.items, self.count = items, 0

    def __iter__(self) -> Iterator[Any]:
        for item in self.items:
            self.count += 1
            yield item


def complete(
    path: Path, data: str, out: Path, num_samples: int, num_rows: int | None, seed: int, console: Console
) -> None:
    """Writes the rows of a table with their missing cells drawn; with several draws, a column `draw` with their number."""
    outputs.check_out(out, (".csv", ".parquet"))
    load_tensorflow()
    model = table_runs.load(path)
    df = frames.read(data, schema=model.schema)
    df = df if num_rows is None else df.iloc[:num_rows]
    if not df.isna().any().any():
        raise ValueError(f"every cell of {data} is there: expected missing cells")
    with console.status(f"Completing {len(df)} rows"):
        if num_samples == 1:
            done = model.complete(df, seed=seed)
        else:
            done = model.complete(df, num_samples, seed=seed).reset_index(level="draw")
    frames.write(out, done)
    console.print(f"Wrote {num_samples} completion(s) of {len(df)} rows to [bold]{shown(out)}[/].")
