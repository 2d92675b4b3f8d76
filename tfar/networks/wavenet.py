"""The network of WaveNet: gated dilated causal convolutions over a signal, with global and local conditions."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import private
from tfar.layers import CausalConv1D, FrameUpsampling, OneHotCausalConv1D, RoundedReLU
from tfar.layers.causal import Parallel, Run
from tfar.layers.companding import compand
from tfar.networks.base import AutoregressiveNetwork, Weights
from tfar.networks.bounds import Sums, sums_of
from tfar.networks.conditions import State, named_inputs, named_shapes
from tfar.networks.inputs import initial_bias
from tfar.networks.plan import Plan
from tfar.networks.rounding import gate_for, rounded_inputs
from tfar.networks.runs import Filling, Walk, by_call, step_weights


@keras.saving.register_keras_serializable("tfar")
class WaveNetNetwork(AutoregressiveNetwork):
    """Stacks of gated causal convolutions whose dilations double from layer to layer.

        h_0 = conv(x shifted by one)
        z_l = tanh(W_f,l * h_{l-1} + V_f,l c) * sigmoid(W_g,l * h_{l-1} + V_g,l c),    dilation 2^(l mod num_layers)
        h_l = h_{l-1} + R_l z_l,    params = O_2 relu(O_1 relu(sum_l S_l z_l))

    A step decides all channels of a time. Everything before the beginning is zero features: in the padding of a pass and
    in the ring buffers of the steps. The matrices W_f and W_g of a layer form one kernel, and so do all S_l. If the activation
    is a `RoundedReLU`, the gates and the inputs of all convolutions are rounded too.

    The state holds a ring buffer for each dilated convolution, and the projected condition V c of all layers:
    `condition [B, frames, num_layers * num_stacks * 2 * filters]`, of which a step reads one entry. With a learned
    upsampling it has an entry for each time.

    Args:
        event_shape: `[T]` or `[T, C]`; T may be None.
        site_shape: `()` if each channel has parameters of its own, `(C,)` if they are decided jointly.
        filters: int. Features between the layers; the convolutions before the gates have twice as many.
        params_size: int. Parameters of a site.
        skip_filters, num_layers, num_stacks, kernel_size, conditional_shape, hop_length, upsampling: see `tfar.WaveNet`.
        low, high: the range of values that is scaled to -1 .. 1, or None for inputs that are not scaled.
        companding: the mu of the mu-law that compands the scaled values, or None.
        num_classes: None, or the number of classes whose one-hot vectors are the inputs.
        initial_params: None, or `params_size` numbers: the parameters of every site before training.
        activation: activation function before the last two convolutions.
        kernel_initializer: initializer of all kernels, each with a different seed.
        seed: int. Determines the initial weights.

    References:
        van den Oord et al. WaveNet: a generative model for raw audio. 2016, section 2.
        https://arxiv.org/abs/1609.03499
    """

    streams = True
    any_order_hint = "A sequence is completed from a prefix; reverse it, in training too, if its end is observed."

    def __init__(
        self,
        event_shape: tuple[int | None, ...],
        site_shape: tuple[int, ...] = (),
        filters: int = 32,
        params_size: int = 1,
        *,
        skip_filters: int = 256,
        num_layers: int = 10,
        num_stacks: int = 3,
        kernel_size: int = 2,
        conditional_shape: Any = None,
        hop_length: int = 1,
        upsampling: str = "repeat",
        low: float | None = None,
        high: float | None = None,
        companding: float | None = None,
        num_classes: int | None = None,
        initial_params: Sequence[float] | None = None,
        activation: Any = "relu",
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, site_shape, conditional_shape, **kwargs)
        self.num_channels = int(np.prod(self.event_shape[1:], dtype=int))
        self.sites_per_step = self.num_channels // int(np.prod(self.site_shape, dtype=int))
        if self.num_sites is not None:
            self.step_of_site = [np.arange(self.num_sites) // self.sites_per_step]
        self.filters, self.params_size, self.skip_filters = int(filters), int(params_size), int(skip_filters)
        self.kernel_size, self.num_classes = int(kernel_size), num_classes
        self.hop_length, self.upsampling = int(hop_length), upsampling
        self.low, self.high, self.companding, self.initial_params = low, high, companding, initial_params
        self.dilations = [2**number for number in range(num_layers)] * num_stacks
        self.activation = keras.activations.get(activation)
        self._gate = gate_for(self.activation)
        self.kernel_initializer, self.seed = keras.initializers.get(kernel_initializer), int(seed)
        self._check_frames()
        self._add_layers()
        self._plan = Plan(lambda run, x: None, lambda run, x: self._flow(run, x, None), (1, 1))

    # Layers ----------------------------------------------------------------------------------------------------------

    def _add_layers(self) -> None:
        width, size, last = self.filters, self.kernel_size, len(self.dilations) - 1
        first = {"strict": True, "name": "first"}
        if self.num_classes is None:
            self.first = self._add(CausalConv1D, self.num_channels, width, size, **first)
        else:
            self.first = self._add(
                OneHotCausalConv1D, self.num_channels, width, size, num_classes=self.num_classes, **first
            )
        self.dilated = [
            self._add(CausalConv1D, width, 2 * width, size, dilation_rate=dilation, name=f"dilated_{number}")
            for number, dilation in enumerate(self.dilations)
        ]
        # The last layer has no residual connection, because no layer follows it.
        self.residual = [self._add(CausalConv1D, width, width, 1, name=f"residual_{number}") for number in range(last)]
        self.skip = self._add(CausalConv1D, len(self.dilations) * width, self.skip_filters, 1, name="skip")
        outputs, bias = self.sites_per_step * self.params_size, initial_bias(self.initial_params, self.sites_per_step)
        self.outputs = [
            self._add(CausalConv1D, self.skip_filters, self.skip_filters, 1, name="output"),
            self._add(CausalConv1D, self.skip_filters, outputs, 1, bias_initializer=bias, name="params"),
        ]
        self.upsample, self.condition = {}, {}
        for name, shape in self._condition_shapes.items():
            if len(shape) == 2 and self.upsampling == "learned":
                self.upsample[name] = FrameUpsampling(self.hop_length, name=f"upsample_{name}", dtype=self.dtype_policy)
                self.upsample[name].in_channels = shape[-1]
            units = len(self.dilations) * 2 * width
            self.condition[name] = self._add(keras.layers.Dense, shape[-1], units, use_bias=False, name=name)

    def build(self, input_shape: Any = None) -> None:
        """Creates all variables, whose shapes depend only on the configuration."""
        for layer in private.layers_of(self, recursive=False):
            layer.build((None, None, layer.in_channels))
        self.built = True

    @property
    def receptive_field(self) -> int:
        """Number of earlier times that the parameters of a time depend on."""
        return self.kernel_size + (self.kernel_size - 1) * sum(self.dilations)

    # Description -----------------------------------------------------------------------------------------------------

    def _flow(self, run: Run, x: Any, conditions: Sequence[tf.Tensor] | None) -> Any:
        """Returns parameters from encoded values and from the projected condition of each layer."""
        features, gated = run(self.first, x), []
        for number, dilated in enumerate(self.dilated):
            before = run(dilated, rounded_inputs(run, self.activation, features))
            if conditions is not None:
                before = before + tf.cast(conditions[number], before.dtype)
            gated.append(run(self._gate, before))
            if number < len(self.residual):
                features = features + run(self.residual[number], gated[-1])
        features = run(self.skip, run(_concat, *gated))
        for layer in self.outputs:
            features = run(layer, run(self.activation, features))
        return features

    def largest_sums(self) -> dict[str, NDArray[np.float64]]:
        """See the base class. Values behind a gate are at most 1; values of two levels enter as -1 and 1."""
        if not isinstance(self.activation, RoundedReLU):
            return super().largest_sums()
        levels = None if self.low is None or self.high is None else self.high - self.low + 1
        if self.num_classes is None and levels != 2:
            raise ValueError(
                "Expected bits or one-hot inputs (one_hot_inputs=True); received values scaled to -1 .. 1."
            )
        if self.upsample:
            raise ValueError(
                "Expected a condition without an upsampling that is learned; received upsampling='learned'."
            )
        found: dict[str, NDArray[np.float64]] = {}

        def noted(layer: Any, sums: Sums) -> Sums:
            found[layer.name] = sums.size
            return sums

        ones, width = np.ones(self.filters), 2 * self.filters
        how = {"signed": True} if self.num_classes is None else {"group_size": self.num_classes}
        features = noted(self.first, sums_of(np.ones(self.num_channels), self.first, **how))
        for number, dilated in enumerate(self.dilated):
            own = slice(number * width, (number + 1) * width)
            conditions = [np.asarray(layer.kernel)[:, own] for layer in self.condition.values()]
            noted(dilated, sums_of(features.rounded(self.activation), dilated, conditions, signed=True))
            if number < len(self.residual):
                added = sums_of(ones, self.residual[number], signed=True)
                features = noted(self.residual[number], features.plus(added))
        sums = noted(self.skip, sums_of(np.ones(len(self.dilations) * self.filters), self.skip, signed=True))
        for layer in self.outputs:
            sums = noted(layer, sums_of(sums.activated(self.activation), layer))
        return found

    def _encoded(self, values: tf.Tensor, lead: Sequence[Any]) -> tf.Tensor:
        """Returns the inputs `[*lead, C]` of values: 1 + their classes, or numbers scaled to -1 .. 1, companded or not."""
        values = tf.reshape(tf.cast(values, tf.float32), [*lead, self.num_channels])
        if self.num_classes is not None:
            return values + 1.0
        if self.low is None or self.high is None:
            return values
        half = 0.5 * (self.high - self.low)
        scaled = (values - self.low - half) / half
        return scaled if self.companding is None else compand(scaled, self.companding)

    def influences(self, sites: Any = None, member: int = 0, order: Any = None, num_sites: Any = None) -> NDArray:
        """See the base class. Follows the given sites back through all layers."""
        total = self.num_sites if num_sites is None else num_sites
        steps = np.arange(total) // self.sites_per_step
        own = steps if sites is None else steps[np.asarray(sites, int)]
        asked = own[:, None] == np.arange(total // self.sites_per_step)
        return np.repeat(self._plan.reach(asked[..., None])[..., 0], self.sites_per_step, axis=1)

    # Conditions ------------------------------------------------------------------------------------------------------

    @property
    def _condition_shapes(self) -> dict[str, tuple[Any, ...]]:
        """Shapes of the parts of the condition: `(S,)` of a global one, `(frames, F)` of a local one."""
        return named_shapes(self.conditional_shape)

    def _check_frames(self) -> None:
        """Raises ValueError if a fixed number of frames does not cover the fixed length of an event."""
        counts = [shape[0] for shape in self._condition_shapes.values() if len(shape) == 2 and shape[0] is not None]
        covered, length = min(counts, default=0) * self.hop_length, self.event_shape[0]
        if counts and length is not None and covered < length:
            raise ValueError(self.uncovered_message(covered, length))

    def covered_steps(self, conditional_input: Any) -> Any:
        parts = named_inputs(conditional_input, self.conditional_shape).items() if conditional_input is not None else ()
        frames = [
            tf.shape(part)[1] if part.shape[1] is None else int(part.shape[1])
            for name, part in parts
            if len(self._condition_shapes[name]) == 2
        ]
        if any(tf.is_tensor(count) for count in frames):
            return tf.reduce_min(tf.stack(frames)) * self.hop_length
        return min(frames) * self.hop_length if frames else None

    def uncovered_message(self, covered: int, num_steps: int) -> str:
        frames = covered // self.hop_length
        return (
            f"Expected conditional frames that cover the event; received frames {frames} x hop {self.hop_length} = {covered} "
            f"< T = {num_steps}. `hop_length` is the number of samples of a frame."
        )

    def _projected(self, conditional_input: Any) -> tf.Tensor | None:
        """Returns the condition of all layers, `[B, frames, layers * 2 * filters]`, once for an event.

        There is one frame if no part is local, and a frame for each time if the upsampling is learned.
        """
        if conditional_input is None:
            return None
        total = None
        for name, part in named_inputs(conditional_input, self.conditional_shape).items():
            part = part[:, None] if len(self._condition_shapes[name]) == 1 else part
            part = self.upsample[name](part) if name in self.upsample else part
            projected = tf.cast(self.condition[name](part), tf.float32)
            total = projected if total is None else total + projected
        return total

    @property
    def _rate(self) -> int | None:
        """Number of times that an entry of the projected condition serves; None for all of them."""
        is_local = any(len(shape) == 2 for shape in self._condition_shapes.values())
        return (1 if self.upsample else self.hop_length) if is_local else None

    def _at_all(self, projected: tf.Tensor | None, length: Any) -> list[tf.Tensor] | None:
        """Returns the condition of each layer at all times, `[B, T or 1, 2 * filters]`."""
        if projected is None:
            return None
        parts = tf.split(projected, len(self.dilations), axis=-1)
        return parts if self._rate is None else [tf.repeat(part, self._rate, axis=1)[:, :length] for part in parts]

    def _at(self, projected: tf.Tensor | None, index: tf.Tensor) -> list[tf.Tensor] | None:
        """Returns the condition of each layer at time `index`, `[B, 2 * filters]`; NaN after its last frame."""
        if projected is None:
            return None
        if self._rate is None:
            found = projected[:, 0]
        else:
            place, last = index // self._rate, tf.shape(projected)[1] - 1
            rows = tf.zeros([tf.shape(projected)[0]], tf.int32) + tf.minimum(place, last)
            found = tf.gather(projected, rows, axis=1, batch_dims=1)
            is_known = tf.reshape(place <= last, [-1, 1])
            found = tf.where(is_known, found, tf.constant(float("nan")))
        return tf.split(found, len(self.dilations), axis=-1)

    # In parallel -----------------------------------------------------------------------------------------------------

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        return self._pass(Parallel(), x, self._projected(conditional_input))

    def _pass(self, run: Run, x: tf.Tensor, projected: tf.Tensor | None) -> tf.Tensor:
        batch_size, length = tf.shape(x)[0], tf.shape(x)[1] if x.shape[1] is None else x.shape[1]
        inputs = self._encoded(x, [batch_size, length])
        # Half precision does not hold the classes of large alphabets.
        inputs = inputs if self.num_classes is not None else tf.cast(inputs, self.compute_dtype)
        params = self._flow(run, inputs, self._at_all(projected, length))
        count = -1 if self.num_sites is None else self.num_sites
        return tf.cast(tf.reshape(params, [batch_size, count, self.params_size]), tf.float32)

    # In steps --------------------------------------------------------------------------------------------------------

    def step_weights(self) -> Weights:
        return step_weights(self._plan.pixels)

    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        caches = {call.name: call.layer.start(batch_size) for call in self._plan.pixels}
        projected = self._projected(conditional_input)
        state = {name: cache for name, cache in caches.items() if cache is not None}
        return state if projected is None else {**state, "condition": projected}

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        by_name = by_call(self.step_weights() if weights is None else weights)
        inputs = self._encoded(x_previous, [tf.shape(x_previous)[0]])
        inputs = tf.where(tf.reshape(index > 0, [-1, 1]), inputs, tf.zeros_like(inputs))
        walk = Walk(self._plan, state, by_name, index)
        params = self._flow(walk, inputs, self._at(state.get("condition"), index))
        return tf.reshape(params, [-1, self.sites_per_step, self.params_size]), {**state, **walk.changes()}

    def prefill(self, state: State, x_prefix: tf.Tensor, length: tf.Tensor) -> State:
        """See the base class. Fills all ring buffers by one pass over the prefix."""
        run = Filling(self._plan, state, length)
        self._pass(run, x_prefix, state.get("condition"))
        return {**state, **run.caches}


def _concat(*parts: tf.Tensor) -> tf.Tensor:
    return tf.concat(parts, axis=-1)
