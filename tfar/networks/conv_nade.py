"""The network of ConvNADE: convolutions over the known pixels and their mask."""

import itertools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.networks.conditions import condition_size, flatten_condition
from tfar.networks.inputs import SiteEncoding
from tfar.networks.orderless import OrderlessNetwork


@keras.saving.register_keras_serializable("tfar")
class ConvNADENetwork(OrderlessNetwork):
    """Valid convolutions followed by mirrored full convolutions, with a parallel fully connected branch.

        h_0     = [x * m, m]                                   m: 1 at known sites, else 0
        h_l     = g(valid_l(h_{l-1}) + U_l y)                  l = 1 .. L
        h_{L+l} = g(full_{L-l+1}(h_{L+l-1}) + U_{L+l} y)       l = 1 .. L, without g and U for l = L
        params  = h_{2L} + dense(h_0)

    y is the conditional input. The full convolution that mirrors the l-th valid one has the same kernel size, and as
    many filters as the valid one has input channels; the filters of the last one are the parameters of a pixel. A
    hidden layer of the branch applies g to a dense layer plus U y.

    A full convolution is computed as the transpose of a valid one, because the gradient of the equivalent valid
    convolution over a zero-padded image takes ten times as long on CPUs.

    Args:
        event_shape: shape of one event, `[H, W]` or `[H, W, C]`.
        filters: filters of each valid convolution.
        kernel_sizes: height and width of the kernel of each valid convolution.
        hidden_units: units of each hidden layer of the fully connected branch, or None for no branch.
        params_size: int, P. Parameters of a site.
        site_shape: shape of the value of one site, `()` or `(C,)`.
        num_classes: None, or the number of classes of a site, whose values are then scaled to -1 .. 1.
        one_hot: bool. Encode the classes of a site as one-hot inputs instead.
        activation, conditional_shape, kernel_initializer, seed: see `tfar.ConvNADE`.

    Raises:
        ValueError: If the event is not an image, or is too small for the kernels.

    References:
        Uria, Côté, Gregor, Murray and Larochelle. Neural autoregressive distribution estimation. JMLR 17, 2016, section 4.
        https://arxiv.org/abs/1605.02226
    """

    chunk_rows = 128

    def __init__(
        self,
        event_shape: tuple[int, ...],
        filters: Sequence[int],
        kernel_sizes: Sequence[tuple[int, int]],
        hidden_units: Sequence[int] | None = None,
        params_size: int = 1,
        site_shape: tuple[int, ...] = (),
        *,
        activation: Any = "relu",
        conditional_shape: Any = None,
        num_classes: int | None = None,
        one_hot: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, site_shape, conditional_shape, **kwargs)
        self.filters, self.kernel_sizes = tuple(filters), tuple((int(h), int(w)) for h, w in kernel_sizes)
        self.hidden_units = None if hidden_units is None else tuple(hidden_units)
        check_image(self.event_shape, self.filters, self.kernel_sizes)
        self.params_size = int(params_size)
        self._encode = SiteEncoding(site_shape, num_classes, one_hot)
        self.num_classes, self.one_hot = num_classes, self._encode.one_hot
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self._salts = itertools.count()
        self._make_layers()

    @property
    def sites_per_pixel(self) -> int:
        """Number of sites of one pixel: the number of channels, or 1 if the channels are decided together."""
        return self.num_sites // self._num_pixels

    @property
    def _num_pixels(self) -> int:
        return self.event_shape[0] * self.event_shape[1]

    @property
    def inputs_per_pixel(self) -> int:
        """Number of input channels: the encoded values of a pixel's sites, and the mask."""
        return self.sites_per_pixel * (self._encode.inputs_per_site + 1)

    def influences(self, sites: Any = None, member: int = 0, order: Any = None, num_sites: Any = None) -> NDArray:
        """Returns earlier sites; without the fully connected branch, only those that the convolutions connect."""
        earlier = super().influences(sites, member, order)
        if self.hidden_units is not None:
            return earlier
        reach = self._reach()
        return earlier & (reach if sites is None else reach[np.asarray(sites, int)])

    def _reach(self) -> NDArray[np.bool_]:
        """Returns the pairs of sites that a unit of the smallest layer connects, `[num_sites, num_sites]`."""
        axes = []
        for axis in range(2):
            size, margin = self.event_shape[axis], sum(kernel[axis] - 1 for kernel in self.kernel_sizes)
            offset = np.arange(size)[:, None] - np.arange(size - margin)
            seen = (offset >= 0) & (offset <= margin)
            axes.append(seen.astype(int) @ seen.T.astype(int) > 0)
        pixels = np.kron(*axes)
        return np.kron(pixels, np.ones([self.sites_per_pixel] * 2, bool)).astype(bool)

    # Layers ----------------------------------------------------------------------------------------------------------

    def _make_layers(self) -> None:
        mirrored = (*self.filters[-2::-1], self.sites_per_pixel * self.params_size)
        sizes = [("valid", *pair) for pair in zip(self.filters, self.kernel_sizes, strict=True)]
        sizes += [("full", *pair) for pair in zip(mirrored, self.kernel_sizes[::-1], strict=True)]
        self.convolutions = [self._convolution(i, *size) for i, size in enumerate(sizes, start=1)]
        self.dense_layers = []
        if self.hidden_units is not None:
            units = (*self.hidden_units, self.num_sites * self.params_size)
            self.dense_layers = [self._dense(f"dense_{i}", n, next(self._salts)) for i, n in enumerate(units, start=1)]
        self.condition_layers = []
        if self.conditional_shape is not None:
            channels = [layer.filters for layer in self.convolutions[:-1]] + list(self.hidden_units or ())
            names = [f"condition_{i}" for i in range(1, len(channels) + 1)]
            self.condition_layers = [
                self._dense(*pair, next(self._salts), use_bias=False) for pair in zip(names, channels, strict=True)
            ]

    def _convolution(self, index: int, kind: str, filters: int, kernel_size: tuple[int, int]) -> keras.layers.Conv2D:
        layer = keras.layers.Conv2DTranspose if kind == "full" else keras.layers.Conv2D
        name = f"{kind}_{index if kind == 'valid' else 2 * len(self.filters) + 1 - index}"
        shared = {"kernel_initializer": self._seeded(next(self._salts)), "dtype": self.dtype_policy}
        return layer(filters, kernel_size, data_format="channels_last", name=name, **shared)

    def build(self, input_shape: Any = None) -> None:
        """Creates all variables, whose shapes depend only on the configuration."""
        shape: Any = (None, *self.event_shape[:2], self.inputs_per_pixel)
        inputs = self._num_pixels * self.inputs_per_pixel
        for layer in self.convolutions:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        for layer in self.dense_layers:
            layer.build((None, inputs))
            inputs = layer.units
        for layer in self.condition_layers:
            layer.build((None, condition_size(self.conditional_shape)))
        self.built = True

    # In parallel -----------------------------------------------------------------------------------------------------

    def params_of(
        self, x: tf.Tensor, known: tf.Tensor, conditional_input: Any = None, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """See the base class."""
        inputs, offsets = self._inputs(x, known), self._offsets(conditional_input)
        hidden, last = inputs, len(self.convolutions) - 1
        for layer, offset in zip(self.convolutions[:last], offsets[:last], strict=True):
            sums = layer(hidden)
            hidden = self.activation(sums if offset is None else sums + offset[:, None, None])
        params = tf.reshape(self.convolutions[last](hidden), [-1, self.num_sites, self.params_size])
        if not self.dense_layers:
            return params
        hidden = tf.reshape(inputs, [-1, self._num_pixels * self.inputs_per_pixel])
        for layer, offset in zip(self.dense_layers[:-1], offsets[last:], strict=True):
            sums = layer(hidden)
            hidden = self.activation(sums if offset is None else sums + offset)
        return params + tf.reshape(self.dense_layers[-1](hidden), [-1, self.num_sites, self.params_size])

    def _inputs(self, x: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        """Returns values and mask as channels, `[B, H, W, inputs_per_pixel]`; all are 0 where a site is not known."""
        mask = tf.cast(known, x.dtype)[..., None]
        sites = tf.concat([self._encode(self._sites(x)) * mask, mask], axis=-1)
        return tf.reshape(sites, [-1, *self.event_shape[:2], self.inputs_per_pixel])

    def _offsets(self, conditional_input: Any) -> list[tf.Tensor | None]:
        """Returns the term U y of each hidden layer, with those of the branch last; None without a condition."""
        if not self.condition_layers:
            return [None] * (len(self.convolutions) - 1 + len(self.hidden_units or ()))
        features = flatten_condition(conditional_input, self.conditional_shape)
        return [layer(features) for layer in self.condition_layers]


def check_image(event_shape: tuple[int, ...], filters: Sequence[int], kernel_sizes: Sequence[tuple[int, int]]) -> None:
    """Raises ValueError unless the event is an image that is large enough for the valid convolutions."""
    if len(event_shape) not in (2, 3):
        raise ValueError(f"Expected `event_shape` to be [H, W] or [H, W, C]; received {event_shape}.")
    if len(filters) != len(kernel_sizes):
        raise ValueError(f"Expected a kernel size for each of {len(filters)} `filters`; received {len(kernel_sizes)}.")
    needed = tuple(1 + sum(size[axis] - 1 for size in kernel_sizes) for axis in range(2))
    if any(n < least for n, least in zip(event_shape, needed, strict=False)):
        raise ValueError(
            f"Expected an image of at least {needed[0]} x {needed[1]} pixels for kernels of sizes {list(kernel_sizes)}; "
            f"received `event_shape` {event_shape}."
        )
