"""The default ConvNADE is the paper's network."""

import tfar


def test_the_default_is_the_papers_network() -> None:
    """64@8x8, 64@4x4, 64@6x6, 64@7x7 and back to 1@8x8 over the image and its mask, beside 500 -> 500 -> 784."""
    network = tfar.ConvNADE().network
    shapes = [tuple(layer.kernel.shape) for layer in network.convolutions]
    assert shapes == [
        (8, 8, 2, 64),
        (4, 4, 64, 64),
        (6, 6, 64, 64),
        (7, 7, 64, 64),
        (7, 7, 64, 64),
        (6, 6, 64, 64),
        (4, 4, 64, 64),
        (8, 8, 1, 64),
    ]
    assert [tuple(layer.kernel.shape) for layer in network.dense_layers] == [(1568, 500), (500, 500), (500, 784)]
