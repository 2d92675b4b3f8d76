"""A Keras model that trains a distribution."""

import math
import os
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar import files, model_files
from tfar.distributions import Autoregressive
from tfar.training.batches import Batches, FollowEpoch

KEYS = ("value", "conditional_input", "observed", "sample_weight")


@keras.saving.register_keras_serializable("tfar")
class DensityModel(keras.Model):
    """Trains a distribution with `fit`; `predict` and a call give `log_prob`.

    Data are arrays or datasets of `x`, of `(x, None, sample_weight)`, or of dicts with the keys `value`,
    `conditional_input`, `observed` and `sample_weight`. In `fit`, `loss` is the training objective of the distribution; `nll`
    (nats an event) and `bits_per_dim` of evaluation come from its `log_prob`, or from the objective if that is asked for.

    All randomness of training is a function of (seed, `optimizer.iterations`), and the shuffling of arrays one of
    (seed, epoch), so that a run resumed from a backup equals an unbroken one.

    Args:
        dist: the distribution.
        seed: int.
        validation_draws: int. 0: evaluation takes `log_prob`. Otherwise it takes the mean training objective of so many draws for
            each row, the same every time, and with dropout: of an orderless model, whose `log_prob` takes a pass for each
            site, an estimate of the mean over all orders in that many passes.
        **kwargs: those of `keras.Model`.

    Raises:
        ValueError: If `dist` is not a `tfar.Autoregressive`, or `validation_draws` is negative.

    Example:
        >>> model = tfar.training.DensityModel(tfar.MADE(event_shape=[4], hidden_units=[8]))
        >>> model.compile(optimizer="adam")
        >>> history = model.fit(np.eye(4), epochs=1, verbose=0)
        >>> sorted(model.evaluate(np.eye(4), verbose=0, return_dict=True))
        ['bits_per_dim', 'loss', 'nll']
    """

    def __init__(self, dist: Autoregressive, seed: int = 0, validation_draws: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(dist, Autoregressive):
            raise ValueError(f"Expected `dist` to be a tfar.Autoregressive; received {type(dist).__name__}.")
        self.dist = dist
        if validation_draws < 0:
            raise ValueError(f"Expected `validation_draws` of at least 0; received {validation_draws!r}.")
        self.seed, self.validation_draws = int(seed), int(validation_draws)
        self.network, self.head = dist.network, dist.head
        self._nll = keras.metrics.Mean("nll")
        self._bits_per_dim = keras.metrics.Mean("bits_per_dim")
        self.built = True

    def build(self, input_shape: Any = None) -> None:
        """The variables exist since the distribution was made."""
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> tf.Tensor:
        """`log_prob [B]` of a batch in any of the forms of the data."""
        value, condition, observed, _ = self._unpack(inputs)
        return self._log_prob(value, condition, observed)

    def compile(
        self, optimizer: Any = "adam", loss: Any = None, jit_compile: bool | str = "auto", **kwargs: Any
    ) -> None:
        """As `keras.Model.compile`, without a loss.

        "auto" compiles with XLA if the distribution's eager calls do, unless there are several replicas. With Keras's
        `steps_per_execution` of 10, say, a small model trains faster: so many of the same updates a call, and callbacks of
        batches after them.
        """
        if loss is not None:
            raise ValueError(f"Expected no `loss`: the distribution has its own training objective; received {loss!r}.")
        if jit_compile == "auto":
            jit_compile = self.dist.jit_compile and self.distribute_strategy.num_replicas_in_sync == 1
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """The inverse of `get_compile_config`, so that a file brings the optimiser and its state back."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    # One step --------------------------------------------------------------------------------------------------------

    def train_step(self, data: Any) -> dict[str, Any]:
        value, condition, observed, weight = self._unpack(data)
        seed = tf.stack([tf.constant(self.seed), tf.cast(tf.convert_to_tensor(self.optimizer.iterations), tf.int32)])
        with tf.GradientTape() as tape:
            losses = self.dist.training_loss(value, condition, observed=observed, seed=seed)
            total, count = tf.reduce_sum(_weighted(losses, weight)), tf.cast(tf.shape(losses)[0], tf.float32)
            sums = self._global_sum(tf.stop_gradient(tf.stack([total, count])))
            loss = total / sums[1]
            if self.losses:
                loss += tf.add_n(self.losses) / self.distribute_strategy.num_replicas_in_sync
            scaled = self.optimizer.scale_loss(loss)
        variables = self.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(scaled, variables), variables, strict=True))
        # The mean over all replicas on each of them, as Keras reports the plain mean of what the replicas return.
        self._loss_tracker.update_state(sums[0] / sums[1], sample_weight=sums[1])
        return {"loss": self._loss_tracker.result()}

    def test_step(self, data: Any) -> dict[str, Any]:
        value, condition, observed, weight = self._unpack(data)
        nll = self._evaluated(value, condition, observed)
        weight = tf.ones_like(nll) if weight is None else weight
        nll = _weighted(nll, weight) / tf.where(weight > 0.0, weight, tf.ones_like(weight))
        dims = math.prod(self.network.event_shape)
        self._loss_tracker.update_state(nll, sample_weight=weight)
        self._nll.update_state(nll, sample_weight=weight)
        self._bits_per_dim.update_state(nll / (dims * math.log(2.0)), sample_weight=weight)
        return {metric.name: metric.result() for metric in (self._loss_tracker, self._nll, self._bits_per_dim)}

    def predict_step(self, data: Any) -> tf.Tensor:
        return self.call(data)

    def _log_prob(self, value: Any, condition: Any, observed: Any) -> tf.Tensor:
        if observed is None:
            return self.dist.log_prob(value, conditional_input=condition)
        return self.dist.log_prob(value, conditional_input=condition, observed=observed)

    def _evaluated(self, value: Any, condition: Any, observed: Any) -> tf.Tensor:
        """What evaluation reports of each row, in nats."""
        if not self.validation_draws:
            return -self._log_prob(value, condition, observed)
        seeds = [tf.constant([-1, draw]) for draw in range(self.validation_draws)]  # no step of training has them
        draws = [self.dist.training_loss(value, condition, observed=observed, seed=seed) for seed in seeds]
        return tf.add_n(draws) / len(draws)

    def _global_sum(self, values: tf.Tensor) -> tf.Tensor:
        if self.distribute_strategy.num_replicas_in_sync == 1:
            return values
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)

    def _unpack(self, data: Any) -> tuple[Any, Any, Any, tf.Tensor | None]:
        """Value, condition, observed and weight of a batch in any of the forms of the data."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        if y is not None:
            raise ValueError(
                "Expected no targets: a density model learns from `x`, or `(x, None, sample_weight)`; received y."
            )
        parts = _checked_dict(x) if isinstance(x, dict) else {"value": x}
        weight = parts.get("sample_weight", weight)
        weight = None if weight is None else tf.reshape(tf.cast(weight, tf.float32), [-1])
        return parts["value"], parts.get("conditional_input"), parts.get("observed"), weight

    # Loops -----------------------------------------------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """As `keras.Model.fit`, for densities: no targets, and arrays are shuffled as a function of (seed, epoch).

        A distribution whose initial weights depend on data, and which has seen none, is shown the first batch before.
        """
        if class_weight is not None:
            raise ValueError("Expected no `class_weight`, as there are no classes; use `sample_weight`.")
        x = _pack(x, y, sample_weight)
        if validation_split and validation_data is None:
            x, validation_data = _split(x, validation_split)
        elif isinstance(validation_data, tuple):
            validation_data = _pack(*keras.utils.unpack_x_y_sample_weight(validation_data))
        else:
            validation_data = _lists_as_arrays(validation_data)
        callbacks = list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks] if callbacks else []
        if _is_arrays(x):
            x, batch_size = Batches(x, batch_size or 32, seed=self.seed, shuffle=shuffle), None
            callbacks.insert(0, FollowEpoch(x))
        if isinstance(x, Batches):
            shuffle = False
        if _is_arrays(validation_data):
            size = kwargs.pop("validation_batch_size", None) or (x.batch_size if isinstance(x, Batches) else batch_size)
            validation_data = Batches(validation_data, size or 32, shuffle=False)
        if self.dist.awaits_data:
            self._initialize(x)
        return super().fit(
            x,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=validation_data,
            shuffle=shuffle,
            **kwargs,
        )

    def _initialize(self, x: Any) -> None:
        """Shows the first batch to a distribution whose initial weights depend on data."""
        if isinstance(x, keras.utils.PyDataset):
            batch = x[0]
        elif isinstance(x, tf.data.Dataset):
            batch = next(iter(x))
        else:
            raise ValueError(
                f"Expected arrays or a tf.data.Dataset, whose first batch {type(self.dist).__name__} is initialised with; "
                f"received {type(x).__name__}. Call `dist.initialize(batch)` before `fit`."
            )
        value, condition, *_ = self._unpack(batch)
        with self.distribute_strategy.scope():
            self.dist.initialize(value, condition)

    def evaluate(self, x: Any = None, y: Any = None, batch_size: Any = None, **kwargs: Any) -> Any:
        """As `keras.Model.evaluate`: `loss` and `nll` in nats an event, `bits_per_dim`; see `validation_draws`."""
        x = _pack(x, y, kwargs.pop("sample_weight", None))
        if _is_arrays(x):
            x, batch_size = Batches(x, batch_size or 32, shuffle=False), None
        return super().evaluate(x, batch_size=batch_size, **kwargs)

    # Files -----------------------------------------------------------------------------------------------------------

    def save(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """As `keras.Model.save`, written beside and renamed."""
        path = os.fspath(filepath)
        if not path.endswith(".keras"):
            raise ValueError(f"Expected a path that ends with '.keras'; received {path!r}.")
        if not overwrite and os.path.exists(path):
            raise FileExistsError(f"{path} exists, and `overwrite` is False.")
        with files.replacing(path, ".keras") as temporary:
            super().save(temporary, **kwargs)

    def save_weights(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """As `keras.Model.save_weights`, written beside and renamed."""
        if not overwrite and os.path.exists(filepath):
            raise FileExistsError(f"{filepath} exists, and `overwrite` is False.")
        with files.replacing(filepath, ".weights.h5") as temporary:
            super().save_weights(temporary, **kwargs)

    def get_config(self) -> dict[str, Any]:
        dist = keras.saving.serialize_keras_object(self.dist)
        return {"dist": dist, "seed": self.seed, "validation_draws": self.validation_draws, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "DensityModel":
        config = dict(config)
        config["dist"] = keras.saving.deserialize_keras_object(config["dist"], custom_objects=custom_objects)
        return cls(**config)


def load(path: Any, compile: bool = False) -> Autoregressive:
    """Reads the distribution of a model that `DensityModel.save` wrote.

    Args:
        path: a `.keras` file.
        compile: bool. Read the optimiser's state too.

    Returns:
        The distribution, with its weights.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no `.keras` file of a `DensityModel`.
    """
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"Expected a model file; there is none at {path}.")
    with model_files.reading_model(path):
        model = keras.saving.load_model(path, compile=compile)
    if not isinstance(model, DensityModel):
        raise ValueError(f"Expected {path} to hold a DensityModel; it holds a {type(model).__name__}.")
    return model.dist


def _weighted(losses: tf.Tensor, weight: tf.Tensor | None) -> tf.Tensor:
    """Losses times weights, where a weight of zero gives zero even for a loss that is NaN."""
    if weight is None:
        return losses
    return tf.where(tf.equal(weight, 0.0), tf.zeros_like(losses), losses) * weight


def _checked_dict(parts: dict[str, Any]) -> dict[str, Any]:
    if "value" not in parts or set(parts) - set(KEYS):
        raise ValueError(f"Expected a dict with the key 'value' and none but {KEYS}; received {sorted(parts)}.")
    return {name: part for name, part in parts.items() if part is not None}


def _is_arrays(x: Any) -> bool:
    parts = keras.tree.flatten(x) if isinstance(x, dict) else [x]
    return all(isinstance(part, np.ndarray | tf.Tensor) for part in parts) if parts else False


def _pack(x: Any, y: Any, weight: Any) -> Any:
    """Joins arrays and their weights in a dict, as Keras drops weights that come without targets."""
    if y is not None:
        raise ValueError("Expected no targets: a density model learns from `x` alone; received y.")
    x, weight = _lists_as_arrays(_checked_dict(x) if isinstance(x, dict) else x), _lists_as_arrays(weight)
    if weight is None:
        return x
    if not _is_arrays(x):
        raise ValueError("Expected `sample_weight` beside arrays; a dataset holds its own: (x, None, sample_weight).")
    return {**(x if isinstance(x, dict) else {"value": x}), "sample_weight": weight}


def _lists_as_arrays(x: Any) -> Any:
    """Turns lists of numbers into arrays, in dicts too: elsewhere a list would be a structure."""
    if isinstance(x, dict):
        return {name: _lists_as_arrays(part) for name, part in x.items()}
    return np.asarray(x) if isinstance(x, list) else x


def _split(x: Any, fraction: float) -> tuple[Any, Any]:
    """Splits the last rows off arrays, for validation."""
    if not _is_arrays(x) or not 0.0 < fraction < 1.0:
        raise ValueError(f"Expected arrays and a `validation_split` between 0 and 1; received {fraction!r}.")
    parts = keras.tree.map_structure(np.asarray, x)
    count = len(keras.tree.flatten(parts)[0])
    cut = count - max(1, int(count * fraction))
    return keras.tree.map_structure(lambda a: a[:cut], parts), keras.tree.map_structure(lambda a: a[cut:], parts)
