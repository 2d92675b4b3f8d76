"""The orders of sites that are raster orders of mirrored or transposed images."""

import numpy as np
from numpy.typing import NDArray


def raster_orders(height: int, width: int, num_groups: int, count: int) -> NDArray[np.int32]:
    """Returns the raster orders of an image under its first symmetries, int32 `[count, height * width * num_groups]`.

    Symmetry k transposes the image if `k & 4`, then mirrors it from left to right if `k & 1` and from top to bottom if
    `k & 2`. The sites of a pixel keep their order.

    Args:
        height, width: int; equal if `count` is above 4.
        num_groups: int. Number of sites of a pixel.
        count: int. Number of symmetries, at most 8.

    Example:
        >>> raster_orders(2, 2, 1, 8)[[0, 1, 2, 4]].tolist()
        [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [0, 2, 1, 3]]
    """
    sites = np.arange(height * width * num_groups, dtype=np.int32).reshape(height, width, num_groups)
    found = []
    for k in range(count):
        image = sites.swapaxes(0, 1) if k & 4 else sites
        image = image[:, ::-1] if k & 1 else image
        image = image[::-1] if k & 2 else image
        found.append(image.ravel())
    return np.stack(found)
