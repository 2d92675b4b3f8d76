"""A multiscale PixelCNN in loops over blocks and pixels: slow, and independent of the package.

Reed et al. Parallel multiscale autoregressive density estimation. ICML 2017, section 3: blocks of 2 x 2, whose pixels belong to
group 1 (upper left, the smaller picture), 2 (upper right), 3 (lower left) and 4 (lower right).
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from tests.reference.pixel_cnn import Layer, relu
from tests.reference.pixel_cnn import parameters as of_pixel_cnn

Array = np.ndarray
Size = tuple[int, int]


class Place(NamedTuple):
    """Where a pixel belongs: the distance of the pixels of its scale, its group, 1 to 4, and its block; group 1 is the base."""

    stride: int
    group: int
    row: int
    column: int


def place_of(row: int, column: int, num_scales: int) -> Place:
    """The first scale, from the smallest picture on, that has a pixel."""
    stride = 2**num_scales
    if row % stride == 0 and column % stride == 0:
        return Place(stride, 1, row // stride, column // stride)
    while row % stride or column % stride:
        stride //= 2
    right, below = (column // stride) % 2, (row // stride) % 2
    return Place(stride, 1 + right + 2 * below, row // stride // 2, column // stride // 2)


def depends(site: tuple[int, int, int], other: tuple[int, int, int], num_scales: int, reach: int, patch: Size) -> bool:
    """Whether a value (row, column, channel) may depend on another one."""
    own, seen = place_of(*site[:2], num_scales), place_of(*other[:2], num_scales)
    if own.group == 1:
        return seen == seen._replace(stride=own.stride, group=1) and other < site
    if own[:2] == seen[:2]:
        same_rows, same_columns = (
            own.row // patch[0] == seen.row // patch[0],
            own.column // patch[1] == seen.column // patch[1],
        )
        return same_rows and same_columns and other < site
    if other[0] % own.stride or other[1] % own.stride:
        return False  # of a later scale
    row, column = other[0] // own.stride, other[1] // own.stride
    group = 1 + column % 2 + 2 * (row % 2)
    return group < own.group and max(abs(row // 2 - own.row), abs(column // 2 - own.column)) <= reach


def connectivity(shape: tuple[int, int, int], num_scales: int, reach: int, patch: Size) -> Array:
    """Which value of an image depends on which, `[N, N]`."""
    sites = list(np.ndindex(shape))
    return np.array([[depends(site, other, num_scales, reach, patch) for other in sites] for site in sites])


# Parameters ----------------------------------------------------------------------------------------------------------


def convolved(image: Array, kernel: Array, bias: Array) -> Array:
    """A convolution without a mask; what lies outside the image is zero."""
    height, width, _ = image.shape
    out = np.zeros((height, width, kernel.shape[-1])) + bias
    for r, c, i, j in np.ndindex(height, width, *kernel.shape[:2]):
        row, column = r + i - kernel.shape[0] // 2, c + j - kernel.shape[1] // 2
        if 0 <= row < height and 0 <= column < width:
            out[r, c] += image[row, column] @ kernel[i, j]
    return out


def features(weights: Mapping[str, Array], name: str, known: Array, condition: Array | None) -> Array:
    """Residual blocks over the known groups, `[K, K, channels]`."""
    of = lambda layer, x: convolved(x, weights[f"{name}/{layer}/kernel"], weights[f"{name}/{layer}/bias"])  # noqa: E731
    found = of("first", known)
    if condition is not None:
        found = found + condition @ weights[f"{name}/condition/kernel"]
    block = 1
    while f"{name}/block_{block}_1/kernel" in weights:
        found = found + of(f"block_{block}_2", relu(of(f"block_{block}_1", relu(found))))
        block += 1
    return of("outputs", relu(found))


def layers_of(weights: Mapping[str, Array], name: str) -> dict[str, Layer]:
    """The layers of a PixelCNN."""
    names = {path.split("/")[1] for path in weights if path.startswith(f"{name}/")}
    return {n: Layer(weights[f"{name}/{n}/kernel"], weights[f"{name}/{n}/bias"]) for n in names}


def parameters(
    weights: Mapping[str, Array],
    image: Array,
    num_scales: int,
    patch: Size,
    condition: Array | None,
    num_colours: int,
    shared: bool,
) -> Iterator[tuple[tuple[int, int], Array]]:
    """Yields each pixel (row, column) of an image `[H, W, inputs]` with its parameters."""
    stride = 2**num_scales
    added = 0.0 if condition is None else condition @ weights["condition/kernel"]
    base = of_pixel_cnn(layers_of(weights, "base"), image[::stride, ::stride], num_colours, added)
    for r, c in np.ndindex(base.shape[:2]):
        yield (r * stride, c * stride), base[r, c]
    for scale in range(num_scales):
        stride //= 2
        picture = image[::stride, ::stride]
        groups = [picture[::2, ::2], picture[::2, 1::2], picture[1::2, ::2], picture[1::2, 1::2]]
        for group in (2, 3, 4):
            number = group - 2 + (0 if shared else 3 * scale)
            found = features(weights, f"group_{number}", np.concatenate(groups[: group - 1], axis=-1), condition)
            if f"patch_{number}/first/kernel" in weights:
                found = of_patches(layers_of(weights, f"patch_{number}"), groups[group - 1], found, patch, num_colours)
            for r, c in np.ndindex(found.shape[:2]):
                row, column = 2 * r + (group in (3, 4)), 2 * c + (group in (2, 4))
                yield (row * stride, column * stride), found[r, c]


def of_patches(layers: Mapping[str, Layer], group: Array, found: Array, patch: Size, num_colours: int) -> Array:
    """The parameters of a group: a small PixelCNN in every patch, to whose first features those of the group are added."""
    rows = []
    for r in range(0, len(group), patch[0]):
        row = []
        for c in range(0, group.shape[1], patch[1]):
            own = np.s_[r : r + patch[0], c : c + patch[1]]
            row.append(of_pixel_cnn(layers, group[own], num_colours, found[own]))
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows, axis=0)
