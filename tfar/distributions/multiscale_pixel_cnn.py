"""Multiscale PixelCNN: an image that doubles its size, one group of pixels after the other."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from tfar.distributions import images
from tfar.distributions.arguments import check_head, checked_conditional_shape, class_inputs
from tfar.heads import Bernoulli, Head
from tfar.heads.base import check_positive_int
from tfar.networks import MultiscalePixelCNNNetwork

UPSCALINGS = ("A", "B")


@keras.saving.register_keras_serializable("tfar")
class MultiscalePixelCNN(images.ImageAutoregressive):
    """Multiscale PixelCNN over images whose sides are those of a small picture times a power of 2.

    A PixelCNN decides the subsample `x[::2**S, ::2**S]`. Each of S scales doubles the picture by three groups of pixels: in
    every block of 2 x 2, whose upper left pixel is known, the upper right, then the lower left, then the lower right one:

        log p(x | y) = log p(base | y) + sum_s sum_{g = 1}^{3} log p(x_{s,g} | x_{s,0}, ..., x_{s,g-1}, y)

    where x_{s,0} is the picture of the scale before. The pixels of a group are independent given the earlier groups
    (`upscaling="A"`), or those of one patch of the group are decided in raster order, and patches are independent
    (`upscaling="B"`). Residual networks of convolutions without masks compute a group from the earlier ones.

    The density is exact and normalised, because every value belongs to the base or to exactly one group. A smaller picture
    is a subsample of the image: the pixels `x[::2, ::2]`, and not an average of the pixels around them.

    Sampling takes as many steps as the base has values, and then one step for each group, or one for each value of a patch.

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        filters: int. Number of features, a multiple of 2 C, or of 2 if the head decides the channels together.
        base_size: int or (height, width) of the smallest picture.
        num_blocks: int. Number of residual blocks of the PixelCNN of the base and of the network of each group.
        upscaling: "A" or "B".
        patch_size: int or (height, width) of the patches of `upscaling="B"`, in pixels of a group; they divide `base_size`.
        share_scales: bool. Use the same three networks at all scales.
        head: the head of a value, such as Bernoulli or Categorical, by which the channels of a pixel are decided one after the
            other; or of all channels of a pixel, such as DiscretizedLogisticMixture. Default: Bernoulli.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None. A dense layer adds it to
            the first features of every network.
        one_hot_inputs: bool or None. Whether to encode the levels of a Categorical value as one-hot inputs; otherwise
            the value is scaled to -1 .. 1. None means True for up to 32 levels.
        kernel_initializer: initializer of all kernels, each with its own seed.
        seed: int. Determines the initial weights.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If a size is out of range, if the image is not the base times a power of 2 in both directions, or if the
            patches do not fill the base.

    Example:
        >>> dist = tfar.MultiscalePixelCNN([8, 8], filters=4, base_size=2, num_blocks=1, jit_compile=False)
        >>> x = dist.sample(2, seed=1)
        >>> dist.log_prob(x).shape
        TensorShape([2])
        >>> observed = np.zeros([8, 8], bool)
        >>> observed[::2, ::2] = True
        >>> dist.complete(x, observed, num_samples=3, seed=1).shape  # super-resolution
        TensorShape([3, 2, 8, 8])

    References:
        Reed, van den Oord, Kalchbrenner, Colmenarejo, Wang, Chen, Belov and de Freitas. Parallel multiscale autoregressive
        density estimation. ICML 2017, sections 3 and 3.1. https://arxiv.org/abs/1703.03664

    Notes:
        The networks of the groups run at the size of a group instead of the whole picture, as all pixels of a group lie on
        one grid. If a head decides the channels one after the other, masked 1x1 convolutions after the features of the pixel
        see its earlier channels, so that the large network runs once and not once for each channel.
    """

    def __init__(
        self,
        event_shape: Any,
        filters: int = 64,
        *,
        base_size: int | Sequence[int] = 4,
        num_blocks: int = 4,
        upscaling: str = "A",
        patch_size: int | Sequence[int] = 4,
        share_scales: bool = False,
        head: Head | None = None,
        conditional_shape: Any = None,
        one_hot_inputs: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "MultiscalePixelCNN",
    ) -> None:
        head = Bernoulli() if head is None else check_head(head)
        shape = images.image_shape(event_shape)
        base = _checked_base(shape, base_size)
        if upscaling not in UPSCALINGS:
            raise ValueError(f"Expected `upscaling` to be one of {UPSCALINGS}; received {upscaling!r}.")
        patch = images.kernel_size_pair("patch_size", patch_size) if upscaling == "B" else (1, 1)
        if base[0] % patch[0] or base[1] % patch[1]:
            fitting = [size for size in range(1, min(base) + 1) if base[0] % size == base[1] % size == 0]
            raise ValueError(
                f"Expected a `patch_size` that divides the base of {base[0]} x {base[1]} pixels, such as one of {fitting}; "
                f"received {patch_size!r}."
            )
        groups = 1 if head.site_shape else math.prod(shape[2:])
        why = "as blocks halve them" + (" and they are split among the channels" if groups > 1 else "")
        network = MultiscalePixelCNNNetwork(
            event_shape=shape,
            base_shape=base,
            filters=images.check_features("filters", filters, 2 * groups, why),
            params_size=head.params_size,
            site_shape=head.site_shape,
            num_blocks=check_positive_int("num_blocks", num_blocks, lowest=0),
            patch_size=patch,
            share_scales=share_scales,
            conditional_shape=checked_conditional_shape(conditional_shape),
            kernel_initializer=kernel_initializer,
            seed=check_positive_int("seed", seed, lowest=0),
            **_inputs(head, one_hot_inputs),
        )
        super().__init__(network, head, jit_compile=jit_compile, name=name)


def _inputs(head: Head, one_hot_inputs: bool | None) -> dict[str, Any]:
    """Returns how a network encodes the values of a head: integers in a range are scaled to -1 .. 1, or one-hot."""
    support = head.support()
    if support.num_values is None or not head.site_shape:
        return class_inputs(head, one_hot_inputs)
    return {"num_classes": support.num_values, "low": support.low}


def _checked_base(shape: tuple[int, ...], base_size: Any) -> tuple[int, int]:
    """Returns the height and width of the smallest picture, or raises ValueError if no power of 2 leads to the image."""
    base = images.kernel_size_pair("base_size", base_size)
    scales = [max(0, round(math.log2(size / small))) for size, small in zip(shape, base, strict=False)]
    for side, size, small in zip(("height", "width"), shape, base, strict=False):
        power = 2 ** scales[0]
        if size != small * power:
            raise ValueError(
                f"Expected the {side} of the image to be that of the base, {small}, times a power of 2 that is the same for "
                f"both sides; received {size}. {_ways_out(shape, size, power)}."
            )
    return base


def _ways_out(shape: tuple[int, ...], size: int, power: int) -> str:
    """Returns what an error says about fitting sizes and bases; `size`, a side of the image, is not `power` times the base."""
    bases, (height, width) = [], shape[:2]
    while height % 2 == width % 2 == 0:
        height, width = height // 2, width // 2
        bases.append(str((height, width)))
    fitting = f"choose a `base_size` of {' or '.join(bases)}"
    if size % power == 0:
        return fitting.capitalize() if bases else "Crop or pad the images to an even height and width"
    nearest = " and ".join(f"{power * n} (of {n})" for n in sorted({max(1, size // power), -(-size // power)}))
    cropped = f"For {power} times the base, the nearest sizes are {nearest}: crop or pad the images"
    return f"{cropped}, or {fitting}" if bases else cropped
