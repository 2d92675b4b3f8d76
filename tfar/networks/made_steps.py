"""Stepwise evaluation of the network of MADE: every hidden unit is computed once."""

import abc
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar.layers import MaskedDense
from tfar.networks.base import AutoregressiveNetwork, Weights
from tfar.networks.conditions import State, flatten_condition
from tfar.networks.connectivity import Members
from tfar.networks.inputs import SiteEncoding, push

# Of a walk under one mask, if a layer is so large that its kernel comes in blocks. More stages skip more and compile longer.
STAGES = 4


class MADESteps(AutoregressiveNetwork, abc.ABC):
    """`start` and `step` of a masked multilayer perceptron.

    A unit of degree m is final once m sites are known. So step t adds the site before it to the sums of the first layer,
    computes the units of degree t of each layer in turn, and reads the outputs of its own site. What is not final or not
    decided is zero or not read, so that no mask is needed.

    Where all rows read the same columns of a kernel they are *pulled*: a matrix product with the layer before, which the
    state holds. Where rows differ in their degrees (for the outputs: in their order), what is new is *pushed*: added to the
    sums of the next layer, because reading other columns for each row costs several times as much.

    With one mask the kernels hold sites and units by degree. So the walk has stages, and in a stage the state goes without
    what its steps do not need: the sums of units that are final, and the values of units that become so later.
    """

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
        """Kernels as the steps read them: `push_l` by what comes in, `pull_l` by what goes out of the l-th layer."""
        weights = {"push_1": _value(self.hidden_layers[0].full_kernel)}
        if self.connectivity_weights:
            kernel = _value(self.hidden_layers[0].connectivity_kernel)
            by_site = tf.reshape(kernel, [self.num_sites, self._encode.inputs_per_site, -1])
            weights["seen_1"] = tf.reduce_sum(by_site, axis=1)
        for i, layer in enumerate([*self.hidden_layers[1:], self.output_layer], start=2):
            kernels = [layer.full_kernel, *([layer.connectivity_kernel] if self.connectivity_weights else [])]
            weights[f"push_{i}"] = tf.concat([_value(kernel) for kernel in kernels], axis=0)
            weights[f"pull_{i}"] = tf.transpose(weights[f"push_{i}"])
        if self.direct_layer is not None:
            weights["push_direct"] = _value(self.direct_layer.full_kernel)
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
            state[f"sums_{i}"] = tf.tile(_value(layer.bias)[None], [batch_size, 1])
            if self.condition_layers:
                features = flatten_condition(conditional_input, self.conditional_shape)
                state[f"sums_{i}"] += tf.matmul(features, _value(self.condition_layers[i - 1].kernel))
        _, known = self._stage_units(0)
        for i in range(1, len(self.hidden_units) + 1):
            if self._pulls(i + 1, state):
                state[f"hidden_{i}"] = tf.zeros([batch_size, self._copies * known[i - 1]])
        if "order" in state:
            state["outputs"] = tf.tile(_value(self.output_layer.bias)[None], [batch_size, 1])
        elif self.direct_layer is not None:
            state["inputs"] = tf.zeros([batch_size, self._stage_end(0) * self._encode.inputs_per_site])
        return state

    # Units of the state ----------------------------------------------------------------------------------------------

    stages_differ = False

    def _stage_end(self, stage: int) -> int:
        """The step after the last of a stage."""
        return self.num_sites

    def _stage_units(self, stage: int) -> tuple[list[int], list[int]]:
        """How many units of each layer are final before a stage, and how many when it ends; the state keeps one at least."""
        if not self.stages_differ:
            return [0] * len(self.hidden_units), list(self.hidden_units)
        steps = (0, self.num_sites)
        counts = [np.searchsorted(degrees[0], steps).tolist() for degrees in self._members.hidden]
        first = [min(before, units - 1) for (before, _), units in zip(counts, self.hidden_units, strict=True)]
        return first, [max(1, after) for _, after in counts]

    @property
    def _copies(self) -> int:
        """How often the state holds a hidden layer: its values, and with connectivity weights whether they are seen."""
        return 2 if self.connectivity_weights else 1

    # Steps -----------------------------------------------------------------------------------------------------------

    def _pulls(self, layer: int, state: State) -> bool:
        """Whether the rows of the batch read the same columns of a layer, counted from 1, the outputs last."""
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
        params = _pull(state[f"hidden_{last}"], weights[f"pull_{last + 1}"], columns, self._copies)
        params += tf.gather(_value(self.output_layer.bias), columns)
        if self.direct_layer is not None:
            params += _pull(state["inputs"], weights["pull_direct"], columns)
        return params[:, None], state

    def _slot(self, state: State, index: tf.Tensor) -> tf.Tensor:
        """Where the kernels hold the site that step `index` decides."""
        if self._in_steps:
            return index
        return state["order"][:, index] if "order" in state else tf.gather(tf.constant(self.orders[0]), index)

    def _add_previous(self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights) -> State:
        """Adds the site decided by the step before to the sums of the first layer, and to the outputs."""
        started = tf.cast(index > 0, tf.float32)
        site = self._slot(state, tf.maximum(index - 1, 0))
        inputs = self._encode(tf.cast(x_previous[:, 0], tf.float32)) * started
        columns = tf.expand_dims(site, -1) * self._encode.inputs_per_site + tf.range(self._encode.inputs_per_site)
        remaining = state["sums_1"].shape[-1]
        state["sums_1"] += push(inputs, _last_columns(tf.gather(weights["push_1"], columns), remaining))
        if self.connectivity_weights:
            state["sums_1"] += started * _last_columns(tf.gather(weights["seen_1"], site), remaining)
        if self.direct_layer is None:
            return state
        if "order" in state:
            state["outputs"] += push(inputs, tf.gather(weights["push_direct"], columns))
        else:
            old = tf.gather(state["inputs"], columns, axis=1)
            state["inputs"] = _write(state["inputs"], columns, tf.where(index > 0, inputs, old))
        return state

    def _finish_units(self, layer: int, state: State, index: tf.Tensor, weights: Weights) -> State:
        """Computes the units whose degree is `index`, as all that they may see is known, and hands them on."""
        table = tf.constant(self._members.tables[layer - 1])
        units = tf.gather(table[:, index], state["member"]) if "member" in state else table[0, index]
        exists, units = units >= 0, tf.maximum(units, 0)
        final = self.hidden_units[layer - 1] - state[f"sums_{layer}"].shape[-1]
        sums = _columns(state[f"sums_{layer}"], tf.maximum(units - final, 0) if final else units)
        if layer > 1 and self._pulls(layer, state):
            sums += _pull(state[f"hidden_{layer - 1}"], weights[f"pull_{layer}"], units, self._copies)
        values, columns = self.activation(sums), units
        # A smaller group repeats its first unit, which must count once: TFLite adds what is written to one place twice.
        fresh = tf.logical_and(exists, tf.concat([exists[..., :1], units[..., 1:] != units[..., :1]], -1))
        pulls = self._pulls(layer + 1, state)
        if self.connectivity_weights:
            known = state[f"hidden_{layer}"].shape[-1] // 2 if pulls else self.hidden_units[layer - 1]
            columns = tf.concat([units, units + known], -1)
            values = tf.concat([values, tf.ones_like(values)], -1)
            fresh = tf.concat([fresh, fresh], -1)
        new = tf.where(fresh, values, tf.zeros_like(values))
        if pulls:
            state[f"hidden_{layer}"] = _add(state[f"hidden_{layer}"], columns, new)
        else:
            target = "outputs" if layer == len(self.hidden_units) else f"sums_{layer + 1}"
            state[target] += push(new, tf.gather(weights[f"push_{layer + 1}"], columns))
        return state

    @property
    @abc.abstractmethod
    def _in_steps(self) -> bool:
        """Whether the kernels hold the sites in the order of the steps."""


