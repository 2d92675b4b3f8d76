"""The network of DARN: layers of bits, each of which depends on the layer decided before it and on itself."""

import functools
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import orders as site_orders
from tfar.layers import MaskedDense
from tfar.networks.base import AutoregressiveNetwork, Weights
from tfar.networks.conditions import State, condition_size, flatten_condition
from tfar.networks.inputs import add_columns, float32_value, push
from tfar.networks.schedule import sites_of_step


class StochasticLayer(NamedTuple):
    """A layer of sites.

    Attributes:
        sites: slice. Its sites in raster order.
        first_step: int. The step that decides its first sites.
        links: dense layers from the layer decided before it, or from the condition, to its logits; the last one is linear.
        within: the strictly triangular kernel between its own sites, or None if they are independent.
    """

    sites: slice
    first_step: int
    links: list[keras.layers.Dense]
    within: MaskedDense | None


@keras.saving.register_keras_serializable("tfar")
class DARNNetwork(AutoregressiveNetwork):
    """Layers of bits that are decided one after the other. A step decides a site, or a layer whose sites are independent.

        d = tanh(... tanh(T h_before + t)),    logits of h = b + U d + W h

    h_before is the layer decided before h, or the condition for the first layer; without a condition, the first layer has no
    U d. W is strictly lower triangular in the order of the sites of a layer. Without hidden units, d = h_before.

    Args:
        event_shape: shape of one event, whose sites are those of all layers, one layer after the other.
        layer_units: None for a single layer, or the sites of each layer.
        hidden_units: units of the deterministic layers between two layers of sites.
        top_down: bool. Decide the last layer first.
        autoregressive: bool. Whether a site depends on earlier sites of its layer; otherwise W = 0.
        condition_units: None, or the number of leading features of the condition to use, such as the first layer of a latent.
        order, activation, conditional_shape, kernel_initializer, seed: see `tfar.DARN`.

    Raises:
        ValueError: If the layers do not have as many sites as an event.

    References:
        Gregor, Danihelka, Mnih, Blundell and Wierstra. Deep autoregressive networks. ICML 2014, section 2.
        https://arxiv.org/abs/1310.8499
    """

    num_sites: int
    params_size = 1

    def __init__(
        self,
        event_shape: tuple[int, ...],
        layer_units: tuple[int, ...] | None = None,
        hidden_units: tuple[int, ...] = (),
        *,
        top_down: bool = False,
        autoregressive: bool = True,
        order: site_orders.Order = "natural",
        activation: Any = "tanh",
        conditional_shape: Any = None,
        condition_units: int | None = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, (), conditional_shape, **kwargs)
        self.layer_units = (self.num_sites,) if layer_units is None else tuple(layer_units)
        if sum(self.layer_units) != self.num_sites:
            raise ValueError(
                f"Expected `layer_units` to sum to the {self.num_sites} sites of an event; received {self.layer_units}."
            )
        self.hidden_units, self.activation = tuple(hidden_units), keras.activations.get(activation)
        self.top_down, self.autoregressive, self.order = bool(top_down), bool(autoregressive), order
        self.condition_units = condition_size(conditional_shape) if condition_units is None else int(condition_units)
        self.kernel_initializer, self.seed = keras.initializers.get(kernel_initializer), seed
        self._make_layers()

    def _make_layers(self) -> None:
        """Creates the layers in the order of the steps, and the schedule."""
        ends = np.cumsum(self.layer_units).tolist()
        sites = [slice(end - units, end) for end, units in zip(ends, self.layer_units, strict=True)]
        steps, first_step, inputs = np.zeros([1, self.num_sites], np.int32), 0, self.condition_units
        self.layers_of_sites: list[StochasticLayer] = []
        for number, own in enumerate(reversed(sites) if self.top_down else sites):
            units, salt = own.stop - own.start, number * (len(self.hidden_units) + 2)
            positions, within = np.zeros([units], np.int32), None
            if self.autoregressive:
                positions = site_orders.positions(site_orders.resolve(self.order, units, self.seed))
            if self.autoregressive and units > 1:
                within = MaskedDense(
                    units,
                    positions.tolist(),
                    positions.tolist(),
                    strict=True,
                    use_bias=False,
                    kernel_initializer=self._seeded(salt),
                    dtype=self.dtype_policy,
                    name=f"within_{number + 1}",
                )
            links = self._links(number, units, salt) if inputs else []
            self.layers_of_sites.append(StochasticLayer(own, first_step, links, within))
            steps[0, own], inputs = first_step + positions, units
            first_step += int(positions.max()) + 1
        self.step_of_site = steps
        # Keras finds layers in lists, but not in tuples within lists.
        self.dense_layers = [layer for part in self.layers_of_sites for layer in [*part.links, part.within] if layer]

    def _links(self, number: int, units: int, salt: int) -> list[keras.layers.Dense]:
        hidden = [
            self._dense(f"hidden_{number + 1}_{i + 1}", size, salt + i + 2, activation=self.activation)
            for i, size in enumerate(self.hidden_units)
        ]
        return [*hidden, self._dense(f"link_{number + 1}", units, salt + 1, use_bias=False)]

    def build(self, input_shape: Any = None) -> None:
        """Creates all variables, whose shapes depend only on the configuration."""
        inputs = self.condition_units
        for layer in self.layers_of_sites:
            for dense in layer.links:
                dense.build((None, inputs))
                inputs = dense.units
            inputs = layer.sites.stop - layer.sites.start
            if layer.within is not None:
                layer.within.build((None, inputs))
        self.bias = self.add_weight(name="bias", shape=(self.num_sites,), initializer="zeros")
        self.built = True

    def influences(self, sites: Any = None, member: int = 0, order: Any = None, num_sites: Any = None) -> NDArray:
        """See the base class. A site depends on earlier sites of its layer and on the layer decided before it."""
        steps, before = self.step_of_site[0], slice(0, 0)
        influences = np.zeros([self.num_sites, self.num_sites], bool)
        for layer in self.layers_of_sites:
            own = steps[layer.sites]
            influences[layer.sites, before] = True
            influences[layer.sites, layer.sites] = own[None, :] < own[:, None]
            before = layer.sites
        return influences if sites is None else influences[np.asarray(sites, int)]

    # In parallel -----------------------------------------------------------------------------------------------------

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        values, before = self._sites(x), self._condition(conditional_input)
        logits: dict[int, tf.Tensor] = {}
        for layer in self.layers_of_sites:
            own = values[:, layer.sites]
            parts = [_linked(layer, before)] if layer.links else []
            parts += [] if layer.within is None else [layer.within(own)]
            logits[layer.sites.start] = functools.reduce(tf.add, parts) if parts else tf.zeros_like(own)
            before = own
        joined = tf.concat([logits[start] for start in sorted(logits)], axis=1)
        return (joined + tf.cast(self.bias, joined.dtype))[..., None]

    def _condition(self, conditional_input: Any) -> tf.Tensor | None:
        """Returns the features of the condition that the network uses, `[B, condition_units]`."""
        if self.conditional_shape is None:
            return None
        return flatten_condition(conditional_input, self.conditional_shape)[:, : self.condition_units]

    # In steps --------------------------------------------------------------------------------------------------------

    def step_weights(self) -> Weights:
        """Returns W of all layers as blocks of one kernel, with a row for the contribution of a site to all logits."""
        if not self.autoregressive:
            return {}
        blocks: list[tf.Tensor] = []
        for layer in sorted(self.layers_of_sites, key=lambda layer: layer.sites.start):
            units = layer.sites.stop - layer.sites.start
            kernel = tf.zeros([units, units]) if layer.within is None else float32_value(layer.within.kernel)
            blocks.append(tf.pad(kernel, [[0, 0], [layer.sites.start, self.num_sites - layer.sites.stop]]))
        return {"kernel": tf.concat(blocks, axis=0)}

    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        state = {"logits": tf.tile(float32_value(self.bias)[None], [batch_size, 1])}
        if self.layers_of_sites[0].links:
            state["logits"] += self._padded(self.layers_of_sites[0], self._condition(conditional_input))
        if len(self.layers_of_sites) > 1:
            state["values"] = tf.zeros([batch_size, self.num_sites])
        return state

    def _padded(self, layer: StochasticLayer, before: Any) -> tf.Tensor:
        """Returns U d of a layer at its sites and 0 at other sites, float32 `[B, num_sites]`."""
        linked = tf.cast(_linked(layer, before), tf.float32)
        return tf.pad(linked, [[0, 0], [layer.sites.start, self.num_sites - layer.sites.stop]])

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        weights = self.step_weights() if weights is None else weights
        number, size = tf.get_static_value(index), x_previous.shape[1]
        previous = tf.maximum(index - 1, 0) if number is None else tf.constant(max(int(number) - 1, 0))
        sites = sites_of_step(self.step_of_site[0], previous, size)
        inputs = tf.cast(x_previous, tf.float32) * tf.cast(index > 0, tf.float32)
        state = dict(state)
        if self.autoregressive:
            state["logits"] += push(inputs, tf.gather(weights["kernel"], sites))
        if "values" in state:
            state["values"] = add_columns(state["values"], sites, inputs)
        for before, layer in zip(self.layers_of_sites, self.layers_of_sites[1:], strict=False):
            state["logits"] = self._with_layer(layer, before, state, index)
        sites = sites_of_step(self.step_of_site[0], index, size)
        return tf.gather(state["logits"], sites, axis=1)[..., None], state

    def _with_layer(self, layer: StochasticLayer, before: StochasticLayer, state: State, index: tf.Tensor) -> tf.Tensor:
        """Returns the logits, to which the first step of a layer adds what the layer before it contributes."""

        def added() -> tf.Tensor:
            return state["logits"] + self._padded(layer, state["values"][:, before.sites])

        number = tf.get_static_value(index)
        if number is None:
            return tf.cond(tf.equal(index, layer.first_step), added, lambda: state["logits"])
        return added() if number == layer.first_step else state["logits"]


def _linked(layer: StochasticLayer, before: Any) -> tf.Tensor:
    """Returns U d of a layer, `[B, units]`, from the values that it depends on."""
    return functools.reduce(lambda values, dense: dense(values), layer.links, before)
