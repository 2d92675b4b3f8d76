"""The influences that the pixel models declare equal the receptive fields of the papers.

The conformance suite compares what they declare with what they do.
"""

from typing import Any

import numpy as np
import pytest

import tfar
from tests.reference import receptive_fields

LARGER = {
    "PixelCNN": lambda: tfar.PixelCNN([5, 6, 2], 4, num_blocks=2, first_kernel_size=(4, 3), kernel_size=(2, 3)),
    "GatedPixelCNN": lambda: tfar.GatedPixelCNN([5, 7], 2, num_blocks=2, first_kernel_size=(5, 2), kernel_size=(3, 3)),
    "PixelCNNPlusPlus": lambda: tfar.PixelCNNPlusPlus([9, 7, 2], 2, num_blocks=1, num_levels=3, kernel_size=(3, 3)),
    "PixelCNNPlusPlus-wide": lambda: tfar.PixelCNNPlusPlus(
        [6, 5, 1], 2, num_blocks=2, num_levels=2, kernel_size=(4, 5)
    ),
}


def of_paper(dist: Any) -> np.ndarray:
    """The receptive fields `[N, N]` that the configuration of a model should have."""
    config, network = dist.get_config(), dist.network
    height, width = network.event_shape[:2]
    if isinstance(dist, tfar.PixelCNNPlusPlus):
        sizes = network.kernel_size, config["num_blocks"], config["num_levels"]
        return receptive_fields.pixel_cnn_plus_plus(receptive_fields.image(height, width), *sizes)
    x = receptive_fields.image(height, width, network.num_sites // (height * width))
    sizes = network.first_kernel_size, network.kernel_size, network.num_blocks
    is_gated = isinstance(dist, tfar.GatedPixelCNN)
    return (receptive_fields.gated_pixel_cnn if is_gated else receptive_fields.pixel_cnn)(x, *sizes)


@pytest.mark.parametrize("name", LARGER)
def test_declared_influences_of_larger_images_are_those_of_the_paper(name: str) -> None:
    dist = LARGER[name]()
    expected = of_paper(dist)
    np.testing.assert_array_equal(dist.network.influences(), expected)
    np.testing.assert_array_equal(dist.network.influences([17, 3]), expected[[17, 3]])
