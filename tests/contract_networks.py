"""Small networks that use the parts of the contract that no simple model needs: groups, nested stages, events of any length."""

import keras
import numpy as np
import tensorflow as tf

from tfar.networks import AutoregressiveNetwork, schedule


@keras.saving.register_keras_serializable("tests")
class GroupsNetwork(AutoregressiveNetwork):
    """Sites in groups that are decided together.

        params_i = bias_i + kernel_c c + tanh(sum_j kernel_ij x_j),    j in earlier groups

    Args:
        step_of_site: ints `[N]`. The group of each site.
        conditional_size: int. Size of the condition; 0 for none.
    """

    def __init__(self, step_of_site, conditional_size=0, **kwargs):
        super().__init__((len(step_of_site),), conditional_shape=(conditional_size,) if conditional_size else None)
        self.step_of_site = [step_of_site]

    @property
    def params_size(self):
        return 1

    def build(self, input_shape=None):
        size = self.num_sites
        self.kernel = self.add_weight(name="kernel", shape=(size, size))
        self.bias = self.add_weight(name="bias", shape=(size,))
        if self.conditional_shape:
            self.condition_kernel = self.add_weight(name="condition_kernel", shape=(*self.conditional_shape, size))
        self.built = True

    def _context(self, conditional_input, batch_size):
        context = tf.tile(tf.convert_to_tensor(self.bias)[None], [batch_size, 1])
        return context if conditional_input is None else context + tf.matmul(conditional_input, self.condition_kernel)

    def _masked_kernel(self):
        return tf.convert_to_tensor(self.kernel) * self.influences().T.astype(np.float32)

    def call(self, x, conditional_input=None, member=0, order=None, training=None):
        hidden = tf.tanh(tf.matmul(x, self._masked_kernel()))
        return (self._context(conditional_input, tf.shape(x)[0]) + hidden)[..., None]

    def step_weights(self):
        return {"kernel": self._masked_kernel()}

    def start(self, batch_size, conditional_input=None, *, order=None, member=None):
        context = self._context(conditional_input, batch_size)
        return {"context": context, "sums": tf.zeros_like(context)}

    def step(self, state, index, x_previous, weights=None):
        weights = self.step_weights() if weights is None else weights
        steps = self.step_of_site[0]
        before = schedule.sites_of_step(steps, tf.maximum(index - 1, 0), x_previous.shape[1])
        added = tf.matmul(x_previous, tf.gather(weights["kernel"], before))
        sums = state["sums"] + tf.where(index > 0, added, tf.zeros_like(added))
        own = schedule.sites_of_step(steps, index, x_previous.shape[1])
        params = tf.gather(state["context"] + tf.tanh(sums), own, axis=1)
        return params[..., None], {**state, "sums": sums}

    def get_config(self):
        size = self.conditional_shape[0] if self.conditional_shape else 0
        return {"step_of_site": self.step_of_site[0].tolist(), "conditional_size": size}


