"""What a model registers to be measured: speed cases and likelihood cases."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.timing import Call

Medians = Mapping[str, Mapping[str, float]]


class Unavailable(Exception):
    """A contestant that cannot run here; the message says why."""


@dataclasses.dataclass(frozen=True)
class Contestant:
    """One library's implementation of a case, ready to be called.

    Args:
        operations: operation name to mode name ("eager", "tf.function", "XLA") to a call without arguments that
            returns once its result is a NumPy array. The fastest mode of each operation is the one reported.
        parameters: int. Number of trainable numbers, so that a reader sees that the contestants are of one size.
    """

    operations: Mapping[str, Mapping[str, Call]]
    parameters: int


@dataclasses.dataclass(frozen=True)
class Target:
    """A limit on one number computed from the medians; `value` is None where a contestant was skipped."""

    name: str
    relation: str
    limit: float
    value: Callable[[Medians], float | None]

    def check(self, medians: Medians) -> dict[str, Any]:
        """The target as a result file keeps it, with what was measured and whether it is met."""
        return check(self.name, self.relation, self.limit, self.value(medians))


def check(name: str, relation: str, limit: float, value: float | None) -> dict[str, Any]:
    """Compares one value with a limit; `met` is None if there is no value."""
    if relation not in ("<=", ">="):
        raise ValueError(f"Expected relation '<=' or '>='. Received: {relation!r}")
    met = None if value is None else bool(value <= limit if relation == "<=" else value >= limit)
    return {"name": name, "relation": relation, "limit": limit, "value": value, "met": met}


@dataclasses.dataclass(frozen=True)
class SpeedCase:
    """One size of one model, and everybody who runs it.

    Args:
        name: str. Unique over all models; the result file is `speed-<name>.json`.
        settings: what is common to the contestants, as the result file shows it.
        contestants: name to a function that builds it. Names of ours start with "tfar"; the others are peers.
        targets: limits that the run checks.
        seed: int. Of the batch and of every contestant's weights.
        quick: bool. Whether this is the small case of `--quick`, which no table shows.
    """

    name: str
    settings: Mapping[str, Any]
    contestants: Mapping[str, Callable[[], Contestant]]
    targets: Sequence[Target]
    seed: int = 0
    quick: bool = False


@dataclasses.dataclass(frozen=True)
class Settings:
    """How one likelihood case is trained; `ema_momentum` None means plain weights.

    `num_masks` None draws fresh masks at every update and averages `num_eval_masks` of them at test. `test_orders` are the
    numbers of orders that the test figures average, the last of them the case's own; `validation_draws` is the number of fixed
    draws of the training objective that a validation figure averages, 0 where it comes from log_prob. In each of the last
    `decay_epochs` the learning rate is `decay_factor` of that of the epoch before. `clip_norm` is the largest norm that all
    gradients together may have, None for any.
    """

    hidden_units: tuple[int, ...] = (500,)
    activation: str = "relu"
    direct_connections: bool = True
    order: str = "random"
    degrees: str = "even"
    num_masks: int | None = 1
    num_eval_masks: int = 16
    dropout_rate: float = 0.0
    test_orders: tuple[int, ...] = ()
    validation_draws: int = 0
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    weight_decay: float | None = None
    ema_momentum: float | None = None
    batch_size: int = 100
    max_epochs: int = 1000
    patience: int = 30
    decay_epochs: int = 0
    decay_factor: float = 0.3
    clip_norm: float | None = None
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """As a result file keeps them: the fields of orders, of the decay and of clipping only where there are some."""
        found = {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}
        skipped = () if self.test_orders else ("test_orders", "validation_draws")
        skipped += () if self.decay_epochs else ("decay_epochs", "decay_factor")
        skipped += () if self.clip_norm else ("clip_norm",)
        return {name: value for name, value in found.items() if name not in skipped}


@dataclasses.dataclass(frozen=True)
class LikelihoodCase:
    """One model on one data set.

    Args:
        name: str. Unique over all models; the result file is `likelihood-<name>.json`.
        title: str. The model in a table's words.
        data: str. A name that `benchmarks.data.load` knows.
        settings: how it is trained.
        build: `(settings, event_size) -> (distribution, DensityModel)`, the model not yet compiled.
        paper: the published figure in nats, or None.
        source: where that figure stands.
        target: the test NLL in nats that the case must not exceed, or the log-likelihood that it must reach, or None.
        paper_width: bool. Whether it runs for hours and only with `--paper-width`.
        relation: "<=" for an NLL, ">=" for a log-likelihood over the folds of `benchmarks.data.load_folds`.
        event_shape: shape of an event, if the model sees more than a vector of its bits.
        eval_rows: int. The first rows of the test set alone are scored, if a score of all takes hours.
        all_rows_orders: numbers of orders that score all test rows, beside those that score the first `eval_rows`.
        quick: settings of `--quick` beside narrow layers and few epochs.
        jit_compile: whether XLA compiles the train step, as Keras takes it; on the CPU its convolutions are slow.
        with_classes: bool. Whether the model is told the class of every row.
        standardize: bool. Of folds: whether the model sees standardised rows, as one that does not take the units out itself.
        refit: bool. Of folds: whether what is tested was trained afresh on training and validation rows together, for as many
            epochs as were best on validation.
        paper_by_orders: the published figures of growing numbers of orders, or None.
        beside: None, or what is computed of the splits and reported beside the figures, such as what codecs need.
    """

    name: str
    title: str
    data: str
    settings: Settings
    build: Callable[[Settings, int], tuple[Any, Any]]
    paper: float | None
    source: str
    target: float | None
    paper_width: bool = False
    relation: str = "<="
    event_shape: tuple[int, ...] | None = None
    eval_rows: int | None = None
    all_rows_orders: tuple[int, ...] = ()
    quick: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    jit_compile: bool | str = "auto"
    with_classes: bool = False
    standardize: bool = False
    refit: bool = False
    paper_by_orders: Mapping[int, float] | None = None
    beside: Callable[[Any], Mapping[str, float]] | None = None

    def check(self, score: float) -> list[dict[str, Any]]:
        """The target as a result file keeps it, if there is one."""
        what = "test NLL, nats" if self.relation == "<=" else "test log-likelihood, nats"
        return [] if self.target is None else [check(what, self.relation, self.target, score)]


@dataclasses.dataclass(frozen=True)
class ModelCases:
    """The module-level `CASES` of each `benchmarks/models/<name>.py`."""

    speed: Sequence[SpeedCase] = ()
    likelihood: Sequence[LikelihoodCase] = ()


def model_names() -> list[str]:
    """Names of the models that have cases, in alphabetical order."""
    package = importlib.import_module("benchmarks.models")
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def load_cases(model: str) -> ModelCases:
    """The cases of one model; importing them does not import TensorFlow."""
    if model not in model_names():
        raise ValueError(f"Expected a model out of {model_names()}. Received: {model!r}")
    cases = importlib.import_module(f"benchmarks.models.{model}").CASES
    if not isinstance(cases, ModelCases):
        raise ValueError(f"Expected CASES of benchmarks.models.{model} to be ModelCases. Received: {cases!r}")
    return cases