def _value(variable: Any) -> tf.Tensor:
    return tf.convert_to_tensor(variable)


def _columns(values: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """The columns `[G]`, or `[B, G]` one set for each row, of `values [B, N]`: `[B, G]`."""
    return tf.gather(values, columns, axis=1, batch_dims=columns.shape.rank - 1)


def _pull(values: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor, copies: int = 1) -> tf.Tensor:
    """The columns `[G]` of a product of `values [B, copies * n]` and `rows [M, copies * N]`, the first n of each: `[B, G]`."""
    rows = tf.reshape(tf.gather(rows, columns), [-1, copies, rows.shape[1] // copies])
    rows = tf.reshape(rows[..., : values.shape[1] // copies], [-1, values.shape[1]])
    return tf.matmul(values, rows, transpose_b=True)


def _last_columns(values: tf.Tensor, number: int) -> tf.Tensor:
    """The last of the last axis."""
    return values[..., values.shape[-1] - number :]


def _widened(values: tf.Tensor, size: int, copies: int = 1) -> tf.Tensor:
    """Pads each of the copies in `[B, copies * n]` with zeros: `[B, copies * size]`."""
    parts = tf.split(values, copies, axis=1)
    missing = tf.zeros([tf.shape(values)[0], size - parts[0].shape[-1]])
    return tf.concat([tensor for part in parts for tensor in (part, missing)], axis=1)


def _write(state: tf.Tensor, columns: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Writes `values [B, G]` into the columns `[G]` or `[B, G]` of `state [B, N]`."""
    return tf.tensor_scatter_nd_update(state, _cells(columns, values), values)


def _add(state: tf.Tensor, columns: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Adds `values [B, G]` to the columns `[G]` or `[B, G]` of `state [B, N]`; a column may come twice."""
    return tf.tensor_scatter_nd_add(state, _cells(columns, values), values)


def _cells(columns: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Row and column of each of `values`, `[B, G, 2]`."""
    columns = tf.broadcast_to(columns, tf.shape(values))
    rows = tf.broadcast_to(tf.range(tf.shape(values)[0])[:, None], tf.shape(values))
    return tf.stack([rows, columns], axis=-1)
