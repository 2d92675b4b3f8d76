"""Base class of networks over images whose sites are decided in raster order."""

import abc
import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import private
from tfar.layers.causal import Parallel, Run
from tfar.networks.base import AutoregressiveNetwork, TrainingPass, Weights
from tfar.networks.conditions import State
from tfar.networks.inputs import dropped
from tfar.networks.plan import Call, Plan
from tfar.networks.runs import Pixels, Walk, by_call, by_site, step_weights


class RasterNetwork(AutoregressiveNetwork, abc.ABC):
    """Network of causal layers over an image `[H, W]` or `[H, W, C]`.

    A subclass creates its layers with `_add` and defines `context`, `flow` and `encode`. Passes, steps and influences
    are derived from these methods; see `tfar.networks.runs`.

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        site_shape: `()` if the channels of a pixel are decided one after the other, `(C,)` if they are decided together.
        params_size: int. Parameters of a site.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None.
        dropout_rate: float in [0, 1). Rate at which `run.drop` drops features in training.
        kernel_initializer: initializer of all kernels, each with a different seed.
        seed: int. Determines the initial weights.

    Attributes:
        image_shape: (H, W, C).
        num_groups: int. Groups of channels that are decided one after the other.

    Raises:
        ValueError: If `event_shape` does not have two or three axes, or contains None.
    """

    event_shape: tuple[int, ...]
    num_sites: int
    compiles_training = False
    any_order_hint = (
        "Flip or rotate the images, in training too, so that the observed part comes first in raster order; a MADE with "
        "order='random' and num_masks=None allows any pattern."
    )

    def __init__(
        self,
        event_shape: tuple[int, ...],
        site_shape: tuple[int, ...] = (),
        params_size: int = 1,
        conditional_shape: Any = None,
        *,
        dropout_rate: float = 0.0,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, site_shape, conditional_shape, **kwargs)
        if len(self.event_shape) not in (2, 3) or None in self.event_shape:
            raise ValueError(f"Expected `event_shape` to be [H, W] or [H, W, C]; received {list(self.event_shape)}.")
        height, width = self.event_shape[:2]
        self.image_shape = (height, width, self.event_shape[2] if len(self.event_shape) == 3 else 1)
        self.num_groups = self.num_sites // (height * width)
        self.params_size, self.dropout_rate = int(params_size), float(dropout_rate)
        self.kernel_initializer, self.seed = keras.initializers.get(kernel_initializer), seed

    # What a subclass describes ---------------------------------------------------------------------------------------

    @abc.abstractmethod
    def encode(self, values: tf.Tensor) -> tf.Tensor:
        """Turns values of sites `[..., *site_shape]` into inputs `[..., inputs]`."""

    def context(self, run: Run, image: Any, conditions: State) -> None:
        """Passes features from the rows above, by default none, to `flow`; layers on `image` must be strict."""

    @abc.abstractmethod
    def flow(self, run: Run, image: Any, conditions: State) -> Any:
        """Returns features `[..., groups * params_size]` of the last layer; layers on `image` must be strict."""

    def conditions(self, conditional_input: Any) -> State:
        """Encodes a conditional input, once per event, for `context` and `flow`. Names begin with "condition"."""
        return {}

    # Layers ----------------------------------------------------------------------------------------------------------

    def build(self, input_shape: Any = None) -> None:
        """Creates all variables, whose shapes depend only on the configuration."""
        for layer in private.layers_of(self, recursive=False):
            if not layer.built:
                layer.build((None, None, None, layer.in_channels))
        self.built = True

    # In parallel -----------------------------------------------------------------------------------------------------

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        return self._pass(Parallel(), x, conditional_input)

    def training_pass(
        self, x: Any, conditional_input: Any, seed: tf.Tensor, observed: tf.Tensor | None = None
    ) -> TrainingPass:
        count = 0

        def drop(features: tf.Tensor) -> tf.Tensor:
            nonlocal count
            count += 1
            return dropped(features, self.dropout_rate, seed, count)

        return TrainingPass(self._pass(Parallel(drop), x, conditional_input))

    def _pass(self, run: Run, x: Any, conditional_input: Any) -> tf.Tensor:
        height, width, _ = self.image_shape
        sites = self._sites(tf.cast(x, tf.float32))
        image = tf.reshape(self.encode(sites), [-1, height, width, self.num_groups * self._inputs])
        image = tf.cast(image, self.compute_dtype)
        conditions = self.conditions(conditional_input)
        self.context(run, image, conditions)
        params = self.flow(run, image, conditions)
        return tf.cast(tf.reshape(params, [-1, self.num_sites, self.params_size]), tf.float32)

    @functools.cached_property
    def _inputs(self) -> int:
        """Number of inputs of a site."""
        with tf.init_scope():
            return int(self.encode(tf.zeros([1, *self.site_shape])).shape[-1])

    # Influences ------------------------------------------------------------------------------------------------------

    @property
    def condition_names(self) -> list[str]:
        """Names of the entries of `conditions` that the plan follows from the parameters back, by default none."""
        return []

    @functools.cached_property
    def plan(self) -> Plan:
        """What the parameters of a site depend on in the image and in the condition."""
        conditions: Any = dict.fromkeys(self.condition_names)
        context = lambda run, image: self.context(run, image, conditions)  # noqa: E731
        flow = lambda run, image: self.flow(run, image, conditions)  # noqa: E731
        return Plan(context, flow, self.image_shape[:2], self.num_groups)

    def influences(self, sites: Any = None, member: int = 0, order: Any = None, num_sites: Any = None) -> NDArray:
        """See the base class. Follows the given sites back through all layers."""
        chosen = np.arange(self.num_sites) if sites is None else np.asarray(sites, int)
        asked = chosen[:, None] == np.arange(self.num_sites)
        shape = (len(chosen), *self.image_shape[:2], self.num_groups)
        return self.plan.reach(asked.reshape(shape)).reshape(len(chosen), self.num_sites)

    # In steps --------------------------------------------------------------------------------------------------------

    @property
    def stages(self) -> tuple[int, ...]:  # type: ignore[override]
        """The number of sites of a row."""
        return (self.image_shape[1] * self.num_groups,)

    def step_weights(self) -> Weights:
        return step_weights([*self.plan.rows, *self.plan.pixels])

    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        plan, groups = self.plan, self.num_groups
        shapes: dict[str, Any] = {"image": (self.stages[0], *self.site_shape)}
        for call in plan.pixels:
            if call.layer.num_above > 1:
                shapes[f"above_{call.name}"] = (
                    call.layer.num_above,
                    plan.sizes[call.level][1],
                    call.layer.kept_channels,
                )
        for level, (_, width) in enumerate(plan.sizes):
            kept = sum(plan.channels(plan.kept(level)))
            parts, given = sum(call.layer.part_channels for call in plan.parts(level)), plan.num_given(level)
            shapes[f"kept_{level}"], shapes[f"new_{level}"] = (width + 1, kept), (kept,)
            shapes[f"part_{level}"] = (width * groups, parts // groups)
            shapes[f"given_{level}"] = (width * groups, given // groups)
        state = {name: tf.zeros([batch_size, *shape]) for name, shape in shapes.items() if shape[-1]}
        state.update(self._caches(plan.rows, batch_size, rows=True))
        state.update(self._caches(plan.pixels, batch_size, rows=False))
        return {**state, **self.conditions(conditional_input)}

    def _caches(self, calls: Sequence[Call], batch_size: Any, *, rows: bool) -> State:
        """Returns empty caches for the layers that need one."""
        caches = {}
        for call in calls:
            spatial = (self.plan.sizes[call.level][1],) if rows else ()
            cache = call.layer.start(batch_size, spatial)
            if cache is not None:
                caches[call.name] = cache
        return caches

    def start_stage(
        self, level: int, state: State, number: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> State:
        by_name = by_call(self.step_weights() if weights is None else weights)
        width = self.image_shape[1]
        sites = tf.concat([state["image"][:, 1:], tf.cast(x_previous, tf.float32)], axis=1)
        row = tf.reshape(self._known(sites, number > 0), [-1, width, self.num_groups * self._inputs])
        walk = Walk(self.plan, state, by_name, number)
        self.context(walk, row, _conditions(state))
        state = self._start_parts({**state, **walk.changes()}, row, by_name, number)
        return {**state, **self._caches(self.plan.pixels, tf.shape(row)[0], rows=False)}

    def _start_parts(self, state: State, row: tf.Tensor, weights: dict[str, Weights], number: tf.Tensor) -> State:
        """Computes the contributions of the rows above to row `number`, at the levels that have a row there."""
        state, plan = dict(state), self.plan
        rows = self._rows_above(state, row)
        for level, (_, width) in enumerate(plan.sizes):
            calls, period, name = plan.parts(level), 2**level, f"part_{level}"

            def compute(calls: Any = calls, width: int = width, period: int = period) -> tf.Tensor:
                parts = self._read_rows(calls, rows, number // period, weights)
                return tf.concat([by_site(part[:, :width], self.num_groups) for part in parts], axis=-1)

            if calls and level == 0:
                state[name] = compute()
            elif calls:
                old = state[name]
                state[name] = tf.cond(tf.equal(number % period, 0), compute, lambda old=old: tf.identity(old))
        return state

    def _read_rows(
        self, calls: Sequence[Call], rows: State, number: tf.Tensor, weights: dict[str, Weights]
    ) -> list[tf.Tensor]:
        """Returns the contributions of the rows above to a row of a level, for each of its layers."""
        return [call.layer.read_rows(rows[call.name], number, weights[call.name]) for call in calls]

    def _rows_above(self, state: State, row: tf.Tensor) -> State:
        """Returns the rows `[B, num_above, W, channels]` that each layer uses, by name; `row` is the last image row."""
        plan = self.plan
        rows = {call.name: row for call in plan.pixels if call.sees_image and call.layer.num_above}
        for level in range(len(plan.sizes)):
            calls = plan.kept(level)
            kept = tf.split(state[f"kept_{level}"][:, :-1], plan.channels(calls), axis=-1) if calls else []
            rows.update({call.name: value for call, value in zip(calls, kept, strict=True)})
        for call in plan.pixels:
            if call.sees_image_above:
                rows[call.name] = tf.concat([rows[call.name], row], axis=-1)
        for name, last in rows.items():
            rows[name] = last[:, None]
            if f"above_{name}" in state:
                rows[name] = state[f"above_{name}"] = tf.concat([state[f"above_{name}"][:, 1:], rows[name]], axis=1)
        return rows

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        by_name = by_call(self.step_weights() if weights is None else weights)
        row, site = index // self.stages[0], index % self.stages[0]
        state = {**state, "image": self._write_site(state["image"], site, x_previous)}
        x = self._known(x_previous, site > 0)[:, 0]
        pixel = Pixels(self.plan, state, by_name, site, row)
        params = self.flow(pixel, x, _conditions(state))
        state.update(pixel.changes())
        column = site // self.num_groups
        for level, (_, width) in enumerate(self.plan.sizes):
            if f"kept_{level}" in state:
                is_due = tf.logical_and(tf.equal(row % 2**level, 0), tf.equal(column % 2**level, 0))
                slot = tf.where(is_due, column // 2**level, width)
                state[f"kept_{level}"] = _write(state[f"kept_{level}"], slot, state[f"new_{level}"])
        return params[:, None], state

    def _write_site(self, image: tf.Tensor, site: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Writes a value `[B, 1, *site_shape]`. It rewrites the whole row, because a row of values is small."""
        chosen = tf.reshape(tf.equal(tf.range(self.stages[0]), site), [1, -1] + [1] * len(self.site_shape))
        return tf.where(chosen, tf.cast(x, tf.float32), image)

    def _known(self, x: tf.Tensor, is_known: tf.Tensor) -> tf.Tensor:
        """Returns the inputs of the values of sites; unknown values give zeros, like the padding of the image."""
        inputs = self.encode(tf.cast(x, tf.float32))
        return tf.where(is_known, inputs, tf.zeros_like(inputs))


def _conditions(state: State) -> State:
    return {name: value for name, value in state.items() if name.startswith("condition")}


def _write(values: tf.Tensor, column: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
    """Writes `new [B, N]` into a column of `values [B, W, N]`."""
    rows = tf.range(tf.shape(new)[0])
    return tf.tensor_scatter_nd_update(values, tf.stack([rows, tf.zeros_like(rows) + column], axis=-1), new)
