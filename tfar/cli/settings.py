"""The settings of a training run. They are stored in its config.json."""

import dataclasses
from pathlib import Path
from typing import Any

from tfar.cli.models import MODELS, OPTIONS

# The name under which `tfar train` makes a `tfar.TableModel`.
TABLE = "table"
ORDERS = ("natural", "reverse", "random")
# The settings that may change when a run is resumed.
FREE = ("epochs", "data_dir")
_TUPLES = ("hidden_units", "columns")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything except the data that determines the result of `tfar train`, whose options describe the fields.

    None stands for all columns, single pictures instead of videos, no condition, the only channel and the usual chunks of audio
    files, the usual size of a vocabulary, hidden units that the model chooses, new masks at every update, a head that suits
    the data, and no moving average of the weights.
    """

    model: str = "made"
    data: str | None = None
    data_dir: str | None = None
    columns: tuple[str | int, ...] | None = None
    key: str | None = None
    header: bool | None = None
    frames: int | None = None
    condition: str | None = None
    channel: str | None = None
    chunk_length: int | None = None
    max_words: int | None = None
    hidden_units: tuple[int, ...] | None = None
    order: str = "natural"
    num_masks: int | None = 1
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    head: str | None = None
    standardize: bool = True
    epochs: int = 100
    batch_size: int = 100
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    patience: int = 10
    ema: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.model not in (*MODELS, TABLE):
            raise ValueError(f"unknown model {self.model!r}: expected one of {', '.join((*MODELS, TABLE))}")
        if self.order not in ORDERS:
            raise ValueError(f"unknown order {self.order!r}: expected one of {', '.join(ORDERS)}")
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected --{name.replace('_', '-')} of at least 1; received {getattr(self, name)}")
        if self.frames is not None and self.frames < 1:
            raise ValueError(f"expected --frames of at least 1; received {self.frames}")
        if self.chunk_length is not None and self.chunk_length < 1:
            raise ValueError(f"expected --chunk-length of at least 1; received {self.chunk_length}")
        if self.max_words is not None and self.max_words < 1:
            raise ValueError(f"expected --max-words of at least 1; received {self.max_words}")
        if self.patience < 0 or self.seed < 0:
            raise ValueError(f"expected --patience and --seed of at least 0; received {self.patience} and {self.seed}")
        if not self.learning_rate > 0 or not self.weight_decay >= 0:
            raise ValueError(
                "expected a positive --learning-rate and a --weight-decay of at least 0; "
                f"received {self.learning_rate} and {self.weight_decay}"
            )
        if self.ema is not None and not 0 < self.ema < 1:
            raise ValueError(f"expected --ema between 0 and 1, such as 0.999; received {self.ema}")

    def as_json(self) -> dict[str, Any]:
        """Returns the settings as values that JSON can represent."""
        lists = {name: getattr(self, name) for name in _TUPLES}
        return {**dataclasses.asdict(self), **{n: None if v is None else list(v) for n, v in lists.items()}}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Settings":
        """Makes settings from the result of `as_json`."""
        lists = {name: content[name] for name in _TUPLES}
        return cls(**{**content, **{n: None if v is None else tuple(v) for n, v in lists.items()}})

    def options(self) -> dict[str, Any]:
        """Returns the options that only some models have, by name."""
        return {name: getattr(self, name) for name in OPTIONS}


def resumed(before: Settings, now: Settings, given: set[str], folder: Path) -> Settings:
    """Returns the settings of a resumed run: those of its config.json, with the options in `FREE` that were passed.

    Raises:
        ValueError: If an option in `given`, those that were passed, differs from the stored one and is not in `FREE`.
    """
    for name in sorted(given - set(FREE)):
        was, came = getattr(before, name), getattr(now, name)
        if was != came:
            raise ValueError(
                f"{folder} was started with {name} {_show(was)}; received {_show(came)}. Omit the option to continue the run, "
                "or choose another --out for a new run"
            )
    return dataclasses.replace(before, **{name: getattr(now, name) for name in given & set(FREE)})


def _show(value: Any) -> str:
    if value is None:
        return "unset"
    return ",".join(map(str, value)) if isinstance(value, tuple) else repr(value)


def parse_units(texts: list[str]) -> tuple[int, ...]:
    """Parses ["500", "500"] or ["500,500"] into (500, 500).

    Example:
        >>> parse_units(["500,250", "100"])
        (500, 250, 100)
    """
    parts = [part for text in texts for part in text.split(",")]
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise ValueError(f"expected --hidden-units such as 500,500; received {','.join(texts)!r}")
    return tuple(int(part) for part in parts)


def parse_masks(text: str) -> int | None:
    """Parses "32" into 32 and "fresh" into None."""
    if text == "fresh":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"expected --num-masks to be a number or 'fresh'; received {text!r}")
    return int(text)
