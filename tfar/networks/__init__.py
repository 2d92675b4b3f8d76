"""Networks: from sites to parameters, each from earlier sites alone."""

from tfar.networks.base import AutoregressiveNetwork
from tfar.networks.made import MADENetwork
from tfar.networks.nade import NADENetwork
from tfar.networks.pixel_cnn_plus_plus import PixelCNNPlusPlusNetwork
from tfar.networks.whole_pass import WholePassNetwork

__all__ = ["AutoregressiveNetwork", "MADENetwork", "NADENetwork", "PixelCNNPlusPlusNetwork", "WholePassNetwork"]
