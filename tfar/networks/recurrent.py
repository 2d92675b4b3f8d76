"""The networks of the PixelRNNs: residual blocks of LSTMs over the image."""

import abc
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar.layers import DiagonalRecurrence, RowRecurrence
from tfar.layers.causal import Run, Weights
from tfar.networks.conditions import State
from tfar.networks.masked_raster import MaskedRasterNetwork


class RecurrentNetwork(MaskedRasterNetwork, abc.ABC):
    """Applies a masked convolution that excludes the site itself, residual blocks of LSTMs, and 1x1 convolutions.

        x_0 = conv_A(image),    x_l = x_{l-1} + conv_1x1(LSTM(conv(x_{l-1}) + V_l c))

    with h features of each LSTM and 2 h features between the blocks. The convolution from x to the gates is the
    input-to-state component of the LSTM, and c is a vector, or the value of a map at the pixel.

    A subclass creates the layers of a block by `_input_to_state` and `_recurrence`.

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        filters: int. Number of features h.
        params_size: int. Parameters of a site.
        conditional_shape: `[k]` of a vector, `[H, W, k]` of a map, a dict of such shapes, or None.
        **kwargs: arguments of `MaskedRasterNetwork`, of which `num_blocks` is the number of LSTMs.

    Attributes:
        num_directions: int. Number of directions of an LSTM.

    References:
        van den Oord, Kalchbrenner and Kavukcuoglu. Pixel recurrent neural networks. ICML 2016, section 3 and table 1.
        https://arxiv.org/abs/1601.06759
    """

    num_directions: int
    compiles_training = True

    def __init__(
        self,
        event_shape: tuple[int, ...],
        filters: int,
        params_size: int = 1,
        *,
        conditional_shape: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, filters, params_size, conditional_shape=conditional_shape, **kwargs)
        width, blocks = 2 * self.filters, range(1, self.num_blocks + 1)
        self.first = self._masked("first", self.depth, width, self.first_kernel_size, "A")
        self.input_to_state = [self._input_to_state(f"input_to_state_{block}", width) for block in blocks]
        self.recurrence = [self._recurrence(f"recurrence_{block}", block) for block in blocks]
        self.block_output = [self._masked(f"block_output_{block}", self.filters, width) for block in blocks]
        self._add_conditions(self._num_gates, self.num_blocks)
        self._add_outputs(width)

    # Layers ----------------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def _input_to_state(self, name: str, inputs: int) -> Any:
        """Creates the convolution from features to the gates of an LSTM."""

    @abc.abstractmethod
    def _recurrence(self, name: str, block: int) -> Any:
        """Creates the recurrence of an LSTM."""

    @property
    def _num_gates(self) -> int:
        return self.num_directions * 4 * self.filters

    def _gates(self, name: str, inputs: int, kernel_size: tuple[int, int] = (1, 1)) -> Any:
        """Creates a masked convolution to the gates, whose bias of the forget gates is 1, so that an LSTM remembers."""
        values = np.zeros([self.num_groups, self.num_directions, 4, self.filters // self.num_groups], np.float32)
        values[:, :, 1] = 1.0
        bias = lambda shape, dtype=None: tf.constant(values.reshape(shape), dtype)  # noqa: E731
        return self._masked(name, inputs, self._num_gates, kernel_size, bias_initializer=bias)

    # Description -----------------------------------------------------------------------------------------------------

    def flow(self, run: Run, image: Any, conditions: State) -> Any:
        features = run(self.first, image)
        for block in range(self.num_blocks):
            gates = run(self.input_to_state[block], features)
            if conditions:
                gates = gates + tf.cast(run.condition(conditions[f"condition_{block}"]), gates.dtype)
            hidden = self._run_recurrence(run, block, gates, image)
            features = features + run(self.block_output[block], hidden)
        return self._outputs(run, features)

    def _run_recurrence(self, run: Run, block: int, gates: Any, image: Any) -> Any:
        return run(self.recurrence[block], gates)


@keras.saving.register_keras_serializable("tfar")
class RowLSTMNetwork(RecurrentNetwork):
    """The network of Row LSTM: the states of a row depend on those of the row above.

    Args:
        **kwargs: arguments of `RecurrentNetwork`, of which `kernel_size` is (1, k): that of both components of an LSTM
            along a row.
    """

    num_directions = 1

    def _input_to_state(self, name: str, inputs: int) -> Any:
        return self._gates(name, inputs, (1, self.kernel_size[1]))

    def _recurrence(self, name: str, block: int) -> Any:
        size = self.kernel_size[1]
        return self._add(RowRecurrence, self._num_gates, self.filters, self.num_groups, kernel_size=size, name=name)


@keras.saving.register_keras_serializable("tfar")
class DiagonalBiLSTMNetwork(RecurrentNetwork):
    """The network of Diagonal BiLSTM: states pass from the upper left and from the upper right through all pixels.

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        filters: int. Number of features h.
        params_size: int. Parameters of a site.
        close_blind_spot: bool. Whether the right direction of the first LSTM sees the pixel itself.
        **kwargs: arguments of `RecurrentNetwork`.
    """

    num_directions = 2

    def __init__(
        self,
        event_shape: tuple[int, ...],
        filters: int,
        params_size: int = 1,
        *,
        close_blind_spot: bool = True,
        **kwargs: Any,
    ) -> None:
        self.close_blind_spot = bool(close_blind_spot)  # The constructor of the base class creates the layers.
        super().__init__(event_shape, filters, params_size, **kwargs)

    def _input_to_state(self, name: str, inputs: int) -> Any:
        return self._gates(name, inputs)

    def _recurrence(self, name: str, block: int) -> Any:
        channels = self.depth if block == 1 and self.close_blind_spot else 0
        return self._add(
            DiagonalRecurrence, self._num_gates, self.filters, self.num_groups, image_channels=channels, name=name
        )

    def _run_recurrence(self, run: Run, block: int, gates: Any, image: Any) -> Any:
        layer = self.recurrence[block]
        return run(layer, gates, image) if layer.image_channels else run(layer, gates)

    def _read_rows(
        self, calls: Sequence[Any], rows: State, number: tf.Tensor, weights: dict[str, Weights]
    ) -> list[tf.Tensor]:
        """See the base class. One loop computes the right states of all LSTMs, whose inputs are known in a finished row."""
        own = [call for call in calls if isinstance(call.layer, DiagonalRecurrence)]
        others = [call for call in calls if not isinstance(call.layer, DiagonalRecurrence)]
        names, layers = [call.name for call in own], [call.layer for call in own]
        inputs = [rows[name] for name in names], number, [weights[name] for name in names]
        parts = [
            *DiagonalRecurrence.read_rows_of(layers, *inputs),
            *super()._read_rows(others, rows, number, weights),
        ]
        found = {call.name: part for call, part in zip([*own, *others], parts, strict=True)}
        return [found[call.name] for call in calls]
