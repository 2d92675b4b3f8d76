"""Degrees and masks against the definitions of the MADE paper, written as loops."""

import itertools

import numpy as np
import pytest

from tfar import masks, orders


def paths(site_degrees, hidden, direct):
    """Which input reaches which output, by following every connection of equations 8 and 9."""
    reach = [{i} for i in range(len(site_degrees))]
    previous = list(site_degrees)
    for degrees in hidden:
        reach = [set().union(*(r for r, m in zip(reach, previous, strict=True) if m <= d)) for d in degrees]
        previous = list(degrees)
    outputs = [set().union(*(r for r, m in zip(reach, previous, strict=True) if m < d)) for d in site_degrees]
    if direct:
        outputs = [
            o | {i for i, m in enumerate(site_degrees) if m < d} for o, d in zip(outputs, site_degrees, strict=True)
        ]
    return np.array([[i in o for o in outputs] for i in range(len(site_degrees))])


@pytest.mark.parametrize("num_units, lowest, highest", itertools.product([1, 2, 5, 40], [0, 1], [1, 2, 9]))
def test_even_degrees_spread(num_units, lowest, highest):
    degrees = masks.even_degrees(num_units, lowest, highest)
    assert degrees.shape == (num_units,) and degrees.dtype == np.int32
    assert (np.diff(degrees) >= 0).all() and degrees[-1] == highest
    assert degrees.min() >= lowest
    if num_units > 1:
        assert degrees[0] == lowest
    if num_units >= highest - lowest + 1:
        counts = np.bincount(degrees - lowest, minlength=highest - lowest + 1)
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("strict", [False, True])
def test_degree_mask(strict):
    left, right = np.array([3, 1, 2, 2]), np.array([2, 0, 3])
    expected = [[(a < b) if strict else (a <= b) for b in right] for a in left]
    np.testing.assert_array_equal(masks.degree_mask(left, right, strict=strict), expected)


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("order", ["natural", "reverse", "random"])
@pytest.mark.parametrize("units", [(), (1,), (3, 8), (20, 20, 20)])
def test_influences_are_the_product_of_the_masks(units, order, direct):
    site_degrees = orders.positions(orders.resolve(order, 6, seed=2)) + 1
    rng = np.random.default_rng(7)
    hidden = [rng.integers(1, 6, n) for n in units]
    actual = masks.influences(site_degrees, hidden, direct_connections=direct)
    if units:
        np.testing.assert_array_equal(actual, paths(site_degrees, hidden, direct).T)
    else:
        np.testing.assert_array_equal(actual, site_degrees[None, :] < site_degrees[:, None])
    some = np.array([4, 0, 5])
    np.testing.assert_array_equal(masks.influences(site_degrees, hidden, some, direct_connections=direct), actual[some])


def test_units_by_degree_lists_each_unit_once():
    degrees = np.array([4, 1, 1, 0, 4, 4, 2])
    table = masks.units_by_degree(degrees, 6)
    assert table.shape == (6, 3) and table.dtype == np.int32
    for degree, row in enumerate(table):
        assert sorted(set(row.tolist()) - {-1}) == np.flatnonzero(degrees == degree).tolist()
        assert (row == -1).all() or (row >= 0).all()
