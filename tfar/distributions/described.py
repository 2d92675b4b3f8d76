"""Methods and properties that every distribution of TensorFlow Probability has, described for the models of tfar."""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


class Described(tfd.Distribution):  # type: ignore[name-defined]
    """Distribution whose inherited methods and properties are described for models with a condition and a length."""

    # Probabilities ---------------------------------------------------------------------------------------------------

    def prob(self, value: Any, name: str = "prob", *, conditional_input: Any = None, observed: Any = None) -> tf.Tensor:
        """Returns the probability of events, or their density if the values are real: `exp(log_prob)`.

        It underflows to 0 for events of many sites, whose `log_prob` is still exact.

        Args:
            value: numbers `[*lead, *event_shape]`.
            name: not used; present for compatibility with TFP.
            conditional_input: as in `log_prob`.
            observed: as in `log_prob`.

        Returns:
            float32 `[*lead]`.

        Raises:
            ValueError: As `log_prob` does.
            NotImplementedError: If the model has no `log_prob`, because it has a latent variable.

        Example:
            >>> dist = tfar.MADE([2], [4], seed=0)
            >>> round(float(tf.reduce_sum(dist.prob([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]))), 4)
            1.0
        """
        return tf.exp(self.log_prob(value, conditional_input=conditional_input, observed=observed))

    def unnormalized_log_prob(self, value: Any, name: str = "unnormalized_log_prob", **kwargs: Any) -> tf.Tensor:
        """Returns `log_prob`, because the models are normalised.

        Args:
            value: numbers `[*lead, *event_shape]`.
            name: not used; present for compatibility with TFP.
            **kwargs: the arguments `conditional_input` and `observed` of `log_prob`.

        Returns:
            float32 `[*lead]`.

        Raises:
            ValueError: As `log_prob` does.
            NotImplementedError: If the model has no `log_prob`, because it has a latent variable.
        """
        return self.log_prob(value, **kwargs)

    def experimental_sample_and_log_prob(
        self,
        sample_shape: Any = (),
        seed: Any = None,
        name: str = "sample_and_log_prob",
        *,
        conditional_input: Any = None,
        length: Any = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws events and returns them with their log-probability.

        Args:
            sample_shape: int or ints.
            seed: seed as accepted by `tfar.random.as_seed`.
            name: not used; present for compatibility with TFP.
            conditional_input: `[*batch, *conditional_shape]`, if the model has a condition and none is bound.
            length: int. Size of the first axis of an event, if it is not fixed.

        Returns:
            float32 `[*sample_shape, *batch, *event_shape]` and float32 `[*sample_shape, *batch]`.

        Raises:
            ValueError: As `sample` does.
            NotImplementedError: If the model has no `log_prob`, because it has a latent variable.
        """
        events = self.sample(sample_shape, seed, conditional_input=conditional_input, length=length)
        return events, self.log_prob(events, conditional_input=conditional_input)

    # Shapes ----------------------------------------------------------------------------------------------------------

    @property
    def event_shape(self) -> tf.TensorShape:
        """Shape of one event. The first axis is None if the model takes events of any length."""
        return super().event_shape

    def event_shape_tensor(self, name: str = "event_shape_tensor") -> tf.Tensor:
        """Returns the shape of one event as a tensor.

        Args:
            name: name of the operation.

        Returns:
            int32 `[event_rank]`.

        Raises:
            ValueError: If the length of an event is not fixed; `with_length` fixes it.
        """
        return super().event_shape_tensor(name)

    @property
    def batch_shape(self) -> tf.TensorShape:
        """Leading axes of the condition that `given` bound; `[]` if none is bound."""
        return super().batch_shape

    def batch_shape_tensor(self, name: str = "batch_shape_tensor") -> tf.Tensor:
        """Returns the leading axes of the bound condition as a tensor.

        Args:
            name: name of the operation.

        Returns:
            int32 `[batch_rank]`.
        """
        return super().batch_shape_tensor(name)

    def is_scalar_event(self, name: str = "is_scalar_event") -> tf.Tensor:
        """Returns whether `event_shape` is `[]`.

        Args:
            name: name of the operation.

        Returns:
            bool `[]`.
        """
        return super().is_scalar_event(name)

    def is_scalar_batch(self, name: str = "is_scalar_batch") -> tf.Tensor:
        """Returns whether `batch_shape` is `[]`, as it is unless `given` bound a batch of conditions.

        Args:
            name: name of the operation.

        Returns:
            bool `[]`.
        """
        return super().is_scalar_batch(name)

    # Properties ------------------------------------------------------------------------------------------------------

    @property
    def dtype(self) -> tf.DType:
        """float32, the type of events and log-probabilities, whatever the head and the dtype policy."""
        return super().dtype

    @property
    def name(self) -> str:
        """The argument `name` of the constructor, or of `copy`."""
        return super().name

    @property
    def parameters(self) -> dict[str, Any]:
        """The arguments of the constructor that were given, by name. See also `get_config`."""
        return super().parameters

    @property
    def reparameterization_type(self) -> Any:
        """`tfd.NOT_REPARAMETERIZED`: samples have no gradient with respect to the weights."""
        return super().reparameterization_type

    @property
    def allow_nan_stats(self) -> bool:
        """True. It has no effect, as no statistic of a model is undefined for a part of the batch."""
        return super().allow_nan_stats

    @property
    def validate_args(self) -> bool:
        """False. It has no effect: shapes are always checked, and values in eager mode."""
        return super().validate_args
