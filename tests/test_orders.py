"""Orders against the definition of a permutation and of its inverse."""

import numpy as np
import pytest

from tfar import orders


@pytest.mark.parametrize("num_sites", [1, 2, 7, 784])
def test_named_orders(num_sites):
    np.testing.assert_array_equal(orders.resolve("natural", num_sites), range(num_sites))
    np.testing.assert_array_equal(orders.resolve("reverse", num_sites), range(num_sites)[::-1])
    drawn = orders.resolve("random", num_sites, seed=3)
    assert sorted(drawn) == list(range(num_sites))
    assert {a.dtype for a in (orders.natural(3), orders.reverse(3), drawn)} == {np.dtype(np.int32)}


def test_random_is_a_function_of_the_seed():
    np.testing.assert_array_equal(orders.random(20, 5), orders.random(20, 5))
    assert any(orders.random(20, 5) != orders.random(20, 6))


def test_random_is_uniform_over_permutations():
    """Chi-square over the 6 permutations of 3 sites; under uniformity it fails once in 10,000 choices of the seeds."""
    counts: dict[tuple[int, ...], int] = {}
    for seed in range(1200):
        key = tuple(orders.random(3, seed).tolist())
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 6
    assert sum((n - 200) ** 2 / 200 for n in counts.values()) < 25.7


@pytest.mark.parametrize("order", [[2, 0, 1], (2, 0, 1), np.array([2, 0, 1], np.uint8)])
def test_permutations_are_kept(order):
    resolved = orders.resolve(order, 3)
    assert resolved.dtype == np.int32 and resolved.tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    "order", [[0, 1], [0, 1, 1], [1, 2, 3], [[0, 1, 2]], [0.0, 1.0, 2.0], "zigzag", None, [-1, 0, 1]]
)
def test_what_is_no_order_is_refused(order):
    with pytest.raises(ValueError, match="Expected `order`"):
        orders.resolve(order, 3)


def test_positions_invert():
    batch = np.stack([orders.random(9, seed) for seed in range(4)])
    positions = orders.positions(batch)
    for order, position in zip(batch, positions, strict=True):
        assert [int(position[site]) for site in order] == list(range(9))
    assert positions.dtype == np.int32
