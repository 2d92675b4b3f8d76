"""Degrees and masks of masked autoencoders, and masks of convolutions over images (NumPy, pure).

A site decided at step `t` (from 0) has degree `t + 1`. A hidden unit of degree `m` may see the sites of degree <= m, and a
site may see the hidden units of degree < its own (Germain et al. 2015, equations 8 and 9; section 4.1 for deep networks).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Degrees = NDArray[np.int32]
RASTER_MASKS = ("A", "B")


def even_degrees(num_units: int, lowest: int, highest: int) -> Degrees:
    """Spreads the degrees of a layer evenly and sorted over `lowest .. highest`, both ends included.

    Few units then share a degree, which is what makes stepwise sampling fast. A single unit gets the highest.

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


def connectivity(
    site_degrees: Degrees, hidden_degrees: Sequence[Degrees], *, direct_connections: bool = False
) -> NDArray[np.bool_]:
    """Returns which site can influence which: entry `[i, j]` is True if the parameters of site j depend on site i.

    It is the product of the masks of all layers, and of the direct input-output connections.

    Args:
        site_degrees: int array `[sites]`, one more than the step at which each site is decided.
        hidden_degrees: degrees of each hidden layer, from input to output.
        direct_connections: bool. Whether inputs also reach outputs directly.
    """
    paths = np.eye(len(site_degrees), dtype=bool)
    previous = site_degrees
    for degrees in hidden_degrees:
        paths = (paths @ degree_mask(previous, degrees).astype(np.float32)) > 0
        previous = degrees
    paths = (paths @ degree_mask(previous, site_degrees, strict=True).astype(np.float32)) > 0
    if direct_connections:
        paths |= degree_mask(site_degrees, site_degrees, strict=True)
    return paths


def units_by_degree(degrees: Degrees, num_sites: int) -> NDArray[np.int32]:
    """Lists the units of each degree, so that a step finds those that it makes final.

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
    """Returns which groups of channels a tap of a 2D kernel joins, `[height, width, groups in, groups out]`.

    The taps above the centre `size // 2` and those to its left join all groups; the centre joins a group with those after it,
    and under mask "B" with itself (van den Oord et al. 2016, section 3.4).

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
