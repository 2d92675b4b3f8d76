"""Streams and forecasts of distributions over sequences of any length."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfar import private, random
from tfar.distributions import rows
from tfar.distributions.base import without_autograph
from tfar.distributions.model import Model
from tfar.heads.base import check_positive_int
from tfar.laws.streaming import can_stream


class Forecast(NamedTuple):
    """Sample paths of the future of sequences.

    Attributes:
        samples: float32 `[num_samples, *lead, horizon, ...]`.
    """

    samples: tf.Tensor

    def mean(self) -> tf.Tensor:
        """Returns the mean over the paths, float32 `[*lead, horizon, ...]`."""
        return tf.reduce_mean(self.samples, axis=0)

    def quantile(self, q: Any) -> tf.Tensor:
        """Returns quantiles over the paths at each time, float32 `[*q.shape, *lead, horizon, ...]`.

        Args:
            q: number or numbers in [0, 1].

        Raises:
            ValueError: If a number is outside [0, 1].
        """
        q = np.asarray(q, np.float32)
        if not ((q >= 0.0) & (q <= 1.0)).all():
            raise ValueError(f"Expected `q` in [0, 1]; received {q.tolist()}.")
        return tfp.stats.percentile(self.samples, 100.0 * q, axis=0, interpolation="linear")


class Sequences(Model):
    """Adds streams and forecasts to the distributions whose events may have any length."""

    @without_autograph
    def stream(
        self,
        seed: Any = None,
        *,
        num_samples: int | None = None,
        conditional_input: Any = None,
        prefix: Any = None,
        chunk: int = 1024,
    ) -> Iterator[tf.Tensor]:
        """Draws a sequence chunk by chunk, without an end or up to the end of the condition.

        The chunks together equal the sequence that `sample` draws with the same seed, or after a prefix the one that
        `complete` draws. Memory does not grow with the length. Each chunk is one compiled call.

        Args:
            seed: seed as accepted by `tfar.random.as_seed`.
            num_samples: None for one sequence for each condition or prefix, or their number.
            conditional_input: `[*batch, *conditional_shape]`, if the model has a condition and none is bound. The stream
                ends where a condition that varies over time ends.
            prefix: None, or known entries `[*batch, T, ...]` after which the stream begins.
            chunk: int. Number of entries of a chunk; the last one may be shorter.

        Yields:
            float32 `[*batch, chunk, ...]`, or `[num_samples, *batch, chunk, ...]`.

        Raises:
            ValueError: If the model is not over sequences of any length in steps of one entry, or an argument is out of range.

        Example:
            >>> dist = tfar.WaveNet([None], 4, skip_filters=4, num_layers=2, num_stacks=1, head=tfar.heads.Categorical(8))
            >>> stream = dist.stream(seed=1, chunk=5)
            >>> both = tf.concat([next(stream), next(stream)], axis=0)
            >>> bool(tf.reduce_all(both == dist.sample(seed=1, length=10)))
            True
        """
        self._require_any_length("stream")
        if not can_stream(self._law):
            raise ValueError(
                "Expected a network that decides one entry of a sequence per step, at a position of each row; "
                f"{type(self.network).__name__} does not."
            )
        chunk, shape = check_positive_int("chunk", chunk), self._shape
        number = 1 if num_samples is None else check_positive_int("num_samples", num_samples)
        if prefix is None:
            count, condition, lead = self._rows_of_samples(number, conditional_input)
            x = tf.zeros([count, 0, *shape[1:]])
        else:
            given = self._of_any_length()._flat_rows(prefix, conditional_input).repeated(number)
            self._of_any_length().check_rows(given.x, given.condition)
            x, condition, lead = given.x, given.condition, given.lead
        seeds = random.row_seeds(random.as_seed(seed), len(x))
        chunks = self._chunks(x, condition, seeds, chunk)
        return (rows.unflatten(part, lead if num_samples is not None else lead[1:]) for part in chunks)

    def _chunks(self, x: tf.Tensor, condition: Any, seeds: tf.Tensor, chunk: int) -> Iterator[tf.Tensor]:
        """Draws rows `[B, chunk, ...]` after the entries `x [B, T, ...]`."""
        index, limits = x.shape[1], [self._length, self.network.covered_steps(condition)]
        limit = min((limit for limit in limits if limit is not None), default=None)
        with private.without_recording():
            if index:
                state, previous = self._run("prefill_stream", [x, condition]), x[:, -1]
            else:
                state, previous = self._run("start_stream", [seeds, condition]), tf.zeros([len(x), *x.shape[2:]])
        while limit is None or index < limit:
            places = tf.fill([len(x)], index)
            with private.without_recording():
                values, state = self._run("step_stream", [state, places, previous, seeds], num_steps=chunk)
            yield values if limit is None else values[:, : limit - index]
            index, previous = index + chunk, values[:, -1]

    @without_autograph
    def forecast(
        self, prefix: Any, horizon: int, num_samples: int = 100, seed: Any = None, *, conditional_input: Any = None
    ) -> Forecast:
        """Draws sample paths of what follows a prefix.

        Args:
            prefix: known entries `[*lead, T, ...]`.
            horizon: int. Number of entries to draw.
            num_samples: int. Number of paths of each row.
            seed: seed as accepted by `tfar.random.as_seed`.
            conditional_input: `[*batch, *conditional_shape]`, if the model has a condition and none is bound. If it varies
                over time, it covers the prefix and the horizon.

        Returns:
            A `Forecast`, whose `samples` are float32 `[num_samples, *lead, horizon, ...]`.

        Raises:
            ValueError: If the model is not over sequences of any length, or an argument is out of range.

        Example:
            >>> dist = tfar.WaveNet([None], 4, skip_filters=4, num_layers=2, num_stacks=1, head=tfar.heads.Categorical(8))
            >>> forecast = dist.forecast([0, 3, 5], horizon=2, num_samples=50, seed=1)
            >>> forecast.quantile([0.1, 0.5, 0.9]).shape
            TensorShape([3, 2])
        """
        self._require_any_length("forecast")
        horizon, dist = check_positive_int("horizon", horizon), self._of_any_length()
        num_samples = check_positive_int("num_samples", num_samples)
        value, rank = dist._checked_value(prefix), len(self._shape)
        length, time = value.shape[-rank], value.shape.rank - rank
        value = tf.pad(value, [[0, horizon if axis == time else 0] for axis in range(value.shape.rank)])
        observed = np.reshape(np.arange(length + horizon) < length, [-1, *[1] * (rank - 1)])
        samples = dist.complete(value, observed, num_samples, seed, conditional_input=conditional_input)
        return Forecast(tf.split(samples, [length, horizon], axis=-rank)[1])

    def _of_any_length(self) -> Any:
        """Returns this distribution without a fixed length."""
        return self._clone(_length=None)

    def _require_any_length(self, name: str) -> None:
        if self._shape[:1] != (None,):
            raise ValueError(
                f"Expected a distribution over sequences of any length for `{name}`; this one is over events of shape "
                f"{list(self._shape)}. Make it with `event_shape=[None, ...]`."
            )
