"""The scales of an image: a small picture, and three groups of pixels for each doubling of its size."""

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Row and column of the pixel of each group in a block of 2 x 2: the smaller picture, right, below, and diagonal.
OFFSETS = ((0, 0), (0, 1), (1, 0), (1, 1))


class Scales:
    """Which pixels of an image belong to which group, and when its sites are decided.

    The picture of a scale consists of blocks of 2 x 2 pixels. Group 0, the upper left pixels, is the picture of the scale
    before, which is the base for scale 0. A group is split into patches, whose sites are decided in raster order.

    Args:
        image_shape: (height, width, sites of a pixel).
        base_shape: (height, width) of the smallest picture.
        patch_size: (height, width) of a patch, in pixels of a group.

    Example:
        >>> Scales((4, 4, 1), (2, 2)).schedule().reshape(4, 4)
        array([[0, 4, 1, 4],
               [5, 6, 5, 6],
               [2, 4, 3, 4],
               [5, 6, 5, 6]], dtype=int32)
    """

    def __init__(
        self, image_shape: tuple[int, int, int], base_shape: tuple[int, int], patch_size: tuple[int, int] = (1, 1)
    ) -> None:
        self.image_shape, self.base_shape, self.patch_size = image_shape, base_shape, patch_size
        self.count = (image_shape[0] // base_shape[0]).bit_length() - 1
        self.sites = np.arange(math.prod(image_shape)).reshape(1, *image_shape)

    @property
    def sites_of_patch(self) -> NDArray[np.int64]:
        """The sites of a patch in raster order, `[*patch_size, sites of a pixel]`."""
        shape = (*self.patch_size, self.image_shape[2])
        return np.arange(math.prod(shape)).reshape(shape)

    def shape(self, scale: int) -> tuple[int, int]:
        """Returns the height and width of a group of a scale."""
        return self.base_shape[0] * 2**scale, self.base_shape[1] * 2**scale

    def part(self, image: Any, scale: int, group: int) -> Any:
        """Returns the pixels of an image `[B, H, W, ...]` that belong to a group of a scale."""
        stride, (row, column) = self._stride(scale), OFFSETS[group]
        return image[:, row * stride // 2 :: stride, column * stride // 2 :: stride]

    def _stride(self, scale: int) -> int:
        """Returns the distance in the image of neighbours in a group of a scale."""
        return 2 ** (self.count - scale)

    def schedule(self) -> NDArray[np.int32]:
        """Returns the step that decides each site, `[num_sites]`."""
        steps = np.zeros(self.sites.shape, np.int32)
        base = self.part(steps, 0, 0)
        base[:] = np.arange(base.size).reshape(base.shape)
        first, in_patch = base.size, self.sites_of_patch
        for scale in range(self.count):
            height, width = self.shape(scale)
            tiles = np.tile(in_patch, (height // self.patch_size[0], width // self.patch_size[1], 1))
            for group in range(1, 4):
                self.part(steps, scale, group)[:] = first + tiles
                first += in_patch.size
        return steps.ravel()

    @functools.cached_property
    def _place(self) -> NDArray[np.int32]:
        """The scale and the group of each site, `[2, num_sites]`; those of the base are 0."""
        place = np.zeros((2, *self.sites.shape), np.int32)
        for scale in range(self.count):
            for group in range(1, 4):
                for part, number in zip(place, (scale, group), strict=True):
                    self.part(part, scale, group)[:] = number
        return place.reshape(2, -1)

    def place(self, site: int) -> tuple[int, int, int, int]:
        """Returns the scale of a site, its group, and its row and column within the group."""
        scale, group = (int(number) for number in self._place[:, site])
        row, column = divmod(site // self.image_shape[2], self.image_shape[1])
        stride, offset = self._stride(scale), OFFSETS[group]
        return scale, group, (row - offset[0] * stride // 2) // stride, (column - offset[1] * stride // 2) // stride

    def known_sites(self, site: int, reach: int) -> NDArray[np.int64]:
        """Returns the sites of earlier groups of the scale of a site, up to `reach` rows and columns away in their group."""
        scale, group, row, column = self.place(site)
        window = np.s_[:, max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
        return np.concatenate([self.part(self.sites, scale, known)[window].ravel() for known in range(group)])

    def earlier_in_patch(self, site: int) -> NDArray[np.int64]:
        """Returns the sites of the patch of a site that are decided before it."""
        scale, group, row, column = self.place(site)
        height, width = self.patch_size
        row, column = row // height * height, column // width * width
        own = self.part(self.sites, scale, group)[:, row : row + height, column : column + width].ravel()
        return own[own < site]
