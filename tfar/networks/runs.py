"""Evaluation of the description of a network in steps.

A network over images is described once, by two functions that call layers (see `RasterNetwork`):

    context(run, image, conditions)     features of whole rows, from the rows above: run.give(features)
    flow(run, x, conditions)            parameters of the pixels; features of its row: run.take()

The class of `run` determines what a call computes:

    run         a call `run(layer, x)`                              used by
    Parallel    layer(x), whole images                              passes and training (tfar.layers.causal)
    Trace       records the layer                                   `Plan`: names of caches, influences (tfar.networks.plan)
    Walk        layer.step(...), one position along an axis         `start_stage`: `context` for one row
    Pixels      layer.step(...), one pixel, plus what its row had   `step`: `flow` for one pixel
    Filling     layer(x), and the caches after some positions       `prefill`

When a row starts, all rows above are known. At that point `context` is evaluated for the whole row, and `read_rows`
computes the contribution of the rows above to each layer of `flow`. The steps of the row add the contribution of the
pixels to the left. Every feature is computed once. The state is a flat dict:

    image              [B, W C, ...]      values of the row; entry t holds the value of site t - 1
    rows_n, pixels_n   [B, window, ...]   caches of the layers of `context` and of `flow`, by their numbers
    above_pixels_n     [B, K, W, ...]     rows above, for layers of `flow` that use K > 1 of them
    kept_l             [B, W_l + 1, ...]  pixels of the row that level l keeps for the rows below
    new_l              [B, ...]           the same for the last pixel of level l
    given_l, part_l    [B, W_l C, ...]    features from `context` and `read_rows`, for the row

While the pixels of a row are decided, `image` and `kept_l` are only written, and `given_l` and `part_l` are only read,
so that a compiled loop updates them in place. The extra last column of `kept_l` is a dummy slot that is written at
pixels where level l has no position.

The same classes support other networks. A network over a signal uses a `Walk` over samples, with layers that keep ring
buffers. An LSTM over rows is a layer whose cache holds its state, or a layer of `flow` whose pixels keep their states for
`read_rows`, as in Row LSTM and Diagonal BiLSTM. The network over videos adds an outer `Walk` over frames, whose result
conditions the rows.
"""

import collections
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfar.layers.causal import CausalLayer, Parallel, Run, Weights
from tfar.networks.conditions import State
from tfar.networks.plan import Call, Plan


