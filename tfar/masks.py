"""Degrees and masks of masked autoencoders, and masks of convolutions over images, as pure NumPy functions.

The site that step `t` decides (from 0) has degree `t + 1`. A hidden unit of degree `m` is connected to sites of degree <= m,
and the output of a site of degree d is connected to hidden units of degree < d (Germain et al. 2015, equations 8 and 9;
section 4.1 for deep networks).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Degrees = NDArray[np.int32]
RASTER_MASKS = ("A", "B")


def even_degrees(num_units: int, lowest: int, highest: int) -> Degrees:
    """Returns sorted degrees, spread evenly over `lowest .. highest`, both ends included.

    Each degree then has few units, which makes stepwise sampling fast. A single unit gets the highest degree.

    Example:
        >>> even_degrees(5, 1, 3)
        array([1, 1, 2, 2, 3], dtype=int32)
    """
    if num_units == 1:
        return np.array([highest], np.int32)
    steps = np.arange(num_units, dtype=np.int64)
    if num_units > highest - lowest:
        return (lowest + steps * (highest - lowest + 1) // num_units).astype(np.int32)
    return (lowest + steps * (highest - lowest) // (num_units - 1)).astype(np.int32)


def degree_mask(in_degrees: Degrees, out_degrees: Degrees, *, strict: bool = False) -> NDArray[np.bool_]:
    """Returns the mask `M[i, j] = in_degrees[i] <= out_degrees[j]`, or `<` if `strict`.

    Example:
        >>> degree_mask(np.array([1, 2]), np.array([1, 2])).astype(int)
        array([[1, 1],
               [0, 1]])
    """
    left, right = np.asarray(in_degrees)[:, None], np.asarray(out_degrees)[None, :]
    return left < right if strict else left <= right


def influences(
    site_degrees: Degrees,
    hidden_degrees: Sequence[Degrees],
    sites: ArrayLike | None = None,
    *,
    direct_connections: bool = False,
) -> NDArray[np.bool_]:
    """Returns which sites the parameters of a site depend on, as the product of the masks of all layers.

    Args:
        site_degrees: int array `[N]`. One more than the step that decides each site.
        hidden_degrees: degrees of each hidden layer, from input to output.
        sites: ints. The sites for whose parameters to return the dependences. Default: all.
        direct_connections: bool. Whether inputs are also connected to outputs directly.

    Returns:
        bool array `[len(sites), N]`. Entry `[i, j]` is True if the parameters of `sites[i]` depend on site j.

    Example:
        >>> influences(np.array([1, 2, 3]), [np.array([1])]).astype(int)
        array([[0, 0, 0],
               [1, 0, 0],
               [1, 0, 0]])
    """
    asked = site_degrees if sites is None else site_degrees[np.asarray(sites, int)]
    layers = [site_degrees, *hidden_degrees]
    paths = degree_mask(layers[-1], asked, strict=True).T
    for below, above in zip(layers[-2::-1], layers[:0:-1], strict=True):
        paths = (paths.astype(np.float32) @ degree_mask(below, above).T.astype(np.float32)) > 0
    return paths | degree_mask(site_degrees, asked, strict=True).T if direct_connections else paths


def units_by_degree(degrees: Degrees, num_sites: int) -> NDArray[np.int32]:
    """Returns the units of each degree. The units of degree m become final at step m.

    Args:
        degrees: int array `[units]`, degrees within `0 .. num_sites - 1`.
        num_sites: int.

    Returns:
        int32 array `[num_sites, group]` where `group` is the size of the largest group. A smaller group repeats its first
        unit; a degree without units is a row of -1.

    Example:
        >>> units_by_degree(np.array([1, 1, 3]), 4).tolist()
        [[-1, -1], [0, 1], [-1, -1], [2, 2]]
    """
    counts = np.bincount(degrees, minlength=num_sites)
    table = np.full((num_sites, max(1, counts.max())), -1, np.int32)
    for degree in np.flatnonzero(counts):
        units = np.flatnonzero(degrees == degree)
        table[degree] = units[0]
        table[degree, : len(units)] = units
    return table


def raster_mask(kernel_size: Sequence[int], mask_type: str, num_groups: int = 1) -> NDArray[np.bool_]:
    """Returns which groups of channels each tap of a 2D kernel connects, `[height, width, groups in, groups out]`.

    The taps above the centre `size // 2` and to the left of it connect all groups. The centre connects each group to later
    groups, and with mask "B" also to itself (van den Oord et al. 2016, section 3.4).

    Example:
        >>> raster_mask((3, 3), "A")[..., 0, 0].astype(int)
        array([[1, 1, 1],
               [1, 0, 0],
               [0, 0, 0]])
    """
    height, width = kernel_size
    mask = np.zeros((height, width, num_groups, num_groups), bool)
    mask[: height // 2] = True
    mask[height // 2, : width // 2] = True
    mask[height // 2, width // 2] = np.triu(np.ones((num_groups, num_groups), bool), 0 if mask_type == "B" else 1)
    return mask
