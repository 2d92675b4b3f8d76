"""The network of MADE: a masked multilayer perceptron."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import masks, orders, random
from tfar.layers import MaskedDense
from tfar.networks.base import TrainingPass
from tfar.networks.bounds import check_bits, sums_of
from tfar.networks.conditions import condition_size, flatten_condition
from tfar.networks.connectivity import Connectivity, ConnectivityDraw, Members
from tfar.networks.inputs import dropped, initial_bias, site_encoding
from tfar.networks.made_steps import MADESteps
from tfar.networks.permutations import inverted, observed_first, permuted, unpermuted


@keras.saving.register_keras_serializable("tfar")
class MADENetwork(MADESteps):
    """Masked multilayer perceptron. The masks are computed from degrees.

        h_1 = g(b_1 + (W_1 * M_1) x),   h_l = g(b_l + (W_l * M_l) h_{l-1}),   params = c + (V * M_V) h_L + (A * M_A) x

    A conditional input is added to every hidden layer through a dense layer.

    With one mask, the kernels store the sites in the order of the steps and the units sorted by degree. With several
    masks, they store the sites in raster order.

    Args:
        event_shape: shape of one event.
        hidden_units: units of each hidden layer.
        params_size: int. Parameters of a site.
        site_shape: shape of the value of one site.
        num_classes: None, or the number of classes of a site. Its values are then scaled to -1 .. 1.
        one_hot: bool. Encode the classes of a site as one-hot inputs instead.
        site_levels: None, or the values of each site that have an input of their own; see `LevelEncoding`.
        initial_params: None, or `params_size` numbers: the parameters of every site before training; or such a list for each
            site.
        order, num_masks, num_eval_masks, degrees, direct_connections, connectivity_weights, activation, dropout_rate,
        conditional_shape, kernel_initializer, seed: see `tfar.MADE`.

    References:
        Germain et al. MADE: Masked Autoencoder for Distribution Estimation. ICML 2015, section 4.
        https://arxiv.org/abs/1502.03509
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        hidden_units: tuple[int, ...],
        params_size: int = 1,
        site_shape: tuple[int, ...] = (),
        *,
        order: orders.Order = "natural",
        num_masks: int | None = 1,
        num_eval_masks: int = 16,
        degrees: str = "even",
        direct_connections: bool = True,
        connectivity_weights: bool = False,
        activation: Any = "relu",
        dropout_rate: float = 0.0,
        conditional_shape: Any = None,
        num_classes: int | None = None,
        one_hot: bool = False,
        site_levels: Sequence[Sequence[float]] | None = None,
        initial_params: Sequence[Any] | None = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, site_shape, conditional_shape, **kwargs)
        self.hidden_units, self.params_size = tuple(hidden_units), int(params_size)
        self.order, self.num_masks, self.num_eval_masks = order, num_masks, num_eval_masks
        self.degrees, self.direct_connections = degrees, direct_connections
        self.connectivity_weights, self.seed = connectivity_weights, seed
        self._encode = site_encoding(site_shape, num_classes, one_hot, site_levels)
        self.num_classes, self.one_hot = num_classes, self._encode.one_hot
        self.initial_params = initial_params
        self.activation, self.dropout_rate = keras.activations.get(activation), float(dropout_rate)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self._draw_members()
        self._make_layers()

    # Masks -----------------------------------------------------------------------------------------------------------

    def _draw_members(self) -> None:
        random_order = isinstance(self.order, str) and self.order == "random"
        self.any_order = random_order and self.num_masks is None
        shared = orders.positions(orders.resolve(self.order, self.num_sites, self.seed))
        self._drawing = ConnectivityDraw(
            self.num_sites,
            self.hidden_units,
            lowest=1 if self.num_sites > 1 and self.conditional_shape is None else 0,
            evenly=self.degrees == "even",
            positions=None if random_order and self.num_masks != 1 else shared,
        )
        self.num_members = self.num_eval_masks if self.num_masks is None else self.num_masks
        self._members = Members(self._drawing, self.num_members, self.seed)
        self.step_of_site = self._members.positions

    def influences(self, sites: Any = None, member: int = 0, order: Any = None, num_sites: Any = None) -> NDArray:
        """See the base class. Two sites are connected if the product of the masks connects them."""
        own = self._members.positions[min(member, len(self._members.positions) - 1)]
        positions = own if order is None else orders.positions(np.asarray(order))
        hidden = [degrees[member] for degrees in self._members.hidden]
        return masks.influences(positions + 1, hidden, sites, direct_connections=self.direct_connections)

    def largest_sums(self) -> dict[str, NDArray[np.float64]]:
        """See the base class. Of the one-hot inputs of a site, only one is not zero."""
        if self.num_members > 1 or self.any_order:
            raise ValueError(f"Expected one mask (num_masks=1); received num_masks={self.num_masks}.")
        check_bits(self._encode)
        inputs, per_site = np.ones(self.num_sites), self._encode.inputs_per_site
        values, group_size, found = inputs, per_site, {}
        for i, layer in enumerate(self.hidden_layers):
            others = [np.asarray(self.condition_layers[i].kernel)] if self.condition_layers else []
            sums = sums_of(values, layer, others, group_size)
            found[layer.name], values, group_size = sums.size, sums.activated(self.activation), 1
        sums = sums_of(values, self.output_layer, group_size=group_size)
        if self.direct_layer is not None:
            sums = sums.plus(sums_of(inputs, self.direct_layer, group_size=per_site))
        return {**found, self.output_layer.name: sums.size}

    @property
    def _kernels_in_step_order(self) -> bool:
        """Whether the kernels store the sites in the order of the steps, which sorts the degrees of the sites.

        This requires a single mask, because different masks may have different orders.
        """
        return self.num_masks == 1

    def _connectivity(self, member: Any, order: Any, seed: Any) -> Connectivity:
        """Returns a newly drawn or a stored connectivity, with the given order if there is one."""
        if seed is not None and self.num_masks is None:
            connectivity = self._drawing.draw(seed)
        elif seed is not None and self.num_members > 1:
            noise = random.uniform(seed[None], 1, random.Stream.MEMBER)[0, 0]
            member = tf.minimum(tf.cast(tf.floor(noise * self.num_members), tf.int32), self.num_members - 1)
            connectivity = self._members.connectivity(member)
        else:
            connectivity = self._members.connectivity(member)
        return connectivity if order is None else connectivity._replace(positions=inverted(order))

    # Layers ----------------------------------------------------------------------------------------------------------

    def _make_layers(self) -> None:
        steps = np.arange(self.num_sites) if self._kernels_in_step_order else self._members.positions[0]
        inputs = previous = np.repeat(steps + 1, self._encode.inputs_per_site)
        outputs = np.repeat(steps + 1, self.params_size)
        self.hidden_layers, self.condition_layers, self.direct_layer = [], [], None
        for i, units in enumerate(self.hidden_units):
            degrees = self._members.hidden[i][0]
            self.hidden_layers.append(self._masked(f"hidden_{i + 1}", previous, degrees, 3 * i + 10))
            if self.conditional_shape is not None:
                self.condition_layers.append(self._dense(f"condition_{i + 1}", units, 3 * i + 11, use_bias=False))
            previous = degrees
        order = self.orders[0] if self._kernels_in_step_order else None
        bias = initial_bias(self.initial_params, self.num_sites, order)
        self.output_layer = self._masked("output", previous, outputs, 9, strict=True, bias_initializer=bias)
        if self.direct_connections:
            self.direct_layer = self._masked("direct", inputs, outputs, 8, strict=True, use_bias=False)

    def _masked(self, name: str, inputs: NDArray, outputs: NDArray, salt: int, **kwargs: Any) -> MaskedDense:
        return MaskedDense(
            len(outputs),
            inputs.tolist(),
            outputs.tolist(),
            use_connectivity_kernel=self.connectivity_weights and kwargs.get("use_bias", True),
            kernel_initializer=self._seeded(salt),
            dtype=self.dtype_policy,
            name=name,
            **kwargs,
        )

    def build(self, input_shape: Any = None) -> None:
        """Creates all variables, whose shapes depend only on the configuration."""
        for layer in filter(None, [*self.hidden_layers, self.output_layer, self.direct_layer]):
            layer.build((None, len(layer.in_degrees)))
        for layer in self.condition_layers:
            layer.build((None, condition_size(self.conditional_shape)))
        self.built = True

    # In parallel -----------------------------------------------------------------------------------------------------

    def training_pass(
        self, x: Any, conditional_input: Any, seed: tf.Tensor, observed: tf.Tensor | None = None
    ) -> TrainingPass:
        """See the base class. With any order, the observed sites of each row come first in its own."""
        if observed is None or not self.any_order:
            return TrainingPass(self(x, conditional_input, seed=seed, training=True))
        order = observed_first(inverted(self._connectivity(0, None, seed).positions), observed)
        params = self(x, conditional_input, order=order, seed=seed, training=True)
        return TrainingPass(params, tf.cast(observed, tf.float32))

    def call(  # type: ignore[override]
        self,
        x: Any,
        conditional_input: Any = None,
        member: Any = 0,
        order: Any = None,
        seed: Any = None,
        training: Any = None,
    ) -> tf.Tensor:
        """See the base class. An order for each row, `[B, num_sites]`, gives each row its own mask.

        Args:
            seed: None, or int32 `[2]`. Selects a member at random, or draws fresh masks if `num_masks` is None, and decides
                which hidden units are dropped. `member` is then ignored.
        """
        if order is not None and not self.any_order:
            raise ValueError(
                "Expected no `order`, which needs order='random' and num_masks=None; received one for "
                f"order={self.order!r} and num_masks={self.num_masks}."
            )
        sites = self._sites(x)
        if self._kernels_in_step_order:
            inputs = permuted(self._encode(sites), self.orders[0])
            params = self._forward(inputs, conditional_input, None, seed)
            return unpermuted(params, self.orders[0])
        return self._forward(self._encode(sites), conditional_input, self._connectivity(member, order, seed), seed)

    def params_given(self, x: tf.Tensor, known: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """See the base class. The known sites keep their order, and all other sites share the next position."""
        connectivity = self._members.connectivity(0)
        steps = inverted(observed_first(inverted(connectivity.positions), known))
        num_known = tf.reduce_sum(tf.cast(known, tf.int32), axis=1, keepdims=True)
        connectivity = connectivity._replace(positions=tf.minimum(steps, num_known))
        return self._forward(self._encode(self._sites(x)), conditional_input, connectivity, seed=None)

    def _forward(
        self, encoded: tf.Tensor, conditional_input: Any, connectivity: Connectivity | None, seed: tf.Tensor | None
    ) -> tf.Tensor:
        """Computes all parameters with a connectivity; None selects that of the layers. Dropout needs a seed."""
        hidden = inputs = tf.reshape(encoded, [-1, self.num_sites * self._encode.inputs_per_site])
        degrees = self._degrees(connectivity)
        for i, layer in enumerate(self.hidden_layers):
            hidden = layer(hidden, degrees[i], degrees[i + 1])
            if self.condition_layers:
                hidden += self.condition_layers[i](flatten_condition(conditional_input, self.conditional_shape))
            hidden = dropped(self.activation(hidden), self.dropout_rate, seed, layer=i)
        params = self.output_layer(hidden, degrees[-2], degrees[-1])
        if self.direct_layer is not None:
            params += self.direct_layer(inputs, degrees[0], degrees[-1])
        return tf.reshape(params, [-1, self.num_sites, self.params_size])

    def _degrees(self, connectivity: Connectivity | None) -> list[tf.Tensor | None]:
        """Returns the degrees of inputs, hidden layers and outputs; None selects the degrees of the layer."""
        if connectivity is None:
            return [None] * (len(self.hidden_units) + 2)
        site_degrees = connectivity.positions + 1
        inputs = tf.repeat(site_degrees, self._encode.inputs_per_site, axis=-1)
        return [inputs, *connectivity.hidden, tf.repeat(site_degrees, self.params_size, axis=-1)]
