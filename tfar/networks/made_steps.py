"""Stepwise evaluation of the network of MADE: every hidden unit is computed once."""

import abc
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar.layers import MaskedDense
from tfar.networks.base import AutoregressiveNetwork, State, Weights, flatten_condition
from tfar.networks.connectivity import Members


class MADESteps(AutoregressiveNetwork, abc.ABC):
    """`start` and `step` of a masked multilayer perceptron.

    A unit of degree m is final once m sites are known. So step t adds the site before it to the first layer's sums, computes
    the units of degree t of each layer in turn, and reads the outputs of its own site. Units that are not final, and sites that
    are not decided, are zero in the state, so that no mask is needed. Under an ensemble each row has its own degrees and order.
    """

    hidden_layers: list[MaskedDense]
    condition_layers: list[keras.layers.Dense]
    output_layer: MaskedDense
    direct_layer: MaskedDense | None
    activation: Any
    connectivity_weights: bool
    hidden_units: tuple[int, ...]
    _inputs_per_site: int
    _members: Members

    def step_weights(self) -> Weights:
        """The kernels in the layout in which a step reads them: a row for each unit, a block for each site."""
        first, *others = self.hidden_layers
        weights = {"hidden_1": self._by_input_site(first.full_kernel)}
        if self.connectivity_weights:
            summed = tf.reshape(_value(first.connectivity_kernel), [self.num_sites, self._inputs_per_site, -1])
            weights["seen_1"] = tf.reduce_sum(summed, axis=1)
        for i, layer in enumerate(others, start=2):
            weights[f"hidden_{i}"] = self._by_unit(layer)
        weights["output"] = self._by_output_site(self._by_unit(self.output_layer))
        weights["output_bias"] = self._by_output_site(_value(self.output_layer.bias))
        if self.direct_layer is not None:
            weights["direct"] = self._by_output_site(tf.transpose(_value(self.direct_layer.full_kernel)))
        return weights

    def _by_unit(self, layer: MaskedDense) -> tf.Tensor:
        """The transposed kernel, beside it that of the connectivity: `[units, inputs or 2 inputs]`."""
        kernels = [layer.full_kernel, *([layer.connectivity_kernel] if self.connectivity_weights else [])]
        return tf.transpose(tf.concat([_value(kernel) for kernel in kernels], axis=0))

    def _by_input_site(self, kernel: Any) -> tf.Tensor:
        return tf.reshape(_value(kernel), [self.num_sites, self._inputs_per_site, -1])

    def _by_output_site(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.reshape(rows, tf.concat([[self.num_sites, self.params_size], tf.shape(rows)[1:]], 0))

    def start(
        self,
        batch_size: int | tf.Tensor,
        conditional_input: Any = None,
        length: int | None = None,
        order: Any = None,
        member: Any = None,
    ) -> State:
        state = {}
        member = tf.zeros([batch_size], tf.int32) if member is None else member
        if self.num_members > 1:
            state["member"] = member
        if order is not None or len(self.orders) > 1:
            state["order"] = self.row_orders(member) if order is None else tf.cast(order, tf.int32)
        for i, (layer, units) in enumerate(zip(self.hidden_layers, self.hidden_units, strict=True), start=1):
            sums = tf.tile(_value(layer.bias)[None], [batch_size, 1])
            if self.condition_layers:
                features = flatten_condition(conditional_input, self.conditional_shape)
                sums += tf.matmul(features, _value(self.condition_layers[i - 1].kernel))
            state[f"sums_{i}"] = sums
            state[f"hidden_{i}"] = tf.zeros([batch_size, units * (2 if self.connectivity_weights else 1)])
        if self.direct_layer is not None:
            state["inputs"] = tf.zeros([batch_size, self.num_sites * self._inputs_per_site])
        return state

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        weights = self.step_weights() if weights is None else weights
        state = self._add_previous(dict(state), index, x_previous, weights)
        for i in range(1, len(self.hidden_units) + 1):
            state = self._finish_units(i, state, index, weights)
        site = self.sites_at(state, index)
        params = _dot(state[f"hidden_{len(self.hidden_units)}"], weights["output"], site)
        params += tf.gather(weights["output_bias"], site)
        if self.direct_layer is not None:
            params += _dot(state["inputs"], weights["direct"], site)
        return params, state

    def _add_previous(self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights) -> State:
        """Adds the site decided by the step before to the sums of the first layer."""
        started = tf.cast(index > 0, tf.float32)
        site = self.sites_at(state, tf.maximum(index - 1, 0))
        inputs = self._encode(tf.cast(x_previous, tf.float32)) * started
        rows = tf.gather(weights["hidden_1"], site)
        if self._inputs_per_site == 1:
            state["sums_1"] += inputs * rows[..., 0, :]
        else:
            state["sums_1"] += tf.matmul(inputs, rows) if rows.shape.rank == 2 else tf.linalg.matvec(
                rows, inputs, transpose_a=True
            )
        if self.connectivity_weights:
            state["sums_1"] += started * tf.gather(weights["seen_1"], site)
        if self.direct_layer is not None:
            columns = tf.reshape(site, [-1, 1]) * self._inputs_per_site + tf.range(self._inputs_per_site)[None]
            old = tf.gather(state["inputs"], tf.broadcast_to(columns, tf.shape(inputs)), batch_dims=1)
            state["inputs"] = _write(state["inputs"], columns, tf.where(index > 0, inputs, old))
        return state

    def _finish_units(self, layer: int, state: State, index: tf.Tensor, weights: Weights) -> State:
        """Computes the units whose degree is `index`: all that they may see is known now."""
        units = tf.constant(self._members.tables[layer - 1])
        units = tf.gather(units[:, index], state["member"]) if "member" in state else units[0, index]
        exists, units = units[..., :1] >= 0, tf.maximum(units, 0)
        shared = units.shape.rank == 1
        sums = tf.gather(state[f"sums_{layer}"], units, axis=1, batch_dims=0 if shared else 1)
        if layer > 1:
            sums += _dot(state[f"hidden_{layer - 1}"], weights[f"hidden_{layer}"], units)
        name = f"hidden_{layer}"
        old = tf.gather(state[name], units, axis=1, batch_dims=0 if shared else 1)
        columns, values = units, tf.where(exists, self.activation(sums), old)
        if self.connectivity_weights:
            columns = tf.concat([columns, columns + self.hidden_units[layer - 1]], -1)
            flags = tf.cast(tf.broadcast_to(exists, tf.shape(old)), tf.float32)
            old_flags = tf.gather(state[name], units + self.hidden_units[layer - 1], axis=1, batch_dims=0 if shared else 1)
            values = tf.concat([values, tf.maximum(flags, old_flags)], -1)
        state[name] = _write(state[name], columns, values)
        return state

    @abc.abstractmethod
    def _encode(self, values: tf.Tensor) -> tf.Tensor:
        """Inputs for the values of sites."""


def _value(variable: Any) -> tf.Tensor:
    return tf.convert_to_tensor(variable)


def _dot(values: tf.Tensor, rows: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Products of `values [B, N]` with the blocks of `rows [R, ..., N]` that `index` selects, the same or one for each row.

    An index `[]` or `[G]` shared by the batch takes a matrix product; one for each row, `[B]` or `[B, G]`, a sum of products.
    """
    chosen = tf.gather(rows, index)
    if chosen.shape.rank == 2:
        return tf.matmul(values, chosen, transpose_b=True)
    return tf.reduce_sum(values[:, None, :] * chosen, axis=-1)


def _write(state: tf.Tensor, columns: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Writes `values [B, G]` into the columns `[G]`, `[1, G]` or `[B, G]` of `state [B, N]`."""
    columns = tf.broadcast_to(columns, tf.shape(values))
    rows = tf.broadcast_to(tf.range(tf.shape(values)[0])[:, None], tf.shape(values))
    return tf.tensor_scatter_nd_update(state, tf.stack([rows, columns], axis=-1), values)