@keras.saving.register_keras_serializable("tests")
class VideoNetwork(AutoregressiveNetwork):
    """Pixels of rows of frames, which depend on the same pixel of past frames, the rows above and the pixels to the left.

        params = bias + tanh(past) + tanh(sum of the rows above * row_kernel) + left_kernel * sum of the pixels to the left
        past[t] = sum_{s < t} frame_kernel * frame_s / 2^{t - 1 - s}

    `start_stage` computes the second term once a frame and the third once a row.
    """

    def __init__(self, event_shape, **kwargs):
        super().__init__(event_shape)
        self.stages = (self.event_shape[1] * self.event_shape[2], self.event_shape[2])

    @property
    def params_size(self):
        return 1

    def build(self, input_shape=None):
        area, width = self.stages
        self.frame_kernel = self.add_weight(name="frame_kernel", shape=(area,))
        self.row_kernel = self.add_weight(name="row_kernel", shape=(width, width))
        self.left_kernel = self.add_weight(name="left_kernel", shape=(1,))
        self.bias = self.add_weight(name="bias", shape=(1,))
        self.built = True

    def call(self, x, conditional_input=None, member=0, order=None, training=None):
        frames, height, width = self.event_shape
        batch, area = tf.shape(x)[0], height * width
        age = np.subtract.outer(np.arange(frames), np.arange(frames)) - 1
        decay = np.where(age >= 0, 0.5 ** np.maximum(age, 0), 0.0).astype(np.float32)
        past = tf.matmul(decay, tf.reshape(x, [batch, frames, area])) * self.frame_kernel
        above = tf.reshape(tf.cumsum(x, axis=2, exclusive=True), [-1, width])
        above = tf.reshape(tf.matmul(above, tf.convert_to_tensor(self.row_kernel)), tf.shape(x))
        left = tf.cumsum(x, axis=3, exclusive=True) * self.left_kernel
        params = self.bias + tf.tanh(tf.reshape(past, tf.shape(x))) + tf.tanh(above) + left
        return tf.reshape(params, [batch, self.num_sites, 1])

    def influences(self, sites=None, member=0, order=None, num_sites=None):
        t, h, w = np.indices(self.event_shape).reshape(3, -1, 1)
        same_frame = t == t.T
        found = (t > t.T) & (h == h.T) & (w == w.T) | same_frame & ((h > h.T) | (h == h.T) & (w > w.T))
        return found if sites is None else found[np.asarray(sites, int)]

    def start(self, batch_size, conditional_input=None, *, order=None, member=None):
        area, width = self.stages
        sizes = {"past": area, "frame": area, "past_term": area, "above": width, "row": width, "row_term": width}
        return {name: tf.zeros([batch_size, size]) for name, size in sizes.items()}

    def _written(self, name, state, index, x_previous):
        """Returns an entry of the state with the pixel before `index` at its place."""
        size = state[name].shape[1]
        is_place = tf.logical_and(tf.range(size) == (index - 1) % size, index > 0)
        return tf.where(is_place[None], x_previous, state[name])

    def start_stage(self, level, state, number, x_previous, weights=None):
        index = number * self.stages[level]
        name = ("frame", "row")[level]
        whole = self._written(name, state, index, x_previous)
        if level == 0:
            past = 0.5 * state["past"] + whole * self.frame_kernel
            zeros = tf.zeros_like(state["above"])
            new = {
                "past": past,
                "past_term": tf.tanh(past),
                "above": zeros,
                "row": zeros,
                "frame": tf.zeros_like(whole),
            }
            return {**state, **new}
        is_first = index % self.stages[0] == 0
        above = tf.where(is_first, tf.zeros_like(whole), state["above"] + whole)
        row_term = tf.tanh(tf.matmul(above, tf.convert_to_tensor(self.row_kernel)))
        return {**state, "above": above, "row_term": row_term, "row": tf.zeros_like(whole)}

    def step(self, state, index, x_previous, weights=None):
        area, width = self.stages
        frame, row = (self._written(name, state, index, x_previous) for name in ("frame", "row"))
        # The first pixel of a row or frame follows one that belongs to the row or frame before.
        frame = tf.where(index % area > 0, frame, tf.zeros_like(frame))
        row = tf.where(index % width > 0, row, tf.zeros_like(row))
        params = tf.gather(state["past_term"], index % area, axis=1) + tf.gather(
            state["row_term"], index % width, axis=1
        )
        params += self.bias + tf.reduce_sum(row, axis=1) * self.left_kernel
        return params[:, None, None], {**state, "frame": frame, "row": row}

    def prefill(self, state, x_prefix, length):
        area = self.stages[0]
        frames = tf.reshape(x_prefix, [tf.shape(x_prefix)[0], -1, area])
        last = length // area - 1
        age = last - 1 - tf.range(tf.shape(frames)[1])  # The last frame is added by the next `start_stage`.
        decay = tf.where(age >= 0, 0.5 ** tf.cast(tf.maximum(age, 0), tf.float32), 0.0)
        past = tf.reduce_sum(frames * decay[:, None], axis=1) * self.frame_kernel
        frame = tf.where(last >= 0, tf.gather(frames, tf.maximum(last, 0), axis=1), tf.zeros_like(past))
        return {**state, "past": past, "frame": tf.where(tf.range(area) < area - 1, frame, tf.zeros_like(frame))}

    def get_config(self):
        return {"event_shape": list(self.event_shape)}


