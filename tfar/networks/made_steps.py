"""Stepwise evaluation of the network of MADE, which computes every hidden unit only once."""

import abc
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.layers import MaskedDense
from tfar.networks.base import AutoregressiveNetwork, Weights
from tfar.networks.conditions import State, flatten_condition
from tfar.networks.connectivity import Members
from tfar.networks.inputs import SiteEncoding, add_columns, float32_value, push


class MADESteps(AutoregressiveNetwork, abc.ABC):
    """`start` and `step` of a masked multilayer perceptron.

    A hidden unit of degree m is final once the sites of the first m steps are known. So step t

    1. adds the site decided by step t - 1 to the sums of the first hidden layer,
    2. computes the hidden units of degree t, layer by layer,
    3. computes the outputs of the site that it decides.

    No mask is needed, because units and sites that are not known yet are zero in the state or are not read.

    A layer is evaluated in one of two ways:

    - *Pull*: multiply the values of the previous layer, which the state holds, by the columns of the kernel that belong
      to the new units. This requires the same columns in all rows of the batch.
    - *Push*: when a unit is computed, add its contribution to all sums of the next layer. This is used where the rows differ
      in the degrees of the units, or in the order of the outputs, because gathering different columns for each row is
      slow.
    """

    num_sites: int
    orders: NDArray[np.int32]
    hidden_layers: list[MaskedDense]
    condition_layers: list[keras.layers.Dense]
    output_layer: MaskedDense
    direct_layer: MaskedDense | None
    activation: Any
    connectivity_weights: bool
    hidden_units: tuple[int, ...]
    _encode: SiteEncoding
    _members: Members

    # Weights and state -----------------------------------------------------------------------------------------------

    def step_weights(self) -> Weights:
        """Returns the kernels: `push_l` of layer l with a row per input, `pull_l` its transpose with a row per output."""
        weights = {"push_1": float32_value(self.hidden_layers[0].full_kernel)}
        if self.connectivity_weights:
            kernel = float32_value(self.hidden_layers[0].connectivity_kernel)
            by_site = tf.reshape(kernel, [self.num_sites, self._encode.inputs_per_site, -1])
            weights["seen_1"] = tf.reduce_sum(by_site, axis=1)
        for i, layer in enumerate([*self.hidden_layers[1:], self.output_layer], start=2):
            kernels = [layer.full_kernel, *([layer.connectivity_kernel] if self.connectivity_weights else [])]
            weights[f"push_{i}"] = tf.concat([float32_value(kernel) for kernel in kernels], axis=0)
            weights[f"pull_{i}"] = tf.transpose(weights[f"push_{i}"])
        if self.direct_layer is not None:
            weights["push_direct"] = float32_value(self.direct_layer.full_kernel)
            weights["pull_direct"] = tf.transpose(weights["push_direct"])
        return weights

    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        state = {}
        member = tf.zeros([batch_size], tf.int32) if member is None else member
        if self.num_members > 1:
            state["member"] = member
        if order is not None or len(self.orders) > 1:
            own = tf.gather(tf.constant(self.orders), member if len(self.orders) > 1 else tf.zeros_like(member))
            state["order"] = own if order is None else tf.cast(order, tf.int32)
        for i, layer in enumerate(self.hidden_layers, start=1):
            state[f"sums_{i}"] = tf.tile(float32_value(layer.bias)[None], [batch_size, 1])
            if self.condition_layers:
                features = flatten_condition(conditional_input, self.conditional_shape)
                state[f"sums_{i}"] += tf.matmul(features, float32_value(self.condition_layers[i - 1].kernel))
        copies = 2 if self.connectivity_weights else 1  # the value of a unit, and whether it is known
        for i, units in enumerate(self.hidden_units, start=1):
            if self._pulls(i + 1, state):
                state[f"hidden_{i}"] = tf.zeros([batch_size, copies * units])
        if "order" in state:
            state["outputs"] = tf.tile(float32_value(self.output_layer.bias)[None], [batch_size, 1])
        elif self.direct_layer is not None:
            state["inputs"] = tf.zeros([batch_size, self.num_sites * self._encode.inputs_per_site])
        return state

    # Steps -----------------------------------------------------------------------------------------------------------

    def _pulls(self, layer: int, state: State) -> bool:
        """Returns whether a layer is pulled, not pushed. Layers count from 1; the last one is the output layer."""
        return ("order" if layer > len(self.hidden_units) else "member") not in state

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        weights = self.step_weights() if weights is None else weights
        state = self._add_previous(dict(state), index, x_previous, weights)
        for layer in range(1, len(self.hidden_units) + 1):
            state = self._finish_units(layer, state, index, weights)
        site = self._slot(state, index)
        if "order" in state:
            outputs = tf.reshape(state["outputs"], [-1, self.num_sites, self.params_size])
            return tf.gather(outputs, site[:, None], batch_dims=1), state
        last, columns = len(self.hidden_units), site * self.params_size + tf.range(self.params_size)
        params = _pull(state[f"hidden_{last}"], weights[f"pull_{last + 1}"], columns)
        params += tf.gather(float32_value(self.output_layer.bias), columns)
        if self.direct_layer is not None:
            params += _pull(state["inputs"], weights["pull_direct"], columns)
        return params[:, None], state

    def _slot(self, state: State, index: tf.Tensor) -> tf.Tensor:
        """Returns the index in the kernels of the site that step `index` decides, a scalar or `[B]`."""
        if self._kernels_in_step_order:
            return index
        return state["order"][:, index] if "order" in state else tf.gather(tf.constant(self.orders[0]), index)

    def _add_previous(self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights) -> State:
        """Adds the site of the previous step to the sums of the first layer and to the inputs of the direct layer."""
        started = tf.cast(index > 0, tf.float32)
        site = self._slot(state, tf.maximum(index - 1, 0))
        of_slot = tf.gather(tf.constant(self.orders[0]), site) if self._kernels_in_step_order else site
        inputs = self._encode(tf.cast(x_previous[:, 0], tf.float32), of_slot) * started
        columns = tf.expand_dims(site, -1) * self._encode.inputs_per_site + tf.range(self._encode.inputs_per_site)
        state["sums_1"] += push(inputs, tf.gather(weights["push_1"], columns))
        if self.connectivity_weights:
            state["sums_1"] += started * tf.gather(weights["seen_1"], site)
        if self.direct_layer is None:
            return state
        if "order" in state:
            state["outputs"] += push(inputs, tf.gather(weights["push_direct"], columns))
        else:
            state["inputs"] = add_columns(state["inputs"], columns, inputs)
        return state

    def _finish_units(self, layer: int, state: State, index: tf.Tensor, weights: Weights) -> State:
        """Computes the units of degree `index` of a hidden layer and passes them on to the next layer."""
        table = tf.constant(self._members.tables[layer - 1])
        units = tf.gather(table[:, index], state["member"]) if "member" in state else table[0, index]
        exists, units = units >= 0, tf.maximum(units, 0)
        sums = tf.gather(state[f"sums_{layer}"], units, axis=1, batch_dims=units.shape.rank - 1)
        if layer > 1 and self._pulls(layer, state):
            sums += _pull(state[f"hidden_{layer - 1}"], weights[f"pull_{layer}"], units)
        values, columns = self.activation(sums), units
        # A row of the table that is not full repeats its first unit, which must be added only once.
        fresh = tf.logical_and(exists, tf.concat([exists[..., :1], units[..., 1:] != units[..., :1]], -1))
        pulls = self._pulls(layer + 1, state)
        if self.connectivity_weights:
            columns = tf.concat([units, units + self.hidden_units[layer - 1]], -1)
            values = tf.concat([values, tf.ones_like(values)], -1)
            fresh = tf.concat([fresh, fresh], -1)
        new = tf.where(fresh, values, tf.zeros_like(values))
        if pulls:
            state[f"hidden_{layer}"] = add_columns(state[f"hidden_{layer}"], columns, new)
        else:
            target = "outputs" if layer == len(self.hidden_units) else f"sums_{layer + 1}"
            state[target] += push(new, tf.gather(weights[f"push_{layer + 1}"], columns))
        return state

    @property
    @abc.abstractmethod
    def _kernels_in_step_order(self) -> bool:
        """Whether the kernels store the sites in the order of the steps, and otherwise in raster order."""


def _pull(values: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Multiplies `values [B, N]` by columns `[G]` of a kernel whose transpose is `rows [M, N]`; returns `[B, G]`."""
    return tf.matmul(values, tf.gather(rows, columns), transpose_b=True)
