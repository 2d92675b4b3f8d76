"""Networks: from sites to parameters, each from earlier sites alone."""

from tfar.networks.base import AutoregressiveNetwork
from tfar.networks.gated_pixel_cnn import GatedPixelCNNNetwork
from tfar.networks.made import MADENetwork
from tfar.networks.nade import NADENetwork
from tfar.networks.pixel_cnn import PixelCNNNetwork
from tfar.networks.whole_pass import WholePassNetwork

__all__ = [
    "AutoregressiveNetwork",
    "GatedPixelCNNNetwork",
    "MADENetwork",
    "NADENetwork",
    "PixelCNNNetwork",
    "WholePassNetwork",
]
