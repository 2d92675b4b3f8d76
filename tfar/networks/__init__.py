"""Networks: from sites to parameters, each from earlier sites alone."""

from tfar.networks.base import AutoregressiveNetwork
from tfar.networks.made import MADENetwork
from tfar.networks.whole_pass import WholePassNetwork

__all__ = ["AutoregressiveNetwork", "MADENetwork", "WholePassNetwork"]
