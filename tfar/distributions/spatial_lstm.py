"""Spatial LSTM, the recurrent image density estimator RIDE."""

from typing import Any

import keras

from tfar.distributions import images
from tfar.distributions.arguments import check_head
from tfar.heads import GaussianScaleMixture, Head, Standardized
from tfar.heads.base import check_positive_int
from tfar.networks.spatial_lstm import SpatialFeaturesNetwork, SpatialLSTMNetwork


@keras.saving.register_keras_serializable("tfar")
class SpatialLSTM(images.ImageAutoregressive):
    """Spatial LSTM (RIDE) over images of real values, or of whole numbers with another head.

    LSTMs pass their states from the pixel to the left and the pixel above to each pixel, and the first of them sees a
    neighbourhood of earlier pixels. The hidden state of the last one gives the conditional of the pixel:

        log p(x | y) = sum_{r, c} log p(x[r, c] | h_L[r, c])
        o, f, k, i = sigmoid(sums),    g = tanh(sums),    sums = W [h_{l-1}[r, c], h_l[r, c-1], h_l[r-1, c]] + V_l y + b
        c_l[r, c] = f c_l[r, c-1] + k c_l[r-1, c] + i g,    h_l[r, c] = tanh(o c_l[r, c]),    h_0[r, c] = neighbourhood

    The condition y is a vector, or the value of a map at the pixel; without LSTMs, V y is added to the features of the pixel.

    A value depends on all pixels above and to the left, and on those above in `neighbourhood // 2` columns to the right, because
    states pass to the right and down only. All pixels are scored, those at the border too: a neighbourhood holds 0 for pixels
    outside the image, and for each of its pixels an input that is 1 inside the image.

    With the default head the pixels are real numbers, in any units: training determines their mean and deviation first.
    Images of 8 bits become real by uniform noise, `tfar.data.dequantize`. A pixel of several channels is decided at once.

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        units: int. Number of features of each LSTM; with several sites a pixel, a multiple of their number.
        num_layers: int. Number of LSTMs. With 0, the head sees a linear function of the neighbourhood.
        neighbourhood: int, odd, at least 3. Height and width of the square around a pixel whose earlier pixels it sees.
        num_symmetries: int, 1, 2, 4, or 8 for square images. With more than 1, the model is an ensemble of members with the
            same weights (EoRIDE): of the image and its mirror image, of all mirror images, or of these and those of the
            transposed image. `log_prob` averages the probabilities, and training draws one of them for each image. The maps of
            a condition are mirrored and transposed with the image.
        head: the head of a site. `heads.GaussianScaleMixture` of `num_inputs=units` features, of `heads.Standardized` values
            or not, sees the hidden state. For any other head, a dense layer turns the hidden state into parameters. Default:
            standardised values, 32 components, 4 scales and 32 features.
        conditional_shape: `[k]` of a vector, `[H, W, k]` of a map, a dict of such shapes, or None.
        kernel_initializer: initializer of all kernels, each with its own seed.
        seed: int. Determines the initial weights.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If an argument is out of range, the head does not fit the units or the channels, or a condition is neither a
            vector nor a map of the image.

    Example:
        >>> dist = tfar.SpatialLSTM([5, 4], units=8, num_layers=1, jit_compile=False)
        >>> dist.initialize(tf.random.normal([100, 5, 4], 120.0, 40.0))
        >>> dist.log_prob(dist.sample(4, seed=1)).shape
        TensorShape([4])

    References:
        Theis and Bethge. Generative image modeling using spatial LSTMs. NIPS 2015. https://arxiv.org/abs/1506.03478

    Notes:
        To the location of the head, the model adds a linear function of the neighbourhood, which `initialize` sets by least
        squares; the paper whitens the data instead. The paper scores only pixels with a whole neighbourhood inside the image.
        It draws all weights from -0.08 .. 0.08, trains on ever larger patches, and adds one layer at a time. It has no
        conditions; they enter as in `tfar.RowLSTM`.
        Half of the gates is open at first, also the two forget gates: with a larger bias, cell states would double with each
        step along the diagonal.
    """

    def __init__(
        self,
        event_shape: Any,
        units: int = 64,
        num_layers: int = 2,
        *,
        neighbourhood: int = 5,
        num_symmetries: int = 1,
        head: Head | None = None,
        conditional_shape: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "SpatialLSTM",
    ) -> None:
        shape, units = images.image_shape(event_shape), check_positive_int("units", units)
        seed = check_positive_int("seed", seed, lowest=0)
        head = _default_head(shape, units, seed) if head is None else check_head(head)
        network: Any = SpatialLSTMNetwork
        arguments: dict[str, Any] = {"initial_params": head.initial_params()}
        if isinstance(_inner(head), GaussianScaleMixture):
            _check_features(_inner(head), shape, units)
            network, arguments = SpatialFeaturesNetwork, {}
        support = head.support()
        if support.num_values is not None:
            arguments.update(low=support.low, high=support.high)
        size = check_positive_int("neighbourhood", neighbourhood, lowest=3)
        if size % 2 == 0:
            raise ValueError(f"Expected `neighbourhood` to be odd; received {neighbourhood}.")
        _check_symmetries(num_symmetries, shape)
        sites = shape[2] if len(shape) == 3 and not head.site_shape else 1
        super().__init__(
            network(
                shape,
                head.site_shape,
                head.params_size,
                units=images.check_features("units", units, sites, "as it is split among the channels"),
                num_layers=check_positive_int("num_layers", num_layers, lowest=0),
                neighbourhood=size,
                num_symmetries=num_symmetries,
                conditional_shape=images.vectors_and_maps(conditional_shape, shape[:2]),
                kernel_initializer=kernel_initializer,
                seed=seed,
                **arguments,
            ),
            head,
            jit_compile=jit_compile,
            name=name,
        )


def _check_symmetries(count: Any, shape: tuple[int, ...]) -> None:
    """Raises ValueError if an image of a shape has no such number of symmetries."""
    square = shape[0] == shape[1]
    allowed = (1, 2, 4, 8) if square else (1, 2, 4)
    if isinstance(count, bool) or count not in allowed:
        what = "square images" if square else f"images of {shape[0]} x {shape[1]} pixels, which cannot be transposed"
        raise ValueError(f"Expected `num_symmetries` to be one of {allowed} for {what}; received {count!r}.")


def _default_head(shape: tuple[int, ...], units: int, seed: int) -> Head:
    channels = shape[2] if len(shape) == 3 else None
    return Standardized(GaussianScaleMixture(num_inputs=units, num_channels=channels, seed=seed))


def _inner(head: Head) -> Head:
    return head.head if isinstance(head, Standardized) else head


def _check_features(head: Any, shape: tuple[int, ...], units: int) -> None:
    """Raises ValueError if a head does not take as many features as there are units, or all channels of a pixel."""
    if head.num_inputs != units:
        raise ValueError(
            f"Expected a head of {units} inputs, the units of an LSTM; received one of {head.num_inputs}. Make it with "
            f"`GaussianScaleMixture(..., num_inputs={units})`."
        )
    if len(shape) == 3 and head.num_channels != shape[2]:
        raise ValueError(
            f"Expected a head of the {shape[2]} channels of a pixel; received `num_channels` {head.num_channels}. Make it with "
            f"`GaussianScaleMixture(..., num_channels={shape[2]})`."
        )
