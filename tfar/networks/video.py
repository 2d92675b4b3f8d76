"""The network of the Video Pixel Network: an encoder and an LSTM over past frames, and a PixelCNN for each frame."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import private
from tfar.layers import ConvLSTM, FrameConv2D
from tfar.layers.causal import Parallel, Run
from tfar.networks.base import AutoregressiveNetwork, Weights
from tfar.networks.conditions import State
from tfar.networks.frame_decoder import FrameDecoder, multiplicative_block, multiplicative_layers
from tfar.networks.gated_pixel_cnn import GatedPixelCNNNetwork
from tfar.networks.plan import Plan
from tfar.networks.runs import Filling, Walk, by_call, step_weights

# The class of each decoder, and its number of filters for each of the c features of a multiplicative unit.
DECODERS: dict[str, tuple[Any, int]] = {"multiplicative": (FrameDecoder, 1), "gated": (GatedPixelCNNNetwork, 2)}


@keras.saving.register_keras_serializable("tfar")
class VideoNetwork(AutoregressiveNetwork):
    """Encodes each frame, joins the past frames by a convolutional LSTM, and decodes the next frame by a PixelCNN.

        e_t = blocks(conv(x_t), y_t),    h_t = ConvLSTM(e_t, h_{t-1}),    params_t = FrameDecoder(x_t | h_{t-1}, y_t)

    where h before the first frame is zeros and y_t is the condition of frame t. The decoder may also be a
    `GatedPixelCNNNetwork`. The encoder has residual multiplicative blocks without masks, because a frame is complete when it
    is encoded.

    In steps, there are two nested stages. When a frame starts, the frame before is encoded, once. When a row starts, and at each
    pixel, the steps are those of the decoder. The state is that of the decoder for the present frame, and

        frame            [B, H, W C]    the last H rows, of this frame and of the one before
        frames_pixels_n  [B, 2, H, W, lstm_filters]    h and c of the LSTM
        by_frame         [B, T, K]      the condition of each frame

    Args:
        event_shape: `[T, H, W]` or `[T, H, W, C]`, with T at least 2.
        filters: int. Features c of a multiplicative unit; there are 2 c features between the blocks.
        params_size: int. Parameters of a site.
        num_encoder_blocks, num_decoder_blocks, lstm_filters, dilation_rates, decoder: see `tfar.VideoPixelNetwork`.
        kernel_size: (height, width) of all convolutions but the 1x1 ones and the first of the decoder.
        first_kernel_size: (height, width) of the first convolution of the decoder.
        output_filters: tuple of int. Features of the 1x1 convolutions before the parameters.
        conditional_shape: `[k]` of a vector, `[T, k]` of a vector for each frame, a dict of such shapes, or None.
        num_classes, one_hot: see `MaskedRasterNetwork`.
        kernel_initializer: initializer of all kernels, each with a different seed.
        seed: int. Determines the initial weights.

    Raises:
        ValueError: If `event_shape` is not the shape of a video of at least two frames, or `decoder` is unknown.

    References:
        Kalchbrenner et al. Video pixel networks. ICML 2017, sections 3 and 4.
        https://arxiv.org/abs/1610.00527
    """

    compiles_training = False
    any_order_hint = (
        "A video is completed from its first frames, and from the first pixels of the frame after them; reverse the video, in "
        "training too, if its end is observed."
    )

    def __init__(
        self,
        event_shape: tuple[int, ...],
        filters: int,
        params_size: int = 1,
        *,
        num_encoder_blocks: int = 8,
        num_decoder_blocks: int = 12,
        lstm_filters: int,
        dilation_rates: Sequence[int] = (1, 2, 4, 8),
        decoder: str = "multiplicative",
        kernel_size: tuple[int, int] = (3, 3),
        first_kernel_size: tuple[int, int] = (7, 7),
        output_filters: tuple[int, ...] = (),
        conditional_shape: Any = None,
        num_classes: int | None = None,
        one_hot: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, (), conditional_shape, **kwargs)
        if len(self.event_shape) not in (3, 4) or None in self.event_shape or self.event_shape[0] < 2:
            raise ValueError(
                "Expected `event_shape` to be [T, H, W] or [T, H, W, C] of at least two frames; received "
                f"{list(self.event_shape)}. A single frame is an image, for which there is PixelCNN."
            )
        if decoder not in DECODERS:
            raise ValueError(f"Expected `decoder` to be one of {sorted(DECODERS)}; received {decoder!r}.")
        self.num_frames, self.frame_size = self.event_shape[0], self.event_shape[1:3]
        self.filters, self.params_size, self.lstm_filters = int(filters), int(params_size), int(lstm_filters)
        self.kernel_initializer, self.seed = keras.initializers.get(kernel_initializer), int(seed)
        size = sum(shape[-1] for shape in self._parts.values())
        condition: dict[str, tuple[int, ...]] = {"context": (*self.frame_size, self.lstm_filters)}
        make_decoder, width = DECODERS[decoder]
        self.decoder = make_decoder(
            self.event_shape[1:],
            width * self.filters,
            self.params_size,
            num_blocks=num_decoder_blocks,
            kernel_size=kernel_size,
            first_kernel_size=first_kernel_size,
            output_filters=output_filters,
            conditional_shape={**condition, "frame": (size,)} if size else condition,
            num_classes=num_classes,
            one_hot=one_hot,
            kernel_initializer=kernel_initializer,
            seed=self.seed,
            dtype=self.dtype_policy,
            name="decoder",
        )
        self.num_classes, self.one_hot = num_classes, self.decoder.one_hot
        self.dilation_rates = [int(dilation_rates[n % len(dilation_rates)]) for n in range(num_encoder_blocks)]
        self._num_added = 1000  # The seeds of the encoder are others than those of the decoder.
        self._add_encoder(kernel_size, size)

    def _add_encoder(self, kernel_size: tuple[int, int], condition_size: int) -> None:
        width = 2 * self.filters
        convolution = lambda name, inputs, *args, **how: self._add(FrameConv2D, inputs, *args, name=name, **how)  # noqa: E731
        self.first = convolution("encoder_first", self.decoder.depth, width, kernel_size)
        self.encoder = []
        for number, rate in enumerate(self.dilation_rates, start=1):
            add = functools.partial(convolution, dilation_rate=rate)
            self.encoder.append(multiplicative_layers(add, f"encoder_{number}", self.filters, kernel_size))
        recurrent = self._seeded(
            2000
        )  # An initializer with the seed of another one gives equal kernels of equal shape.
        self.lstm = self._add(
            ConvLSTM, width, self.lstm_filters, kernel_size, recurrent_initializer=recurrent, name="lstm"
        )
        self.condition: Any = None
        if condition_size and self.encoder:
            units = len(self.encoder) * width
            self.condition = self._add(keras.layers.Dense, condition_size, units, use_bias=False, name="condition")

    def build(self, input_shape: Any = None) -> None:
        """Creates all variables, whose shapes depend only on the configuration."""
        for layer in private.layers_of(self, recursive=False):
            shape = None if layer is self.decoder else (None, None, *self.frame_size, layer.in_channels)
            layer.build(shape)
        self.built = True

    # Values and conditions -------------------------------------------------------------------------------------------

    def _inputs(self, values: tf.Tensor, num_frames: int) -> tf.Tensor:
        """Returns the inputs `[B, num_frames, H, W, inputs]` of the values of the sites of so many frames."""
        inputs = self.decoder.encode(tf.cast(values, tf.float32))
        return tf.reshape(inputs, [-1, num_frames, *self.frame_size, self.decoder.depth])

    @property
    def _parts(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parts of the condition by their names: `(k,)` of a video, `(T, k)` of its frames."""
        shape = self.conditional_shape
        if isinstance(shape, Mapping):
            return {name: tuple(shape[name]) for name in sorted(shape)}
        return {} if shape is None else {"": tuple(shape)}

    def _by_frame(self, conditional_input: Any) -> tf.Tensor | None:
        """Returns all parts of the condition of each frame, `[B, T, K]`; a vector is that of all frames."""
        found = []
        for name, shape in self._parts.items():
            part = tf.cast(conditional_input[name] if name else conditional_input, tf.float32)
            found.append(tf.repeat(part[:, None], self.num_frames, axis=1) if len(shape) == 1 else part)
        return tf.concat(found, axis=-1) if found else None

    def _of_encoder(self, by_frame: tf.Tensor | None) -> list[Any]:
        """Returns the contribution of the condition `[..., K]` to each block, `[..., 1, 1, 2 c]`."""
        if by_frame is None or self.condition is None:
            return [None] * len(self.encoder)
        projected = tf.cast(self.condition(by_frame), tf.float32)
        return tf.split(projected[..., None, None, :], len(self.encoder), axis=-1)

    def _of_decoder(self, context: tf.Tensor, by_frame: tf.Tensor | None) -> dict[str, tf.Tensor]:
        return {"context": context} if by_frame is None else {"context": context, "frame": by_frame}

    # Description -----------------------------------------------------------------------------------------------------

    def _encode(self, run: Run, frames: Any, conditions: Sequence[Any]) -> Any:
        """Returns the hidden states of the LSTM after frames."""
        features = run(self.first, frames)
        for block, condition in zip(self.encoder, conditions, strict=True):
            features = multiplicative_block(run, block, features, condition)
        return run(self.lstm, features)

    @functools.cached_property
    def _plan(self) -> Plan:
        encode = lambda run, frames: self._encode(run, frames, [None] * len(self.encoder))  # noqa: E731
        return Plan(lambda run, frames: None, encode, self.frame_size, prefix="frames_")

    def influences(self, sites: Any = None, member: int = 0, order: Any = None, num_sites: Any = None) -> NDArray:
        """See the base class. Follows the given sites back through the decoder, the LSTM and the encoder."""
        chosen = np.arange(self.num_sites) if sites is None else np.asarray(sites, int)
        rows, frame, groups = np.arange(len(chosen)), chosen // self.stages[0], self.decoder.num_groups
        asked = np.equal.outer(chosen % self.stages[0], np.arange(self.stages[0]))
        asked = asked.reshape(len(chosen), *self.frame_size, groups)
        result = np.zeros((len(chosen), self.num_frames, *self.frame_size, groups), bool)
        result[rows, frame] = self.decoder.plan.reach(asked)
        later = np.flatnonzero(frame > 0)
        context = np.zeros((*result.shape[:-1], 1), bool)
        seen = np.logical_or.reduce(self.decoder.plan.reach_of_conditions(asked), axis=-1, keepdims=True)
        context[rows[later], frame[later] - 1] = seen[later]
        return (result | self._plan.reach(context)).reshape(len(chosen), self.num_sites)

    # In parallel -----------------------------------------------------------------------------------------------------

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        values, by_frame = self._sites(x), self._by_frame(conditional_input)
        past = None if by_frame is None else by_frame[:, :-1]
        hidden = self._encode(Parallel(), self._inputs(values, self.num_frames)[:, :-1], self._of_encoder(past))
        context = tf.pad(hidden, [[0, 0], [1, 0], [0, 0], [0, 0], [0, 0]])
        merged = lambda of_frames, *shape: tf.reshape(of_frames, [-1, *shape])  # noqa: E731
        context = merged(context, *self.frame_size, self.lstm_filters)
        by_frame = None if by_frame is None else merged(by_frame, by_frame.shape[-1])
        params = self.decoder(merged(values, *self.event_shape[1:]), self._of_decoder(context, by_frame))
        return tf.reshape(params, [-1, self.num_sites, self.params_size])

    # In steps --------------------------------------------------------------------------------------------------------

    @property
    def stages(self) -> tuple[int, ...]:  # type: ignore[override]
        """The number of sites of a frame and of a row."""
        return (self.num_sites // self.num_frames, *self.decoder.stages)

    def step_weights(self) -> Weights:
        return {**step_weights(self._plan.pixels), **self.decoder.step_weights()}

    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        by_frame = self._by_frame(conditional_input)
        context = tf.zeros([batch_size, *self.frame_size, self.lstm_filters])
        first = None if by_frame is None else by_frame[:, 0]
        state = self.decoder.start(batch_size, self._of_decoder(context, first))
        state["frame"] = tf.zeros([batch_size, self.frame_size[0], self.stages[1]])
        state[self._plan.call(self.lstm).name] = self.lstm.start(batch_size, self.frame_size)
        return state if by_frame is None else {**state, "by_frame": by_frame}

    def start_stage(
        self, level: int, state: State, number: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> State:
        weights = self.step_weights() if weights is None else weights
        row = tf.concat([state["image"][:, 1:], tf.cast(x_previous, tf.float32)], axis=1)
        rows = tf.concat([state["frame"][:, 1:], row[:, None]], axis=1)
        if level == 0:
            return self._start_frame({**state, "frame": rows}, number, weights)
        number = number % self.frame_size[0]
        # When a frame starts, its stage has stored the row before.
        state = {**state, "frame": tf.where(number > 0, rows, state["frame"])}
        return self.decoder.start_stage(0, state, number, x_previous, weights)

    def _start_frame(self, state: State, number: tf.Tensor, weights: Weights) -> State:
        """Encodes the frame before frame `number`, and starts the decoder with what is known of the past."""
        by_frame, last = state.get("by_frame"), tf.maximum(number - 1, 0)
        past, own = (None if by_frame is None else tf.gather(by_frame, t, axis=1) for t in (last, number))
        walk = Walk(self._plan, state, by_call(weights), last)
        hidden = self._encode(walk, self._inputs(state["frame"], 1)[:, 0], self._of_encoder(past))
        is_known = number > 0
        changes = {name: tf.where(is_known, new, state[name]) for name, new in walk.changes().items()}
        context = tf.where(is_known, hidden, tf.zeros_like(hidden))
        decoder = self.decoder.start(tf.shape(hidden)[0], self._of_decoder(context, own))
        return {**state, **changes, **decoder}

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        weights = self.step_weights() if weights is None else weights
        return self.decoder.step(state, index % self.stages[0], x_previous, weights)

    def prefill(self, state: State, x_prefix: tf.Tensor, length: tf.Tensor) -> State:
        """See the base class. Encodes all frames in one pass; the stage of the next frame adds the last of the known ones."""
        values = tf.reshape(x_prefix, [tf.shape(x_prefix)[0], self.num_frames, self.frame_size[0], self.stages[1]])
        last = tf.maximum(length // self.stages[0] - 1, 0)
        run = Filling(self._plan, state, last)
        self._encode(run, self._inputs(values, self.num_frames), self._of_encoder(state.get("by_frame")))
        frame = tf.cast(tf.gather(values, last, axis=1), tf.float32)
        before = lambda x: tf.concat([x[:, :1], x[:, :-1]], axis=1)  # noqa: E731  # The stage takes the last entry itself.
        return {**state, **run.caches, "frame": before(frame), "image": before(frame[:, -1])}
