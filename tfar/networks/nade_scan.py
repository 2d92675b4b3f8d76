"""The recursion of NADE over the sites, in O(B H) memory in both directions."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfar.layers.first_derivatives import once

# Largest number of sites in a block. The work within a block grows with the square of the number of sites, and each
# block adds the overhead of a loop iteration.
BLOCK = 14
# Largest number of columns of W in a block, which makes blocks of sites with many inputs smaller.
BLOCK_COLUMNS = 64


class Activation(NamedTuple):
    """A nonlinearity and its derivative, expressed as a function of the value of the nonlinearity."""

    function: Callable[[tf.Tensor], tf.Tensor]
    derivative: Callable[[tf.Tensor], tf.Tensor]


# A running sum in float32: its value and, if it is compensated, the accumulated rounding error.
Sum = tuple[tf.Tensor, ...]

ACTIVATIONS = {
    # XLA evaluates tanh faster than its built-in sigmoid, which computes an exponential.
    "sigmoid": Activation(lambda a: 0.5 * tf.tanh(0.5 * a) + 0.5, lambda h: h * (1.0 - h)),
    "tanh": Activation(tf.tanh, lambda h: 1.0 - h * h),
    "relu": Activation(tf.nn.relu, lambda h: tf.cast(h > 0.0, h.dtype)),
}


def nade_scan(
    x: tf.Tensor,
    kernel: tf.Tensor,
    first: tf.Tensor,
    output_kernel: tf.Tensor,
    activation: str = "sigmoid",
    scale: tf.Tensor | None = None,
    compensated: bool = False,
) -> tf.Tensor:
    """Returns the outputs of all sites of NADE, without their biases, in the order of the steps: float32 `[B, N, P]`.

        a_0 = first,    out_t = V_t h(a_t),    a_{t+1} = a_t + W_t x_t

    With scales `[N]`, as in RNADE, `out_t = V_t h(scale_t a_t)`. The inputs x are `[B, N, I]`, the kernel W `[N, I, H]`, `first`
    `[B, H]` and the output kernel V `[N, P, H]`. The result is differentiable once with respect to all of them.

    A loop processes the sites in blocks. It computes the activations of a block as one matrix product and does not keep
    them. The gradient starts from the last a and goes backwards: it subtracts the contribution of each block from the
    sum to recover the a before the block. Therefore no tensor has B N H elements, in either direction. All computations
    are in float32, whatever the dtype of the inputs.

    With `compensated` summation, the gradient recovers the earlier activations even if one x is millions of times larger than
    another. Binary inputs do not need it.

    References:
        Uria et al. Neural autoregressive distribution estimation. JMLR 17, 2016, algorithm 1.
        Knuth. The art of computer programming 2, section 4.2.2, theorem B (the rounding error of a sum).
    """
    num_sites, inputs, units = kernel.shape
    num_blocks, size = block_shape(num_sites, inputs)
    x, kernel, first, output_kernel = (tf.cast(t, tf.float32) for t in (x, kernel, first, output_kernel))
    params_size = output_kernel.shape[1]

    def blocks(values: tf.Tensor, *trailing: int) -> tf.Tensor:
        """Pads the sites, axis 0, with zeros and splits them: `[num_blocks, size, *trailing]`."""
        values = tf.pad(values, [[0, num_blocks * size - num_sites]] + [[0, 0]] * (values.shape.rank - 1))
        return tf.reshape(values, [num_blocks, size, *trailing])

    outputs = _scan(
        blocks(tf.transpose(x, [1, 0, 2]), -1, inputs),
        blocks(kernel, inputs, units),
        first,
        blocks(output_kernel, params_size, units),
        activation,
        None if scale is None else blocks(tf.cast(scale, tf.float32)),
        compensated,
    )
    outputs = tf.reshape(outputs, [num_blocks * size, -1, params_size])[:num_sites]
    return tf.transpose(outputs, [1, 0, 2])


def block_shape(num_sites: int, inputs: int = 1) -> tuple[int, int]:
    """Returns the number of blocks, at least two so that every event uses the loop, and of sites in each block."""
    largest = max(1, min(BLOCK, BLOCK_COLUMNS // inputs))
    num_blocks = min(num_sites, max(2, -(-num_sites // largest)))
    return num_blocks, -(-num_sites // num_blocks)


def _scan(
    x: tf.Tensor,
    kernel: tf.Tensor,
    first: tf.Tensor,
    output_kernel: tf.Tensor,
    activation: str,
    scale: tf.Tensor | None,
    compensated: bool,
) -> tf.Tensor:
    """Computes `nade_scan` for sites in blocks: x is `[num_blocks, size, B, I]`, and the result `[num_blocks, size, B, P]`."""
    act = ACTIVATIONS[activation]

    @tf.custom_gradient
    def scan(x: tf.Tensor, kernel: tf.Tensor, first: tf.Tensor, *rest: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return once(_backward(x, kernel, last, upstream, act, *rest), "NADE")

        start = (first, tf.zeros_like(first)) if compensated else (first,)
        outputs, last = _forward(x, kernel, start, act, *rest)
        return outputs, gradient

    return scan(x, kernel, first, output_kernel, *([] if scale is None else [scale]))


def _forward(
    x: tf.Tensor,
    kernel: tf.Tensor,
    first: Sum,
    act: Activation,
    output_kernel: tf.Tensor,
    scale: tf.Tensor | None = None,
) -> tuple[tf.Tensor, Sum]:
    """Returns the outputs `[num_blocks, size, B, P]` and the activations after the last block, `[B, H]`."""
    num_blocks, size, params_size, _ = output_kernel.shape

    def body(i: tf.Tensor, a: Sum, outputs: tf.Tensor) -> tuple:
        seen = _activations(_value(a), x[i], kernel[i])
        hidden = act.function(seen if scale is None else _by_site(scale[i]) * seen)
        new = tf.matmul(hidden, output_kernel[i], transpose_b=True)
        return i + 1, _add(a, _added(x[i], kernel[i])), _put(outputs, i, new)

    outputs = tf.zeros(tf.stack([num_blocks, size, tf.shape(first[0])[0], params_size]))
    start = (tf.constant(0), first, outputs)
    _, last, outputs = tf.while_loop(lambda i, *_: i < num_blocks, body, start, maximum_iterations=num_blocks)
    return outputs, last


def _backward(
    x: tf.Tensor,
    kernel: tf.Tensor,
    last: Sum,
    upstream: tf.Tensor,
    act: Activation,
    output_kernel: tf.Tensor,
    scale: tf.Tensor | None = None,
) -> tuple[tf.Tensor, ...]:
    """Returns the gradients of `x`, `kernel`, `first`, `output_kernel` and, if there is one, of `scale`."""

    def body(step: tf.Tensor, a: Sum, d_a: tf.Tensor, *d: tf.Tensor) -> tuple:
        i = num_blocks - 1 - step
        a = _add(a, -_added(x[i], kernel[i]))
        seen = _activations(_value(a), x[i], kernel[i])
        hidden = act.function(seen if scale is None else _by_site(scale[i]) * seen)
        new_v = tf.matmul(upstream[i], hidden, transpose_a=True)
        d_sites = tf.matmul(upstream[i], output_kernel[i]) * act.derivative(hidden)
        new_scale = [] if scale is None else [tf.reduce_sum(d_sites * seen, axis=[1, 2])]
        if scale is not None:
            d_sites *= _by_site(scale[i])
        new_x, new_w = _block_gradients(d_a, d_sites, x[i], kernel[i])
        d_a += tf.reduce_sum(d_sites, axis=0)
        new = (new_x, new_w, new_v, *new_scale)
        return step + 1, a, d_a, *(_put(whole, i, part) for whole, part in zip(d, new, strict=True))

    # Each subtraction adds one rounding error per block. For 784 bits the relative error of the gradients is 5e-7, like
    # that of a cumulative sum. It is 1e-4 if one site adds thousands to the activations, unless the sum is compensated.
    num_blocks = kernel.shape[0]
    zeros = [tf.zeros_like(t) for t in (last[0], x, kernel, output_kernel, *([] if scale is None else [scale]))]
    start = (tf.constant(0), last, *zeros)
    _, _, d_a, d_x, d_w, *d = tf.while_loop(lambda i, *_: i < num_blocks, body, start, maximum_iterations=num_blocks)
    return d_x, d_w, d_a, *d


def _value(a: Sum) -> tf.Tensor:
    return a[0] if len(a) == 1 else a[0] + a[1]


def _add(a: Sum, added: tf.Tensor) -> Sum:
    """Adds to a sum; a compensated sum also accumulates the rounding errors, which float32 represents exactly."""
    total = a[0] + added
    if len(a) == 1:
        return (total,)
    of_added = total - a[0]
    return total, a[1] + ((a[0] - (total - of_added)) + (added - of_added))


def _by_site(scale: tf.Tensor) -> tf.Tensor:
    """Reshapes the scales of a block, `[size]`, to `[size, 1, 1]`, which broadcasts with its activations."""
    return scale[:, None, None]


def _activations(a: tf.Tensor, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Returns the activations of the sites of a block, `[size, B, H]`, from those of its first site, `a [B, H]`."""
    return a + tf.tensordot(_earlier(x), _flat(kernel), 1)