@keras.saving.register_keras_serializable("tests")
class SequenceNetwork(AutoregressiveNetwork):
    """A sequence of any length, with a state that decays and a condition for each time.

        h_t = decay h_{t - 1} + kernel^T x_{t - 1},    params_t = output^T tanh(h_t + condition_kernel^T c_t) + bias

    Args:
        channels: int. Values of a time that are decided together; 0: one, and events are `[T]`.
        params_size: int. Parameters of each.
        conditional_size: int. Size of the condition of a time; 0 for none.
    """

    streams = True
    units, decay = 3, 0.5

    def __init__(self, channels=0, params_size=1, conditional_size=0, **kwargs):
        event_shape = (None, channels) if channels else (None,)
        super().__init__(event_shape, (), (None, conditional_size) if conditional_size else None)
        self.channels, self.sites_per_step, self._params_size = channels, max(1, channels), params_size
        self.conditional_size = conditional_size

    @property
    def params_size(self):
        return self._params_size

    def build(self, input_shape=None):
        size = self.sites_per_step
        self.kernel = self.add_weight(name="kernel", shape=(size, self.units))
        self.output_kernel = self.add_weight(name="output_kernel", shape=(self.units, size * self.params_size))
        self.bias = self.add_weight(name="bias", shape=(size * self.params_size,))
        if self.conditional_size:
            self.condition_kernel = self.add_weight(name="condition_kernel", shape=(self.conditional_size, self.units))
        self.built = True

    def _states(self, x, times):
        """Returns h at `times`, int32 `[B or 1, S]`, of values `[B, T, G]`: `[B, S, units]`."""
        age = times[:, :, None] - 1 - tf.range(tf.shape(x)[1])
        weight = tf.where(age >= 0, self.decay ** tf.cast(tf.maximum(age, 0), tf.float32), 0.0)
        return tf.matmul(weight, tf.matmul(x, tf.convert_to_tensor(self.kernel)))

    def _params(self, h, condition):
        if condition is not None:
            h += tf.matmul(condition, tf.convert_to_tensor(self.condition_kernel))
        params = tf.matmul(tf.tanh(h), tf.convert_to_tensor(self.output_kernel)) + self.bias
        return tf.reshape(params, [tf.shape(h)[0], -1, self.params_size])

    def call(self, x, conditional_input=None, member=0, order=None, training=None):
        x = tf.reshape(x, [tf.shape(x)[0], tf.shape(x)[1], self.sites_per_step])
        return self._params(self._states(x, tf.range(tf.shape(x)[1])[None]), conditional_input)

    def start(self, batch_size, conditional_input=None, *, order=None, member=None):
        state = {"h": tf.zeros([batch_size, self.units])}
        return state if conditional_input is None else {**state, "condition": conditional_input}

    def step(self, state, index, x_previous, weights=None):
        first = tf.reshape(index, [-1, 1]) == 0
        h = self.decay * state["h"] + tf.matmul(x_previous, tf.convert_to_tensor(self.kernel))
        h = tf.where(first, tf.zeros_like(h), h)
        condition = state.get("condition")
        if condition is not None:
            places = tf.broadcast_to(index, tf.shape(condition)[:1])
            condition = tf.gather(condition, places[:, None], axis=1, batch_dims=1)
        return self._params(h[:, None], condition), {**state, "h": h}

    def prefill(self, state, x_prefix, length):
        times = tf.broadcast_to(length, tf.shape(x_prefix)[:1])[:, None] - 1
        return {**state, "h": self._states(x_prefix, times)[:, 0]}

    def get_config(self):
        names = ("channels", "params_size", "conditional_size")
        return {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable("tests")
class SteppingSequenceNetwork(SequenceNetwork):
    """The same network without a pass of its own for `prefill`."""

    prefill = AutoregressiveNetwork.prefill
