"""The networks of the spatial LSTM: LSTMs over an image whose first layer sees a neighbourhood of each pixel."""

import itertools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import random
from tfar.layers import MaskedConv2D, SpatialRecurrence
from tfar.layers.causal import Parallel, Run
from tfar.networks.base import TrainingPass
from tfar.networks.conditioned_raster import ConditionedRasterNetwork
from tfar.networks.conditions import State
from tfar.networks.inputs import initial_bias, row_seeds
from tfar.networks.permutations import permuted
from tfar.networks.symmetries import raster_orders

# Rows of images that the least-squares solution takes at once.
_ROWS_AT_ONCE = 64


@keras.saving.register_keras_serializable("tfar")
class SpatialLSTMNetwork(ConditionedRasterNetwork):
    """Applies spatial LSTMs to the neighbourhoods of the pixels, and adds a linear prediction to the parameters.

        h_0 = neighbourhood,    h_l = LSTM(W_l h_{l-1} + V_l c + b_l),    params = W h_L + b + U neighbourhood + d

    A neighbourhood holds the earlier values in a square around the pixel, and for each of them a 1 if it is inside the
    image; outside, both are 0. Without LSTMs, h_L is a linear function of the neighbourhood and the condition. The condition c
    is a vector, or the value of a map at the pixel.

    Each member of an ensemble applies the same weights to the image under another symmetry, which is another order of the
    sites, and to the maps of the condition under the same symmetry. Training draws a member for each row.

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        site_shape: `()` if the channels of a pixel are decided one after the other, `(C,)` if they are decided together.
        params_size: int. Parameters of a site.
        units: int. Number of features of each LSTM, a multiple of the number of sites of a pixel.
        num_layers: int. Number of LSTMs.
        neighbourhood: int. Height and width of the square, odd.
        num_symmetries: int. Number of members; see `tfar.networks.symmetries.raster_orders`.
        low, high: the range of values that is scaled to -1 .. 1, or None for inputs that are not scaled.
        initial_params: None, or `params_size` numbers: the parameters of every site before training.
        conditional_shape: `[k]` of a vector, `[H, W, k]` of a map, a dict of such shapes, or None.
        **kwargs: arguments of `RasterNetwork`.

    References:
        Theis and Bethge. Generative image modeling using spatial LSTMs. NIPS 2015, sections 2.1 and 2.2.
        https://arxiv.org/abs/1506.03478
    """

    compiles_training = True

    def __init__(
        self,
        event_shape: tuple[int, ...],
        site_shape: tuple[int, ...] = (),
        params_size: int = 1,
        *,
        units: int = 64,
        num_layers: int = 2,
        neighbourhood: int = 5,
        num_symmetries: int = 1,
        low: float | None = None,
        high: float | None = None,
        initial_params: Sequence[float] | None = None,
        conditional_shape: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, site_shape, params_size, conditional_shape, **kwargs)
        self.units, self.num_layers, self.neighbourhood = int(units), int(num_layers), int(neighbourhood)
        self.low, self.high, self.initial_params = low, high, initial_params
        self.num_members = self.num_symmetries = int(num_symmetries)
        orders = raster_orders(*self.image_shape[:2], self.num_groups, self.num_members)
        self.step_of_site = np.argsort(orders, axis=1)
        inputs, outputs = self.num_groups * self._inputs, self.num_groups * self.params_size
        gates = SpatialRecurrence.cell.num_gates * self.units
        if not self.num_layers:
            self.features = self._of_neighbourhood("features", inputs, self.units)
        self.input_to_state: list[Any] = []
        self.recurrence: list[Any] = []
        for layer in range(1, self.num_layers + 1):
            name = f"input_to_state_{layer}"
            self.input_to_state.append(
                self._of_pixel(name, self.units, gates) if layer > 1 else self._of_neighbourhood(name, inputs, gates)
            )
            name = f"recurrence_{layer}"
            self.recurrence.append(self._add(SpatialRecurrence, gates, self.units, self.num_groups, name=name))
        self._add_conditions(gates if self.num_layers else self.units, max(self.num_layers, 1))
        self._add_outputs(inputs, outputs)

    # Layers ----------------------------------------------------------------------------------------------------------

    def _of_neighbourhood(self, name: str, inputs: int, filters: int) -> Any:
        size = (self.neighbourhood, self.neighbourhood)
        return self._add(MaskedConv2D, inputs, filters, size, "A", self.num_groups, name=name)

    def _of_pixel(self, name: str, inputs: int, filters: int, **kwargs: Any) -> Any:
        return self._add(MaskedConv2D, inputs, filters, (1, 1), "B", self.num_groups, name=name, **kwargs)

    def _add_outputs(self, inputs: int, outputs: int) -> None:
        """Creates the layers from the features and from the neighbourhood to the parameters."""
        bias = initial_bias(self.initial_params, self.num_groups)
        self.outputs = self._of_pixel("outputs", self.units, outputs, bias_initializer=bias)
        self.linear = self._of_neighbourhood("linear", inputs, outputs)

    # Description -----------------------------------------------------------------------------------------------------

    def encode(self, values: tf.Tensor) -> tf.Tensor:
        """Scales values from low .. high to -1 .. 1, and adds an input of 1, which is 0 outside the image."""
        values = values if self.site_shape else tf.expand_dims(values, -1)
        if self.low is not None and self.high is not None:
            values = (values - self.low) * (2.0 / (self.high - self.low)) - 1.0
        return tf.pad(values, [[0, 0]] * (values.shape.rank - 1) + [[0, 1]], constant_values=1.0)

    def flow(self, run: Run, image: Any, conditions: State) -> Any:
        features = image
        for layer in range(self.num_layers):
            gates = self._conditioned(run, run(self.input_to_state[layer], features), conditions, layer)
            features = run(self.recurrence[layer], gates)
        if not self.num_layers:
            features = self._conditioned(run, run(self.features, image), conditions, 0)
        return self._params(run, features, image)

    def _conditioned(self, run: Run, features: Any, conditions: State, layer: int) -> Any:
        """Adds the contribution of the condition, if there is one."""
        if not conditions:
            return features
        return features + tf.cast(run.condition(conditions[f"condition_{layer}"]), features.dtype)

    # Members ---------------------------------------------------------------------------------------------------------

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        if self.num_members == 1:
            return super().call(x, conditional_input)
        return self._of_members(x, conditional_input, tf.fill([tf.shape(x)[0]], member))

    def training_pass(
        self, x: Any, conditional_input: Any, seed: tf.Tensor, observed: tf.Tensor | None = None
    ) -> TrainingPass:
        if self.num_members == 1:
            return super().training_pass(x, conditional_input, seed, observed)
        noise = random.uniform(row_seeds(seed, tf.shape(x)[0]), 1, random.Stream.MEMBER)[:, 0]
        return TrainingPass(self._of_members(x, conditional_input, tf.cast(noise * self.num_members, tf.int32)))

    def _of_members(self, x: Any, conditional_input: Any, member: tf.Tensor) -> tf.Tensor:
        """Returns the parameters of all sites, for a member of each row, int32 `[B]`."""
        sites = permuted(self._sites(x), tf.gather(tf.constant(self.orders), member))
        params = self._pass(Parallel(), sites, self._oriented(conditional_input, member))
        return permuted(params, tf.gather(tf.constant(self.step_of_site), member))

    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        if self.num_members > 1:
            own = tf.broadcast_to(0 if member is None else member, [batch_size])
            conditional_input = self._oriented(conditional_input, own)
        return super().start(batch_size, conditional_input, order=order, member=member)

    def _oriented(self, conditional_input: Any, member: tf.Tensor) -> Any:
        """Returns the condition with its maps under the symmetry of the member of each row, int32 `[B]`."""
        if conditional_input is None:
            return None
        pixels = self.orders[:, :: self.num_groups] // self.num_groups

        def oriented(part: Any) -> tf.Tensor:
            part = tf.convert_to_tensor(part)
            if part.shape.rank != 4:
                return part
            flat = tf.reshape(part, [tf.shape(part)[0], pixels.shape[1], part.shape[-1]])
            return tf.reshape(permuted(flat, tf.gather(tf.constant(pixels), member)), tf.shape(part))

        return tf.nest.map_structure(oriented, conditional_input)

    def influences(self, sites: Any = None, member: int = 0, order: Any = None, num_sites: Any = None) -> NDArray:
        """See the base class. A member follows the steps of its order through the layers."""
        steps = self.step_of_site[member]
        return super().influences(steps if sites is None else steps[np.asarray(sites, int)])[:, steps]

    def _params(self, run: Run, features: Any, image: Any) -> Any:
        return run(self.outputs, features) + run(self.linear, image)


