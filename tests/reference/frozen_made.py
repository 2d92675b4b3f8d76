"""A frozen MADE in whole numbers of Python, which have no rounding errors."""

from typing import Any

import numpy as np


def halves_to_even(numerator: int, bits: int) -> int:
    """`numerator / 2**bits`, rounded to the nearest whole number, halves to even."""
    floor, rest = numerator >> bits, numerator & ((1 << bits) - 1)
    half = 1 << (bits - 1)
    return floor + int(rest > half or (rest == half and floor % 2 == 1))


def whole(values: Any, scale: int) -> list:
    """Multiples of 1 / scale as whole numbers of Python."""
    scaled = np.asarray(values, np.float64) * scale
    assert np.array_equal(scaled, np.rint(scaled)), "a value is off the grid"
    return np.vectorize(int, otypes=[object])(scaled).tolist()


def masked(layer: Any, kernel: Any) -> np.ndarray:
    """A kernel with zeros where the degrees forbid a connection."""
    kernel = np.array(kernel, np.float64)
    for i, low in enumerate(layer.in_degrees):
        for j, high in enumerate(layer.out_degrees):
            if not (low < high if layer.strict else low <= high):
                kernel[i, j] = 0.0
    return kernel


def sums(inputs: list[int], kernel: list, bias: list[int]) -> tuple[list[int], list[int]]:
    """The sums of a layer, and the sums of the absolute values of their terms."""
    outputs, sizes = list(bias), [abs(b) for b in bias]
    for i, value in enumerate(inputs):
        for j in range(len(outputs)):
            outputs[j] += value * kernel[i][j]
            sizes[j] += abs(value * kernel[i][j])
    return outputs, sizes


def params(dist: Any, event: np.ndarray, condition: Any = None) -> tuple[list[int], dict[str, list[int]]]:
    """The parameters of all sites for one event in units of 2**(-2 bits), by the equations of MADE.

    Returns the parameters `num_sites * params_size` in raster order, and for each layer the sums of the absolute values of all
    terms of its units, which bound every partial sum.
    """
    network, bits = dist.network, dist.network.activation.bits
    one, order, found = 1 << bits, network.orders[0], {}
    classes = network.num_classes if network.one_hot else 0
    in_order = [int(v) for v in event.reshape(-1)[order]]
    inputs = [one * int(v == k) for v in in_order for k in range(classes)] if classes else [one * v for v in in_order]
    hidden = inputs
    for number, layer in enumerate(network.hidden_layers):
        bias = whole(layer.bias, one * one)
        others = [masked(layer, layer.connectivity_kernel)] if layer.use_connectivity_kernel else []
        for other in others:
            bias = [b + one * sum(column) for b, column in zip(bias, zip(*whole(other, one), strict=True), strict=True)]
        if condition is not None:
            rows = whole(network.condition_layers[number].kernel, one)
            bias = [
                b + one * sum(int(c) * row[j] for c, row in zip(condition, rows, strict=True))
                for j, b in enumerate(bias)
            ]
        outputs, found[layer.name] = sums(hidden, whole(masked(layer, layer.full_kernel), one), bias)
        hidden = [halves_to_even(max(v, 0), bits) for v in outputs]
        if network.activation.max_value is not None:
            hidden = [min(v, int(network.activation.max_value * one)) for v in hidden]
    layer = network.output_layer
    bias = whole(layer.bias, one * one)
    if layer.use_connectivity_kernel:
        extra = whole(masked(layer, layer.connectivity_kernel), one)
        bias = [b + one * sum(column) for b, column in zip(bias, zip(*extra, strict=True), strict=True)]
    outputs, found[layer.name] = sums(hidden, whole(masked(layer, layer.full_kernel), one), bias)
    if network.direct_layer is not None:
        direct = network.direct_layer
        added, more = sums(inputs, whole(masked(direct, direct.full_kernel), one), [0] * len(outputs))
        outputs = [a + b for a, b in zip(outputs, added, strict=True)]
        found[layer.name] = [a + b for a, b in zip(found[layer.name], more, strict=True)]
    by_site = np.array(outputs, object).reshape(len(order), -1)
    raster = [None] * len(order)
    for step, site in enumerate(order):
        raster[site] = by_site[step].tolist()
    return [value for site in raster for value in site], found
