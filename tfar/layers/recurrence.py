"""Base class of the recurrences of LSTMs over images, whose inputs are the contributions to the gates."""

import abc
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfar.layers.causal import CausalLayer, Weights, as_float
from tfar.layers.lstm_scan import LSTM, Cell


class Recurrence(CausalLayer, keras.layers.Layer, abc.ABC):
    """Maps contributions of the inputs to the gates of an LSTM to its hidden states, over an image.

    The state of a pixel depends on those of its neighbours through the state-to-state kernel, which is not masked: all
    features of earlier pixels are known. States outside the image are the initial state, which is learned or zero.

    The channels are split into `num_groups` contiguous groups, such as those of red, green and blue. A group of the
    inputs holds, for each direction, its gates in the order of the cell.

    In steps (see `CausalLayer`), each group of a pixel is one position. A record of a pixel is what `step` keeps of it:
    `[B, num_groups, record_size]`.

    Args:
        filters: int. Number of features h of a hidden state, a multiple of `num_groups`.
        num_groups: int. Groups of channels of a pixel that are decided one after the other.
        kernel_initializer: initializer of the state-to-state kernel `[K h, num_directions G h]` for G gates.
        **kwargs: keyword arguments of `keras.layers.Layer`.

    Attributes:
        cell: the formula of the LSTM.
        learns_initial_state: bool. Whether the initial state is a weight; otherwise it is zero.
        num_directions: int. Number of directions in which states are passed on.
        offsets: tuple of int. The K neighbours in the previous step of the recurrence that a state depends on.
        record_size: int. Size of the record of a group.
    """

    num_above = 1
    num_directions = 1
    offsets: tuple[int, ...]
    cell: Cell = LSTM
    learns_initial_state = True

    def __init__(
        self, filters: int, num_groups: int = 1, *, kernel_initializer: Any = "glorot_uniform", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.num_groups = int(filters), int(num_groups)
        if self.num_groups < 1 or self.filters < 1 or self.filters % self.num_groups:
            raise ValueError(
                f"Expected `filters` to be a positive multiple of `num_groups`; received {filters} and {num_groups}."
            )
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    @property
    @abc.abstractmethod
    def record_size(self) -> int:
        """Size of the record of a group."""

    @property
    def group_size(self) -> int:
        """Number of features of a group."""
        return self.filters // self.num_groups

    @property
    def kept_channels(self) -> int:
        """Number of channels of a record."""
        return self.num_groups * self.record_size

    @property
    def part_channels(self) -> int:
        """Number of channels of the result of `read_rows`: contributions to the gates, and a state of the row above."""
        return (self.cell.num_gates + 1) * self.filters

    def build(self, input_shape: Sequence[int | None]) -> None:
        self.in_channels = self.num_directions * self.cell.num_gates * self.filters
        if input_shape[-1] != self.in_channels:
            raise ValueError(
                f"Expected the {self.cell.num_gates} gates of {self.filters} features in {self.num_directions} direction(s), "
                f"{self.in_channels} channels; received shape {tuple(input_shape)}."
            )
        shape = (len(self.offsets) * self.filters, self.in_channels)
        self.kernel = self.add_weight(shape=shape, initializer=self.kernel_initializer, name="kernel")
        if self.learns_initial_state:
            states = (self.num_directions, 2, self.filters)
            self.initial_state = self.add_weight(shape=states, initializer="zeros", name="initial_state")
        self.built = True

    @property
    def _initial(self) -> tf.Tensor:
        """The initial hidden state and cell state of each direction, float32 `[num_directions, 2, h]`."""
        shape = [self.num_directions, 2, self.filters]
        return as_float(self.initial_state) if self.learns_initial_state else tf.zeros(shape)

    def compute_output_shape(self, input_shape: Sequence[Any]) -> tuple[Any, ...]:
        return (*input_shape[:-1], self.filters)

    def _by_direction(self, gates: tf.Tensor) -> tf.Tensor:
        """Splits `[..., num_directions G h]` by direction: `[num_directions, rows, G h]`, all leading axes as one."""
        size = self.cell.num_gates
        flat = tf.reshape(gates, [-1, self.num_groups, self.num_directions, size * self.group_size])
        return tf.reshape(tf.transpose(flat, [2, 0, 1, 3]), [self.num_directions, -1, size * self.filters])

    # In steps --------------------------------------------------------------------------------------------------------

    def step_weights(self) -> Weights:
        return {"kernel": self._by_direction(as_float(self.kernel)), "initial": self._initial}

    def read(self, cache: tf.Tensor, index: tf.Tensor, weights: Weights, part: tf.Tensor | None = None) -> tf.Tensor:
        raise NotImplementedError(f"{type(self).__name__} computes its output in `step`, because it keeps states.")

    def _with_record(self, records: tf.Tensor, record: tf.Tensor, group: tf.Tensor) -> tf.Tensor:
        """Replaces the record of a group in the records `[B, num_groups, record_size]` of a pixel."""
        chosen = tf.equal(tf.range(self.num_groups), group)[None, :, None]
        return tf.where(chosen, record[:, None], records)

    def _parts(self, sums: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
        """Joins contributions to the gates `[B, W, G h]` and states `[B, W, h]` by group: the result of `read_rows`."""
        parts = (self._by_group(sums), self._by_group(state))
        width = sums.shape[1]
        return tf.reshape(tf.concat(parts, axis=-1), [-1, width, self.part_channels])

    def _by_group(self, x: tf.Tensor) -> tf.Tensor:
        """Splits the channels of `[B, W, C]` by group: `[B, W, num_groups, C / num_groups]`."""
        return tf.reshape(x, [-1, x.shape[1], self.num_groups, x.shape[2] // self.num_groups])

    def get_config(self) -> dict[str, Any]:
        own = {
            "filters": self.filters,
            "num_groups": self.num_groups,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
        return {**super().get_config(), **own}