@keras.saving.register_keras_serializable("tfar")
class SpatialFeaturesNetwork(SpatialLSTMNetwork):
    """The spatial LSTM for a head that takes features of a pixel and a location, such as `heads.GaussianScaleMixture`:

        params = [h_L, V neighbourhood + d]

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        site_shape: `()` or `(1,)` for one channel, `(C,)` for several.
        params_size: int. Parameters of a pixel, `units + C`.
        **kwargs: arguments of `SpatialLSTMNetwork`.
    """

    def _add_outputs(self, inputs: int, outputs: int) -> None:
        self.linear = self._of_neighbourhood("linear", inputs, outputs - self.units)

    def build(self, input_shape: Any = None) -> None:
        """Creates all variables, whose shapes depend only on the configuration."""
        super().build(input_shape)
        self.data_init_pending = self.add_weight(name="data_init_pending", initializer="ones", trainable=False)

    def _params(self, run: Run, features: Any, image: Any) -> Any:
        return run(_joined, features, run(self.linear, image))

    # Initial weights -------------------------------------------------------------------------------------------------

    @property
    def awaits_data(self) -> bool:
        return self.built and bool(self.data_init_pending.numpy() > 0.0)

    def initialize(self, x: Any, conditional_input: Any = None) -> None:
        """Sets the linear prediction to the least-squares solution for all pixels of images.

        Args:
            x: float tensor `[B, *event_shape]`.
            conditional_input: None.
        """
        channels = self._inputs - 1
        moments, products = np.zeros([]), np.zeros([])
        for first, order in itertools.product(range(0, len(x), _ROWS_AT_ONCE), self.orders):
            sites = self._sites(tf.cast(x[first : first + _ROWS_AT_ONCE], tf.float32))
            image = self.encode(permuted(sites, order))
            image = np.asarray(image, np.float64).reshape(-1, *self.image_shape[:2], channels + 1)
            inputs = self._neighbourhoods(image)
            moments, products = moments + inputs.T @ inputs, products + inputs.T @ image[..., :-1].reshape(-1, channels)
        solution = np.linalg.lstsq(moments, products, rcond=1e-9)[0]
        kernel = np.zeros(self.linear.full_kernel.shape)
        kernel[self._taps] = solution[:-1].reshape(-1, channels + 1, channels)
        self.linear.full_kernel.assign(kernel)
        self.linear.bias.assign(solution[-1])
        self.data_init_pending.assign(tf.zeros([]))

    @property
    def _taps(self) -> NDArray[np.bool_]:
        """Which entries of the square are earlier pixels, bool `[n, n]`."""
        return self.linear.group_mask[..., 0, 0]

    def _neighbourhoods(self, image: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the inputs of each pixel and a 1: `[B H W, pixels of a neighbourhood * inputs + 1]`."""
        _, height, width, _ = image.shape
        half = self.neighbourhood // 2
        padded = np.pad(image, [(0, 0), (half, half), (half, half), (0, 0)])
        shifted = [padded[:, a : a + height, b : b + width] for a, b in np.argwhere(self._taps)]
        inputs = np.concatenate([*shifted, np.ones_like(image[..., :1])], axis=-1)
        return inputs.reshape(-1, inputs.shape[-1])


def _joined(features: tf.Tensor, location: tf.Tensor) -> tf.Tensor:
    """Concatenates features and locations."""
    return tf.concat([features, location], axis=-1)