class Walk(Run):
    """Evaluates one position along an axis; the caches of the layers hold the earlier positions.

    `state` holds the given state with all changes, which leave the given one as it is. `weights` are those of the layers by the
    names of their calls, see `by_call`, and `index` is the position at this level.
    """

    def __init__(self, plan: Plan, state: Any, weights: dict[str, Weights], index: tf.Tensor, level: int = 0) -> None:
        self.plan, self.weights, self.index, self.level = plan, weights, index, level
        self.state: collections.ChainMap[str, tf.Tensor] = collections.ChainMap({}, state)
        self._given: list[tf.Tensor] = []

    def __call__(self, layer: Any, *inputs: Any) -> Any:
        if not isinstance(layer, CausalLayer):
            return layer(*inputs)
        call = self.plan.call(layer)
        part, weights = self._part(call), self.weights[call.name]
        outputs, cache, kept = layer.step(self.state.get(call.name), inputs[0], self.index, weights, part)
        self._store(call, cache, kept)
        return outputs

    def _part(self, call: Call) -> tf.Tensor | None:
        return None

    def _store(self, call: Call, cache: tf.Tensor, kept: tf.Tensor) -> None:
        if call.name in self.state:
            self.state[call.name] = cache

    def give(self, x: tf.Tensor) -> None:
        self._given.append(by_site(x, self.plan.num_groups))

    def condition(self, part: tf.Tensor) -> tf.Tensor:
        return part[:, None] if part.shape.rank == 2 else tf.gather(part, self.index, axis=1)

    def changes(self) -> State:
        """Returns the entries of the state that have changed."""
        if self._given:
            self.state[f"given_{self.level}"] = tf.concat(self._given, axis=-1)
        return dict(self.state.maps[0])

    # Levels ----------------------------------------------------------------------------------------------------------

    def below(self, contract: Any, expand: Any, x: tf.Tensor, body: Callable[[Run, Any], Any]) -> tf.Tensor:
        """See the base class. The lower level is evaluated only at every second position and else keeps its state."""
        cache = self._push(contract, x)
        names: list[str] = []

        def compute() -> list[tf.Tensor]:
            run = self._deeper()
            run._push(expand, body(run, run._read(contract, cache)))
            changes = run.changes()
            names.extend(changes)
            return list(changes.values())

        # TensorFlow traces `compute` first; in eager mode, if `compute` does not run, there is nothing to keep.
        values = tf.cond(self._is_due(), compute, lambda: [tf.identity(self.state[name]) for name in names])
        self.state.update(zip(names, values, strict=True))
        outputs = self._read(expand, self.state[self.plan.call(expand).name])
        return outputs if x.shape.rank == 2 else outputs[:, : x.shape[1]]

    def _push(self, layer: CausalLayer, x: tf.Tensor) -> tf.Tensor:
        call = self.plan.call(layer)
        cache = layer.push(self.state.get(call.name), x, self.index)
        self._store(call, cache, x)
        return cache

    def _read(self, layer: CausalLayer, cache: tf.Tensor) -> tf.Tensor:
        call = self.plan.call(layer)
        return layer.read(cache, self.index, self.weights[call.name], self._part(call))

    def _deeper(self) -> "Walk":
        return Walk(self.plan, self.state, self.weights, self.index // 2, self.level + 1)

    def _is_due(self) -> tf.Tensor:
        return tf.equal(self.index % 2, 0)


class Pixels(Walk):
    """Evaluates one pixel, or one channel of a pixel, in a row that has started; `index` is the site within the row."""

    def __init__(
        self, plan: Plan, state: Any, weights: dict[str, Weights], index: tf.Tensor, row: tf.Tensor, level: int = 0
    ) -> None:
        super().__init__(plan, state, weights, index, level)
        self.row = row
        self._parts = self._of_site("part", [call.layer.part_channels for call in plan.parts(level)])
        self._taken = self._of_site("given", plan.given[level])
        self._kept: list[tf.Tensor] = []

    def _of_site(self, name: str, channels: Sequence[Any]) -> Any:
        """Yields the features of the site from a packed entry of the state."""
        if not channels:
            return iter(())
        site = tf.gather(self.state[f"{name}_{self.level}"], self.index, axis=1)
        return iter(tf.split(site, [n // self.plan.num_groups for n in channels], axis=-1))

    def _part(self, call: Call) -> tf.Tensor | None:
        return next(self._parts) if call.layer.num_above else None

    def _store(self, call: Call, cache: tf.Tensor, kept: tf.Tensor) -> None:
        super()._store(call, cache, kept)
        if call.layer.num_above and not call.sees_image:
            self._kept.append(kept)

    def take(self) -> tf.Tensor:
        return next(self._taken)

    def condition(self, part: tf.Tensor) -> tf.Tensor:
        """See the base class. The features of a condition are split into groups, like those of a pixel."""
        num_groups = self.plan.num_groups
        if part.shape.rank == 4:
            part = tf.gather(tf.gather(part, self.row, axis=1), self.index // num_groups, axis=1)
        if num_groups == 1:
            return part
        groups = tf.reshape(part, [-1, num_groups, part.shape[1] // num_groups])
        return tf.gather(groups, self.index % num_groups, axis=1)

    def changes(self) -> State:
        if self._kept:
            self.state[f"new_{self.level}"] = tf.concat(self._kept, axis=-1)
        return super().changes()

    def _deeper(self) -> "Pixels":
        return Pixels(self.plan, self.state, self.weights, self.index // 2, self.row // 2, self.level + 1)

    def _is_due(self) -> tf.Tensor:
        return tf.logical_and(tf.equal(self.row % 2, 0), tf.equal(self.index % 2, 0))


class Filling(Parallel):
    """Evaluates an event whose first positions are known, and notes the caches after its first `length` positions."""

    def __init__(self, plan: Plan, state: State, length: tf.Tensor) -> None:
        super().__init__()
        self.plan, self.length, self._state = plan, length, state
        self.caches: State = {}

    def __call__(self, layer: Any, *inputs: Any, **how: Any) -> Any:
        name = self.plan.call(layer).name if isinstance(layer, CausalLayer) else None
        if name in self._state:
            self.caches[name] = tf.cast(layer.fill(inputs[0], self.length), tf.float32)
        return super().__call__(layer, *inputs, **how)


def step_weights(calls: Sequence[Call]) -> Weights:
    """Returns the step weights of all layers, with the names of their calls as prefixes."""
    return {f"{call.name}/{key}": w for call in calls for key, w in call.layer.step_weights().items()}


def by_call(weights: Weights) -> dict[str, Weights]:
    """Inverts `step_weights`: returns the step weights of each layer."""
    result: dict[str, Weights] = collections.defaultdict(dict)
    for name, value in weights.items():
        call, key = name.split("/")
        result[call][key] = value
    return result


def by_site(features: tf.Tensor, num_groups: int) -> tf.Tensor:
    """Reshapes features of the pixels of a row, `[B, W, F]`, to features of sites, `[B, W * groups, F / groups]`."""
    if num_groups == 1:
        return features
    return tf.reshape(features, [-1, features.shape[1] * num_groups, features.shape[2] // num_groups])
