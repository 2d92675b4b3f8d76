"""Speed cases and likelihood cases, which the files in `benchmarks/models` define for each model."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.timing import Call

Medians = Mapping[str, Mapping[str, float]]


class Unavailable(Exception):
    """Raised if a contestant cannot run on this machine. The message gives the reason."""


@dataclasses.dataclass(frozen=True)
class Contestant:
    """The implementation of a case by one library.

    Args:
        operations: dict from the name of an operation to a dict from the name of a mode ("eager", "tf.function", "XLA") to a
            function without arguments. The function returns after its result is a NumPy array. The fastest mode is reported.
        parameters: int. Number of trainable parameters, which shows that the contestants have the same size.
    """

    operations: Mapping[str, Mapping[str, Call]]
    parameters: int


@dataclasses.dataclass(frozen=True)
class Target:
    """A limit on a number computed from the medians. The number is None if a contestant was skipped."""

    name: str
    relation: str
    limit: float
    value: Callable[[Medians], float | None]

    def check(self, medians: Medians) -> dict[str, Any]:
        """Returns the entry of the result file: the target, the measured number and whether the target is met."""
        return check(self.name, self.relation, self.limit, self.value(medians))


def check(name: str, relation: str, limit: float, value: float | None) -> dict[str, Any]:
    """Compares a value with a limit. `met` is None if there is no value."""
    if relation not in ("<=", ">="):
        raise ValueError(f"Expected relation '<=' or '>='. Received: {relation!r}")
    met = None if value is None else bool(value <= limit if relation == "<=" else value >= limit)
    return {"name": name, "relation": relation, "limit": limit, "value": value, "met": met}


@dataclasses.dataclass(frozen=True)
class SpeedCase:
    """A model of one size, with its implementations by several libraries.

    Args:
        name: str. Unique name. The result file is `speed-<name>.json`.
        settings: dict. Settings that all contestants share, for the result file.
        contestants: dict from names to functions that build the contestants. Names of tfar's contestants start with "tfar".
        targets: limits that the run checks.
        seed: int. Seed of the batch and of the weights of every contestant.
        quick: bool. Whether this is the small case of `--quick`, which the tables leave out.
    """

    name: str
    settings: Mapping[str, Any]
    contestants: Mapping[str, Callable[[], Contestant]]
    targets: Sequence[Target]
    seed: int = 0
    quick: bool = False


@dataclasses.dataclass(frozen=True)
class Settings:
    """Training settings of a likelihood case.

    `ema_momentum` is the momentum of the moving average of the weights; None uses the weights themselves. `num_masks` None draws
    new masks at every update and averages `num_eval_masks` masks in the test. `test_orders` are the numbers of orders that the
    test results average; the last number is used for the result of the case. `validation_draws` is the number of samples of the
    training objective that the validation loss averages; with 0 the validation loss is computed from log_prob. In each of the
    last `decay_epochs` epochs the learning rate is multiplied by `decay_factor`. `clip_norm` is the maximum of the global norm of
    the gradients; None does not clip. A model with a latent variable has the bits of `latent_units`, is trained with the gradient
    estimator named `gradient_estimator`, and is scored by the importance-weighted bound of `importance_samples` latents.
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
    latent_units: tuple[int, ...] = ()
    gradient_estimator: str = ""
    importance_samples: int = 0
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Returns the settings for the result file. Optional settings that are not in use are left out."""
        found = {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}
        skipped = () if self.test_orders else ("test_orders", "validation_draws")
        skipped += () if self.decay_epochs else ("decay_epochs", "decay_factor")
        skipped += () if self.clip_norm else ("clip_norm",)
        skipped += () if self.latent_units else ("latent_units", "gradient_estimator", "importance_samples")
        return {name: value for name, value in found.items() if name not in skipped}


@dataclasses.dataclass(frozen=True)
class LikelihoodCase:
    """A model on a data set.

    Args:
        name: str. Unique name. The result file is `likelihood-<name>.json`.
        title: str. Name of the model in the tables.
        data: str. Name of the data set in `benchmarks.data.load`.
        settings: Settings of the training.
        build: function `(settings, event_size) -> (distribution, DensityModel)`. The model is not yet compiled. A case with a
            `run` of its own says what this builds.
        paper: float or None. Published result in nats.
        source: str. Source of the published result.
        target: float or None. Maximum of the test negative log-likelihood in nats, or minimum of the log-likelihood.
        paper_width: bool. Whether the case runs for hours, and therefore only with `--paper-width`.
        relation: str. "<=" for a negative log-likelihood, ">=" for a log-likelihood over the folds of `data.load_folds`.
        event_shape: shape of an event, or None for a vector.
        eval_rows: int or None. Number of test rows to score, from the first on, if scoring all rows would take hours.
        all_rows_orders: numbers of orders for which all test rows are scored, in addition to the first `eval_rows`.
        quick: additional settings of `--quick`.
        jit_compile: whether XLA compiles the train step, as in Keras. On a CPU convolutions are slow in XLA.
        with_classes: bool. Whether the model is conditional on the class of the row.
        standardize: bool. For folds: whether the rows are standardised before training.
        refit: bool. For folds: whether the tested model is trained again on training and validation rows together, for the
            number of epochs with the best validation loss.
        paper_by_orders: dict from numbers of orders to published results, or None.
        beside: None, or a function of the splits whose result is reported with the results, such as sizes of codecs.
        unit: str. "nats", "bits a sample" for audio, or, for texts, "perplexity" or a phrase that begins with it.
        further: dict from names of other figures of a test to pairs (relation, limit), which are targets too.
        linear_probe: bool. For a model with a latent variable: whether the test fits a linear classifier to the latents.
        run: None, or the function `(case, options, command) -> Result` that loads the data, trains and evaluates, where that is
            not `benchmarks.likelihood.run`: `benchmarks.folds.run`, `benchmarks.audio.run` or `benchmarks.documents.run`.
    """

    name: str
    title: str
    data: str
    settings: Settings
    build: Callable[..., Any]
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
    further: Mapping[str, tuple[str, float]] = dataclasses.field(default_factory=dict)
    linear_probe: bool = False
    unit: str = "nats"
    run: Callable[[LikelihoodCase, Any, str], Any] | None = None

    @property
    def figure(self) -> str:
        """Name of the figure of a result that is the result of the case."""
        if self.unit != "nats":
            return "perplexity" if self.unit.startswith("perplexity") else "bits_per_dim"
        return "test_nll" if self.relation == "<=" else "test_log_likelihood"

    def check(self, score: float) -> list[dict[str, Any]]:
        """Returns the target for the result file, as a list that is empty if there is no target."""
        what = f"test NLL, {self.unit}" if self.relation == "<=" else f"test log-likelihood, {self.unit}"
        return [] if self.target is None else [check(what, self.relation, self.target, score)]

    def check_further(self, figures: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Returns the targets of other figures for the result file."""
        return [check(f"test {name}", *limit, figures[name]) for name, limit in self.further.items()]


@dataclasses.dataclass(frozen=True)
class ModelCases:
    """The type of the module attribute `CASES` of each `benchmarks/models/<name>.py`."""

    speed: Sequence[SpeedCase] = ()
    likelihood: Sequence[LikelihoodCase] = ()


def model_names() -> list[str]:
    """Returns the names of the models that have cases, in alphabetical order."""
    package = importlib.import_module("benchmarks.models")
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def load_cases(model: str) -> ModelCases:
    """Returns the cases of a model. This does not import TensorFlow."""
    if model not in model_names():
        raise ValueError(f"Expected a model out of {model_names()}. Received: {model!r}")
    cases = importlib.import_module(f"benchmarks.models.{model}").CASES
    if not isinstance(cases, ModelCases):
        raise ValueError(f"Expected CASES of benchmarks.models.{model} to be ModelCases. Received: {cases!r}")
    return cases
