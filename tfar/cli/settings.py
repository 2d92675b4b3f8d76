"""The settings of a training run, as its config.json keeps them."""

import dataclasses
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from tfar.cli.models import MODELS, OPTIONS

ORDERS = ("natural", "reverse", "random")
VERSIONS_OF = ("tensorflow", "keras", "tensorflow-probability", "numpy")
# What may change when a run is resumed: how long it goes on, and where its data lie.
FREE = ("epochs", "data_dir")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that decides the result of `tfar train`, the rows of the data aside.

    Attributes:
        model: the model's name.
        data: name of a data set or path of a file.
        data_dir: folder of data sets, or None.
        hidden_units: units of each hidden layer, or None for what suits the model.
        order: "natural", "reverse" or "random".
        num_masks: number of masks; None: fresh ones at every update.
        arguments: other arguments of the model's constructor.
        head: None for the one that suits the data, or "Name" or "Name:number" of `tfar.heads`.
        epochs: most epochs.
        batch_size: rows of an update.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        patience: epochs without a better validation before the run stops.
        ema: momentum of the moving average of the weights, or None.
        seed: of weights, masks and shuffling.
    """

    model: str = "made"
    data: str | None = None
    data_dir: str | None = None
    hidden_units: tuple[int, ...] | None = None
    order: str = "natural"
    num_masks: int | None = 1
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    head: str | None = None
    epochs: int = 100
    batch_size: int = 100
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    patience: int = 10
    ema: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise ValueError(f"unknown model {self.model!r}: expected one of {', '.join(MODELS)}")
        if self.order not in ORDERS:
            raise ValueError(f"unknown order {self.order!r}: expected one of {', '.join(ORDERS)}")
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected --{name.replace('_', '-')} of at least 1; received {getattr(self, name)}")
        if self.patience < 0 or self.seed < 0:
            raise ValueError(f"expected no negative number; received patience {self.patience}, seed {self.seed}")
        if not self.learning_rate > 0 or not self.weight_decay >= 0:
            raise ValueError(
                "expected a positive --learning-rate and a --weight-decay of at least 0; "
                f"received {self.learning_rate} and {self.weight_decay}"
            )
        if self.ema is not None and not 0 < self.ema < 1:
            raise ValueError(f"expected --ema between 0 and 1, such as 0.999; received {self.ema}")

    def as_json(self) -> dict[str, Any]:
        """The settings as plain values."""
        units = self.hidden_units
        return {**dataclasses.asdict(self), "hidden_units": None if units is None else list(units)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Settings":
        """The inverse of `as_json`."""
        units = content["hidden_units"]
        return cls(**{**content, "hidden_units": None if units is None else tuple(units)})

    def options(self) -> dict[str, Any]:
        """The options that only some models take, by name."""
        return {name: getattr(self, name) for name in OPTIONS}


def resumed(before: Settings, now: Settings, given: set[str], folder: Path) -> Settings:
    """The settings with which a run goes on: those it began with, and of the given ones those that may change.

    Args:
        before: of the run's config.json.
        now: of the command line.
        given: which of them were given there; the others are defaults, and say nothing.
        folder: of the run, for messages.

    Raises:
        ValueError: If one was given that differs and may not; says what the run has and what came.
    """
    for name in sorted(given - set(FREE)):
        was, came = getattr(before, name), getattr(now, name)
        if was != came:
            raise ValueError(
                f"{folder} was started with {name} {_show(was)}; received {_show(came)}. Leave the option out to go on, or "
                "give another --out to start a new run"
            )
    return dataclasses.replace(before, **{name: getattr(now, name) for name in given & set(FREE)})


def _show(value: Any) -> str:
    if value is None:
        return "unset"
    return ",".join(map(str, value)) if isinstance(value, tuple) else repr(value)


def versions() -> dict[str, str]:
    """Versions of what decides the numbers of a run."""
    import tfar

    return {
        "tfar": tfar.__version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in VERSIONS_OF},
    }


def parse_units(texts: list[str]) -> tuple[int, ...]:
    """Turns ["500", "500"] or ["500,500"] into (500, 500).

    Raises:
        ValueError: If one is not an int of at least 1.

    Example:
        >>> parse_units(["500,250", "100"])
        (500, 250, 100)
    """
    parts = [part for text in texts for part in text.split(",")]
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise ValueError(f"expected hidden units as 500,500; received {','.join(texts)!r}")
    return tuple(int(part) for part in parts)


def parse_masks(text: str) -> int | None:
    """Turns "32" into 32, and "fresh" into None.

    Raises:
        ValueError: If it is neither an int of at least 1 nor "fresh".
    """
    if text == "fresh":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"expected a number of masks or 'fresh'; received {text!r}")
    return int(text)