def _earlier(x: tf.Tensor) -> tf.Tensor:
    """Returns for each site of a block the inputs of the block before it, 0 elsewhere: `[size, B, I]` to `[size, B, size I]`."""
    return tf.where(_is_earlier(x)[:, None], _by_row(x)[None], tf.zeros([]))


def _is_earlier(x: tf.Tensor) -> tf.Tensor:
    """Returns whether each input of a block belongs to a site before each site, bool `[size, size I]`."""
    sites = np.arange(x.shape[0])
    return tf.constant(np.repeat(sites[None, :] < sites[:, None], x.shape[2], axis=1))


def _by_row(x: tf.Tensor) -> tf.Tensor:
    """Reshapes `[size, B, I]` to `[B, size I]`."""
    return tf.reshape(tf.transpose(x, [1, 0, 2]), [-1, x.shape[0] * x.shape[2]])


def _flat(kernel: tf.Tensor) -> tf.Tensor:
    return tf.reshape(kernel, [-1, kernel.shape[-1]])


def _added(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Returns the contribution of a block to the activations, `[B, H]`."""
    return tf.matmul(_by_row(x), _flat(kernel))


def _block_gradients(
    d_a: tf.Tensor, d_sites: tf.Tensor, x: tf.Tensor, kernel: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the gradients of `x` and `kernel` of a block, from those of the activations after it and of its sites."""
    size, inputs, units = kernel.shape
    d_flat = tf.matmul(tf.reshape(_earlier(x), [-1, size * inputs]), tf.reshape(d_sites, [-1, units]), transpose_a=True)
    d_flat += tf.matmul(_by_row(x), d_a, transpose_a=True)
    of_sites = tf.tensordot(d_sites, _flat(kernel), [[2], [1]])
    d_rows = tf.matmul(d_a, _flat(kernel), transpose_b=True)
    d_rows += tf.reduce_sum(tf.where(_is_earlier(x)[:, None], of_sites, tf.zeros([])), axis=0)
    d_x = tf.transpose(tf.reshape(d_rows, [-1, size, inputs]), [1, 0, 2])
    return d_x, tf.reshape(d_flat, [size, inputs, units])


def _put(values: tf.Tensor, i: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
    return tf.tensor_scatter_nd_update(values, [[i]], new[None])
