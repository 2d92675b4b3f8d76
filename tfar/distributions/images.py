"""Base class of the distributions over images, and checks of their arguments."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfar.distributions.arguments import checked_conditional_shape, shape_tuple
from tfar.distributions.autoregressive import Autoregressive
from tfar.heads import Head
from tfar.heads.base import check_positive_int
from tfar.networks.masked_raster import MaskedRasterNetwork


class ImageAutoregressive(Autoregressive):
    """Distribution over images, whose values are decided in an order of pixels and channels."""

    def receptive_field(self, row: int, column: int, channel: int = 0) -> NDArray[np.bool_]:
        """Returns which values of the image the parameters of one value depend on.

        The result depends only on the kernel sizes and masks; `network.influences()` returns it for all sites. Channels
        that are decided together, as in PixelCNN++, depend on the same values.

        Args:
            row, column, channel: int. Position of the value.

        Returns:
            bool array of the shape of the event.

        Raises:
            ValueError: If a position is out of range.

        Example:
            >>> dist = tfar.PixelCNN([3, 4], filters=4, num_blocks=1, first_kernel_size=3)
            >>> dist.receptive_field(2, 0).astype(int)
            array([[1, 1, 1, 0],
                   [1, 1, 0, 0],
                   [0, 0, 0, 0]])
        """
        shape, event_shape = self.network.image_shape, tuple(self.event_shape)
        for name, value, size in zip(("row", "column", "channel"), (row, column, channel), shape, strict=True):
            if check_positive_int(name, value, lowest=0) >= size:
                raise ValueError(f"Expected `{name}` below {size}; received {value}.")
        groups = self.network.num_groups
        site = (row * shape[1] + column) * groups + channel % groups
        seen = self.network.influences([site]).reshape(*shape[:2], groups)
        return np.broadcast_to(seen, shape).reshape(event_shape)


def image_shape(event_shape: Any) -> tuple[int, ...]:
    """Returns the shape of an image as a tuple `(H, W)` or `(H, W, C)`, or raises ValueError."""
    shape = shape_tuple("event_shape", event_shape)
    if len(shape) not in (2, 3):
        raise ValueError(f"Expected `event_shape` to be [H, W] or [H, W, C]; received {event_shape!r}.")
    return shape


def check_scalar_head(head: Head) -> None:
    """Raises ValueError if the sites of the head are not scalars."""
    if head.site_shape:
        raise ValueError(
            f"Expected a head of scalar sites; received {type(head).__name__} with sites of shape {head.site_shape}."
        )


def kernel_size_pair(name: str, size: Any) -> tuple[int, int]:
    """Returns an int or two ints as (height, width), or raises ValueError."""
    sizes = shape_tuple(name, size)
    if len(sizes) > 2:
        raise ValueError(f"Expected `{name}` to be an int or two; received {size!r}.")
    return sizes[0], sizes[-1]


def check_features(name: str, value: Any, unit: int, why: str) -> int:
    """Returns a number of features that is a multiple of `unit`, or raises ValueError."""
    if check_positive_int(name, value) % unit:
        raise ValueError(f"Expected `{name}` to be a multiple of {unit}, {why}; received {value!r}.")
    return int(value)


def refuse_blind_sites(network: MaskedRasterNetwork) -> None:
    """Raises ValueError if a site other than the first depends on no other site."""
    blind = network.blind_sites()
    if blind:
        row, column, channel = (int(i) for i in np.unravel_index(blind[0], network.image_shape))
        raise ValueError(
            f"Expected kernels through which every value but the first sees an earlier one; row {row}, column {column}, "
            f"channel {channel} sees none. Make `first_kernel_size` higher or wider."
        )


def vectors_and_maps(shape: Any, size: tuple[int, ...]) -> Any:
    """Returns a conditional shape of vectors and maps of the image's height and width, or raises ValueError."""
    checked = checked_conditional_shape(shape)
    for part in checked.values() if isinstance(checked, Mapping) else [] if checked is None else [checked]:
        if len(part) != 1 and (len(part) != 3 or part[:2] != tuple(size)):
            raise ValueError(
                f"Expected `conditional_shape` to be [k] of a vector, [{size[0]}, {size[1]}, k] of a map, or a dict of such "
                f"shapes; received {shape!r}."
            )
    return checked
