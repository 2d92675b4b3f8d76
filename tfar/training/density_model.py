"""A Keras model that trains a distribution."""

import os
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfar import files, forks, model_files, private
from tfar.numbered import NumberedBatches
from tfar.training import forms
from tfar.training.arguments import check_int, check_seed
from tfar.training.batches import Batches, FollowEpoch
from tfar.training.checks import DataCheck, LossCheck
from tfar.training.latents import PosteriorCheck
from tfar.training.run_folder import Run
from tfar.training.steps import FALLING, Steps

NEEDED = (
    "training_loss",
    "evaluate",
    "valid_rows",
    "check_rows",
    "awaits_data",
    "compiles_training",
    "layers",
    "num_latents",
)
# Rows of a stream that a distribution which awaits all rows is initialised with, at most.
STREAMED_ROWS = 10_000
# Training rows on which the terms of a bound are reported after every epoch without validation data.
REPORTED_ROWS = 1000


@keras.saving.register_keras_serializable("tfar")
class DensityModel(Steps):
    """Trains a distribution with `fit`; `predict` and a call return `log_prob`.

    The data are arrays, or data sets whose batches are `x`, `(x, None, sample_weight)`, or dicts with the keys `value`,
    `conditional_input`, `observed`, `site_weight` and `sample_weight`. For rows of different lengths, `observed` is a mask of
    the first values: `tf.sequence_mask(lengths)`.

    `loss` is the training objective of the distribution. `evaluate` reports `nll` in nats per event and `bits_per_dim`, which
    divides by the number of observed values of the row, or by the sum of their site weights. For a model with a latent variable,
    it reports `neg_elbo`, the negative bound with the KL weight 1, its terms `reconstruction` and `kl`, and `active_units`, the
    number of latent entries whose posterior mean varies between events; without validation data, `fit` reports these on the
    first 1000 training rows. It warns if no unit is active, because the decoder then ignores the latent.
    With sample weights w, `fit` and `evaluate` report sum(w * loss) / sum(w); the gradient is that of sum(w * loss) divided
    by the number of rows, as in Keras.

    The randomness of training is a function of (seed, number of the batch), and the shuffling of arrays is a function of
    (seed, epoch). A run that is resumed from a `Backup` equals one that was never interrupted.

    Args:
        dist: the distribution.
        seed: int.
        validation_draws: int. 0: `evaluate` computes the likelihood. Otherwise it computes the mean of this number of draws of
            the training objective, which are the same every time and use dropout. For a model of all orders, whose
            likelihood takes a pass for each site, this estimates the mean over the orders in as many passes.
        **kwargs: arguments of `keras.Model`.

    Raises:
        ValueError: If `dist` is not a distribution that can be trained, or a number is out of range.

    Example:
        >>> model = tfar.training.DensityModel(tfar.MADE(event_shape=[4], hidden_units=[8]))
        >>> model.compile(optimizer="adam")
        >>> history = model.fit(np.eye(4), epochs=1, verbose=0)
        >>> sorted(model.evaluate(np.eye(4), verbose=0, return_dict=True))
        ['bits_per_dim', 'loss', 'nll']
    """

    def __init__(self, dist: Any, seed: int = 0, validation_draws: int = 0, **kwargs: Any) -> None:
        is_trainable = isinstance(dist, tfp.distributions.Distribution) and all(hasattr(dist, n) for n in NEEDED)
        if not is_trainable:
            raise ValueError(f"Expected `dist` to be a distribution of tfar; received a {type(dist).__name__}.")
        # Only the distribution computes in half precision. Keras must not round the rows, but has to scale losses of float16.
        super().__init__(**{"dtype": _policy(dist), "autocast": False, **kwargs})
        self.dist = dist
        self.seed, self.validation_draws = check_seed(seed), check_int("validation_draws", validation_draws, 0)
        if dist.num_latents and validation_draws:
            raise ValueError(
                "Expected `validation_draws=0` for a model with a latent variable, whose training objective weights the KL term "
                f"and is no bound; received {validation_draws}."
            )
        for name, layer in dist.layers.items():  # Keras finds the weights in attributes, and files have their names.
            setattr(self, name, layer)
        self._make_metrics()
        self.built = True

    def build(self, input_shape: Any = None) -> None:
        """Does nothing: the variables exist since the distribution was made."""
        self.built = True

    def compile(
        self,
        optimizer: Any = "adam",
        *,
        jit_compile: bool | str = "auto",
        steps_per_execution: int = 1,
        run_eagerly: bool = False,
        auto_scale_loss: bool = True,
        loss: Any = None,
        metrics: Any = None,
    ) -> None:
        """Configures the model for training as `keras.Model.compile` does, without losses and metrics.

        Args:
            optimizer: a name or an optimizer.
            jit_compile: bool, or "auto": compile with XLA if the eager calls of the distribution do, unless there are several
                replicas, or the network is one of convolutions and there is no GPU: on a CPU these start in less time and
                train as fast without XLA.
            steps_per_execution: int. Number of steps in one call. 10, say, makes the training of a small model faster.
            run_eagerly: bool.
            auto_scale_loss: bool. Scale the loss where a layer of the distribution computes in float16.
            loss: None: the distribution has its own objective.
            metrics: None: they would compare a prediction with a target, and there are no targets.

        Raises:
            ValueError: If a loss or metrics are given.
        """
        if loss is not None:
            raise ValueError(f"Expected no `loss`: the distribution has its own training objective; received {loss!r}.")
        if metrics is not None:
            raise ValueError(
                f"Expected no `metrics`: there are no targets, and `evaluate` reports the likelihood; received {metrics!r}."
            )
        if jit_compile == "auto":
            pays = self.dist.compiles_training or bool(tf.config.list_physical_devices("GPU"))
            jit_compile = self.dist.jit_compile and self._num_replicas == 1 and pays
        super().compile(
            optimizer=optimizer,
            jit_compile=jit_compile,
            steps_per_execution=steps_per_execution,
            run_eagerly=run_eagerly,
            auto_scale_loss=auto_scale_loss,
        )

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of `compile` that make the same configuration again."""
        config = super().get_compile_config() or {}
        own = {name: config[name] for name in ("optimizer", "jit_compile", "steps_per_execution") if name in config}
        if own:
            own["auto_scale_loss"] = isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        return own

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """The inverse of `get_compile_config`, so that a file restores the optimizer and its state."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

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
        validation_batch_size: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Trains as `keras.Model.fit` does, without targets; arrays are shuffled as a function of (seed, epoch).

        With `steps_per_epoch`, an epoch of arrays starts with the rows after those of the previous epoch, in a resumed run too.
        A distribution that awaits data is initialised before the first step.

        Raises:
            ValueError: If the data have a form that does not fit, a row is outside the support (the error names row and
                site), or the loss of a step is not finite.
        """
        if class_weight is not None:
            raise ValueError("Expected no `class_weight`, as there are no classes; use `sample_weight`.")
        x = self._packed(x, y, sample_weight)
        if validation_split and validation_data is None:
            x, validation_data = forms.split(x, validation_split)
        elif isinstance(validation_data, tuple):
            validation_data = self._packed(*keras.utils.unpack_x_y_sample_weight(validation_data))
        elif validation_data is not None:
            validation_data = self._packed(validation_data)
        if forms.is_arrays(x):
            x, batch_size = Batches(x, batch_size or 32, seed=self.seed, shuffle=shuffle), None
        batches = x if isinstance(x, NumberedBatches) else None
        if forms.is_arrays(validation_data):
            size = validation_batch_size or (batches.batch_size if batches else batch_size)
            validation_data, validation_batch_size = Batches(validation_data, size or 32, shuffle=False), None
        steps = kwargs.get("steps_per_epoch")
        # Keras would keep the iterator of an earlier epoch, while the order of the rows changes with the epoch.
        if batches is not None and steps is not None:
            batches, kwargs["steps_per_epoch"] = batches.with_steps(check_int("steps_per_epoch", steps, 1)), None
        check = DataCheck(self.dist)
        data, validation_data = check.data(x if batches is None else batches), check.data(validation_data)
        self.initialize(x)
        # Batches shuffle by themselves, and Keras warns if it is asked to shuffle a stream.
        shuffle = shuffle and batches is None and isinstance(data, keras.utils.PyDataset)
        before = [LossCheck(batches), *([FollowEpoch(batches)] if batches else [])]
        if self.dist.num_latents:
            before.append(PosteriorCheck(_first_rows(batches) if validation_data is None else None))
        callbacks = [*before, *_listed(callbacks)]
        with check.raising(), Run(self, callbacks, kwargs.get("initial_epoch", 0)) as run:
            return super().fit(
                data,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=run.callbacks,
                validation_data=validation_data,
                shuffle=shuffle,
                validation_batch_size=validation_batch_size,
                **kwargs,
            )

    def evaluate(self, x: Any = None, y: Any = None, batch_size: Any = None, **kwargs: Any) -> Any:
        """Evaluates as `keras.Model.evaluate` does: `loss` and `nll` in nats per event, and `bits_per_dim`."""
        if kwargs.get("_use_cached_eval_dataset"):  # `fit` calls, and has checked the data.
            return super().evaluate(x, batch_size=batch_size, **kwargs)
        x = self._packed(x, y, kwargs.pop("sample_weight", None))
        if forms.is_arrays(x):
            x, batch_size = Batches(x, batch_size or 32, shuffle=False), None
        check = DataCheck(self.dist)
        with check.raising():
            return super().evaluate(check.data(x), batch_size=batch_size, **kwargs)

    def predict(self, x: Any, batch_size: Any = None, **kwargs: Any) -> Any:
        """Returns `log_prob`, float32 `[N]`, NaN for a row outside the support.

        For a model with a latent variable, it is an estimate of the bound from one latent of each row, drawn with a fixed seed.
        """
        if self.dist.num_latents:
            self._metric("active_units").reset_state()
        return super().predict(self._packed(x), batch_size=batch_size, **kwargs)

    def initialize(self, x: Any) -> None:
        """Initialises a distribution that awaits data: with the first batch, or with all rows if it asks for them.

        Args:
            x: `Batches` or a data set that can be read twice. About 10,000 rows of a stream count as all.

        Raises:
            ValueError: If the distribution awaits data and the rows can be read only once.
        """
        if not self.dist.awaits_data:
            return
        batch = forms.first_rows(x, STREAMED_ROWS if self.dist.initializes_with_all_rows else 1)
        rows = forms.weighted_rows(batch)
        observed = forms.counted_values(rows)
        # An `initialize` that a user has written may not take `observed`.
        known = {} if observed is None else {"observed": observed}
        with self.distribute_strategy.scope():
            self.dist.initialize(rows.value, rows.conditional_input, **known)

    def _packed(self, x: Any, y: Any = None, weight: Any = None) -> Any:
        """The data of `fit`, `evaluate` and `predict` in one form."""
        forks.check_not_forked()
        return forms.pack(x, y, weight, tuple(self.dist.event_shape))

    # Files -----------------------------------------------------------------------------------------------------------

    def save(self, filepath: Any, overwrite: bool = True) -> None:
        """Saves distribution, weights and optimizer as a `.keras` file, which replaces an old one only when it is complete.

        Raises:
            ValueError: If the path has another ending.
            FileExistsError: If the file exists and `overwrite` is False.
            OSError: If it cannot be written, as on a full disk; the message contains the path.
        """
        self._write(super().save, filepath, ".keras", overwrite)

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Saves weights and optimizer as a `.weights.h5` file, in the same way and with the same errors as `save`."""
        self._write(super().save_weights, filepath, ".weights.h5", overwrite)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Loads what `save_weights` wrote into a model of the same configuration.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is damaged, or has the weights of another model; the message contains the path.
        """
        with model_files.reading_weights(filepath):
            super().load_weights(filepath, skip_mismatch=skip_mismatch, **kwargs)

    @staticmethod
    def _write(save: Any, filepath: Any, ending: str, overwrite: bool) -> None:
        path = os.fspath(filepath)
        if not path.endswith(ending):
            raise ValueError(f"Expected a path that ends with {ending!r}; received {path!r}.")
        if not overwrite and os.path.exists(path):
            raise FileExistsError(f"{path} exists, and `overwrite` is False.")
        files.write_bytes(path, private.saved_bytes(save, ending))

    def get_config(self) -> dict[str, Any]:
        dist = keras.saving.serialize_keras_object(self.dist)
        return {"dist": dist, "seed": self.seed, "validation_draws": self.validation_draws, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "DensityModel":
        config = dict(config)
        config["dist"] = keras.saving.deserialize_keras_object(config["dist"], custom_objects=custom_objects)
        return cls(**config)


def _policy(dist: Any) -> str:
    """Returns "mixed_float16" for a distribution of which a layer computes in float16, else "float32"."""
    layers = list(dist.layers.values())
    layers += [inner for layer in layers for inner in private.layers_of(layer)]
    return "mixed_float16" if any(layer.compute_dtype == "float16" for layer in layers) else "float32"


def _first_rows(batches: Any) -> Any:
    """Returns the rows on which `fit` reports the terms of a bound; None for a stream, which may not be read twice."""
    if not isinstance(batches, Batches):
        return None
    return keras.tree.map_structure(lambda array: array[:REPORTED_ROWS], batches.arrays)


def _listed(callbacks: Any) -> Sequence[Any]:
    """The callbacks as a list, those of Keras that watch a metric told that lower is better."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        raise ValueError("Expected `callbacks` to be a list of callbacks; received a CallbackList.")
    listed = list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks] if callbacks else []
    for callback in listed:
        # Keras derives the direction of the metrics of `compile` alone.
        if (
            getattr(callback, "mode", None) == "auto"
            and str(getattr(callback, "monitor", "")).removeprefix("val_") in FALLING
        ):
            callback.mode = "min"
    return listed
