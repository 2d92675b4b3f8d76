"""Methods that all models share, whatever their law: training, evaluation and draws."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from tfar import private, random
from tfar.distributions import rows
from tfar.distributions.base import Shell, without_autograph
from tfar.distributions.refusals import refuse_bad_rows
from tfar.laws.samplers import METHODS


class Model(Shell):
    """Distribution that trains, evaluates and draws by the functions of its law."""

    @property
    def awaits_data(self) -> bool:
        """Whether `initialize` should be called before training and has not been; `DensityModel.fit` calls it."""
        return self.head.awaits_data or self._event_law.network.awaits_data

    @property
    def compiles_training(self) -> bool:
        """Whether XLA makes a training step on a CPU faster."""
        return self._event_law.network.compiles_training

    @property
    def num_latents(self) -> int:
        """Number of entries of the latent variable, 0 without one."""
        return 0

    @property
    def initializes_with_all_rows(self) -> bool:
        """Whether `initialize` needs all training rows, as for the units of data, rather than only the first batch."""
        return self.head.awaits_data

    @without_autograph
    def valid_rows(self, value: Any, conditional_input: Any = None, *, observed: Any = None) -> tf.Tensor:
        """Returns whether each row is valid: values in the support, a finite condition and an allowed observed pattern.

        Args:
            value, conditional_input, observed: as in `training_loss`.

        Returns:
            bool `[B]`.
        """
        given = self._flat_rows(value, conditional_input, observed)
        return tf.logical_not(tf.math.is_nan(self._law.bad_row_marks(given.x, given.condition, given.observed)))

    @without_autograph
    def check_rows(
        self, value: Any, conditional_input: Any = None, *, observed: Any = None, first_row: int = 0
    ) -> None:
        """Raises ValueError if a row is invalid (see `valid_rows`); the message names the row and the site.

        Args:
            value, conditional_input, observed: as in `training_loss`.
            first_row: int. Number of the first row in the message.
        """
        given = self._flat_rows(value, conditional_input, observed)
        marks = self._law.bad_row_marks(given.x, given.condition, given.observed)
        refuse_bad_rows(self._event_law, marks, given.x, given.observed, given.condition, first_row)

    @without_autograph
    def training_loss(
        self,
        value: Any,
        conditional_input: Any = None,
        *,
        observed: Any = None,
        site_weight: Any = None,
        seed: Any = None,
        step: Any = 0,
    ) -> tf.Tensor:
        """Returns the training loss in nats: `-log_prob`, or an estimate of it with random masks, orders and dropout.

        With a latent variable, it is the negative bound, with the KL term weighted by `kl_weight(step)`.

        Args:
            value: `[B, *event_shape]`.
            conditional_input: `[B, *conditional_shape]`, if the model has a condition.
            observed: None, or bools that broadcast to the shape of `value`: training uses only the observed sites. With
                a model of one order, they must come first in it; for example, `tf.sequence_mask(lengths)` marks
                sequences of different lengths. None for a model with a latent variable.
            site_weight: None, or numbers that broadcast to the shape of `value` and multiply the log-probabilities of
                the sites. None for a model with a latent variable.
            seed: seed as accepted by `tfar.random.as_seed`; determines all randomness of the loss.
            step: int or int32 scalar. Number of the training step.

        Returns:
            float32 `[B]`, NaN for a row outside the support or whose pattern the order does not allow.

        Raises:
            ValueError: If a shape does not fit, or the model does not support an argument.
        """
        x, condition, observed, weight, lead = self._flat_rows(value, conditional_input, observed, site_weight)
        loss = self._law.training_loss(x, condition, random.as_seed(seed), step, observed, weight)
        return rows.unflatten(loss, lead)

    @without_autograph
    def evaluate(
        self,
        value: Any,
        conditional_input: Any = None,
        *,
        observed: Any = None,
        site_weight: Any = None,
        seed: Any = 0,
    ) -> dict[str, tf.Tensor]:
        """Returns the metrics of each row in nats, without dropout.

        Args:
            value, conditional_input, observed, site_weight: as in `training_loss`.
            seed: seed as accepted by `tfar.random.as_seed`, for models whose evaluation draws samples.

        Returns:
            `{"nll": [B]}`, the exact negative log-probability. A `tfar.LatentVariable` returns the terms of its bound.
        """
        given = self._flat_rows(value, conditional_input, observed, site_weight)
        return self._call("evaluate", list(given[:4]), given, seed=seed, count=given.count)

    # Draws -----------------------------------------------------------------------------------------------------------

    @without_autograph
    def sample(
        self,
        sample_shape: Any = (),
        seed: Any = None,
        name: str = "sample",
        *,
        conditional_input: Any = None,
        length: Any = None,
        method: str = "ancestral",
    ) -> tf.Tensor:
        """Draws events.

        Args:
            sample_shape: int or ints.
            seed: seed as accepted by `tfar.random.as_seed`: an int, an integer tensor `[]` or `[2]`, or None for new
                draws.
            name: not used; present for compatibility with TFP.
            conditional_input: `[*batch, *conditional_shape]`, if the model has a condition and none is bound.
            length: int. Size of the first axis of an event, if it is not fixed.
            method: "ancestral" takes a step for each site, "fixed_point" iterates whole passes, and "naive" runs a
                whole pass for each site. All methods give the same draws.

        Returns:
            float32 `[*sample_shape, *batch, *event_shape]`. Row i of `sample(n, seed)` depends only on `seed` and i.
            TensorFlow cannot vectorise the loop over sites twice: map over one axis with `tf.vectorized_map`, not two.

        Raises:
            ValueError: If an argument is out of range.
        """
        shape = _sample_shape(sample_shape)
        count = math.prod(shape) if isinstance(shape, tuple) else tf.reduce_prod(shape)
        # TFP passes a SeedStream, which returns a seed when called.
        seed = seed() if callable(seed) else seed
        return rows.unflatten(self._sample_n(count, seed, conditional_input, length, method), shape)

    def _sample_n(
        self,
        n: Any,
        seed: Any = None,
        conditional_input: Any = None,
        length: Any = None,
        method: str = "ancestral",
    ) -> tf.Tensor:
        if method not in METHODS:
            raise ValueError(f"Expected `method` to be one of {METHODS}; received {method!r}.")
        length = self._length if length is None else length
        count, condition, lead = self._rows_of_samples(n, conditional_input)
        with private.without_recording():
            result = self._run("sample", [condition], seed=seed, count=count, length=length, method=method)
        if condition is not None and tf.executing_eagerly():
            refuse_bad_rows(self._event_law, result, conditional_input=condition)
        return rows.unflatten(result, lead)

    def _rows_of_samples(self, n: Any, conditional_input: Any) -> tuple[Any, Any, Any]:
        """Returns the number of rows, their conditions and the leading result shape of `n` draws per batch member."""
        static = tf.get_static_value(n)
        n = n if static is None else int(static)
        condition = self._checked_condition(conditional_input)
        items = rows.condition_items(condition, self._conditional_shape)
        batch = rows.lead_shape(items) if items else ()
        if isinstance(n, int) and isinstance(batch, tuple):
            lead: Any = (n, *batch)
            count = math.prod(lead)
        else:
            lead = tf.concat([[n], tf.convert_to_tensor(batch, tf.int32)], 0)
            count = tf.reduce_prod(lead)
        condition = rows.pack_condition(rows.flatten(items, lead), self._conditional_shape)
        return count, condition, lead


def _sample_shape(sample_shape: Any) -> Any:
    """Returns a sample shape as a tuple of ints, or as an int32 tensor `[rank]` if it is one.

    Raises:
        ValueError: If it contains anything other than non-negative integers.
    """
    static = tf.get_static_value(sample_shape) if tf.is_tensor(sample_shape) else sample_shape
    if static is None and sample_shape.dtype.is_integer:
        return tf.reshape(tf.cast(sample_shape, tf.int32), [-1])
    sizes = np.atleast_1d(
        np.asarray(tf.TensorShape(static).as_list() if isinstance(static, tf.TensorShape) else static)
    )
    if sizes.size == 0:
        return ()
    if sizes.ndim != 1 or not np.issubdtype(sizes.dtype, np.integer) or sizes.min() < 0:
        raise ValueError(f"Expected `sample_shape` to be whole numbers of at least 0; received {sample_shape!r}.")
    return tuple(int(size) for size in sizes)
