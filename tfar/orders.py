"""Orders of the sites, as pure NumPy functions.

An order is an int32 vector: `order[t]` is the raster index of the site that step `t` decides. Its inverse, the
positions, gives the step that decides each site.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfar.random import Stream, numpy_generator

Order = str | Sequence[int] | NDArray[np.integer]
NAMES = ("natural", "reverse", "random")


def natural(num_sites: int) -> NDArray[np.int32]:
    """Returns the raster order `0, 1, ..., num_sites - 1`."""
    return np.arange(num_sites, dtype=np.int32)


def reverse(num_sites: int) -> NDArray[np.int32]:
    """Returns the raster order backwards."""
    return natural(num_sites)[::-1].copy()


def random(num_sites: int, seed: int) -> NDArray[np.int32]:
    """Returns a random permutation, which depends only on `seed` and `num_sites`."""
    return several(1, num_sites, seed)[0]


def several(num_orders: int, num_sites: int, seed: int) -> NDArray[np.int32]:
    """Returns random orders `[num_orders, num_sites]`; a larger `num_orders` only appends further orders.

    Example:
        >>> several(2, 3, seed=0).shape
        (2, 3)
    """
    generator = numpy_generator(seed, Stream.FIXED_ORDERS, num_sites)
    return np.stack([generator.permutation(num_sites) for _ in range(num_orders)]).astype(np.int32)


def members(orders: ArrayLike, num_sites: int, seed: int) -> NDArray[np.int32]:
    """Returns the orders of the members of an ensemble, `[K, num_sites]`.

    Args:
        orders: int K to draw K random orders, or ints `[K, num_sites]` with the orders.
        num_sites: int. Number of sites.
        seed: int. Seed of the random orders.

    Raises:
        ValueError: If `orders` is neither.
    """
    if np.ndim(orders) == 0:
        if isinstance(orders, bool) or not isinstance(orders, int | np.integer) or orders < 1:
            raise ValueError(f"Expected orders as an int of at least 1 or ints [K, {num_sites}]; received {orders!r}.")
        return several(int(orders), num_sites, seed)
    return check_several(orders, num_sites)


def resolve(order: Order, num_sites: int, seed: int = 0) -> NDArray[np.int32]:
    """Turns an order's name or a permutation into the permutation.

    Args:
        order: "natural", "reverse", "random", or a permutation of `0 .. num_sites - 1`.
        num_sites: int. Number of sites.
        seed: int. Seed of "random".

    Returns:
        int32 array `[num_sites]`.

    Raises:
        ValueError: If the name is unknown or the sequence is not a permutation.

    Example:
        >>> resolve("reverse", 3)
        array([2, 1, 0], dtype=int32)
    """
    if not isinstance(order, str):
        return check(order, num_sites)
    if order not in NAMES:
        raise ValueError(f"Expected `order` to be one of {NAMES} or a permutation; received {order!r}.")
    if order == "random":
        return random(num_sites, seed)
    return natural(num_sites) if order == "natural" else reverse(num_sites)


def check(order: ArrayLike, num_sites: int) -> NDArray[np.int32]:
    """Returns `order` as int32 if it is a permutation of `0 .. num_sites - 1`, else raises ValueError."""
    array = np.asarray(order)
    if array.shape != (num_sites,) or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f"Expected `order` to be {num_sites} integers, one for each site; "
            f"received shape {array.shape} of {array.dtype}."
        )
    if not np.array_equal(np.sort(array), np.arange(num_sites)):
        raise ValueError(
            f"Expected `order` to hold each of 0 .. {num_sites - 1} once; received {np.array2string(array, threshold=8)}."
        )
    return array.astype(np.int32)


def check_several(orders: ArrayLike, num_sites: int) -> NDArray[np.int32]:
    """Returns `orders` as int32 `[K, num_sites]` if each is a permutation, else raises ValueError."""
    array = np.asarray(orders)
    if array.ndim != 2 or not len(array):
        raise ValueError(f"Expected `orders` of shape [K, {num_sites}], K at least 1; received shape {array.shape}.")
    return np.stack([check(order, num_sites) for order in array])


def positions(order: NDArray[np.int32]) -> NDArray[np.int32]:
    """Returns the inverse permutation: the step at which each site is decided, `[..., num_sites]`.

    Example:
        >>> positions(np.array([2, 0, 1]))
        array([1, 2, 0], dtype=int32)
    """
    return np.argsort(order, axis=-1).astype(np.int32)
