"""Networks, which compute the parameters of each site from earlier sites only."""

from tfar.networks.base import AutoregressiveNetwork
from tfar.networks.cf_nade import CFNADENetwork, ImplicitCFNADENetwork
from tfar.networks.conv_nade import ConvNADENetwork
from tfar.networks.darn import DARNNetwork
from tfar.networks.doc_nade import DocNADENetwork
from tfar.networks.factorized import FactorizedNetwork
from tfar.networks.gated_pixel_cnn import GatedPixelCNNNetwork
from tfar.networks.hierarchical_autoencoder import HierarchicalAutoencoderNetwork
from tfar.networks.made import MADENetwork
from tfar.networks.multiscale_pixel_cnn import MultiscalePixelCNNNetwork
from tfar.networks.nade import NADENetwork
from tfar.networks.orderless import OrderlessNetwork
from tfar.networks.orderless_nade import OrderlessNADENetwork
from tfar.networks.phases import Phase, PhasedNetwork
from tfar.networks.pixel_cnn import PixelCNNNetwork
from tfar.networks.pixel_cnn_plus_plus import PixelCNNPlusPlusNetwork
from tfar.networks.recurrent import DiagonalBiLSTMNetwork, RowLSTMNetwork
from tfar.networks.recurrent_text import RecurrentTextNetwork
from tfar.networks.sequence_autoencoder import SequenceAutoencoderNetwork
from tfar.networks.spatial_lstm import SpatialFeaturesNetwork, SpatialLSTMNetwork
from tfar.networks.video import VideoNetwork
from tfar.networks.wavenet import WaveNetNetwork
from tfar.networks.whole_pass import WholePassNetwork

__all__ = [
    "AutoregressiveNetwork",
    "CFNADENetwork",
    "ConvNADENetwork",
    "DARNNetwork",
    "DiagonalBiLSTMNetwork",
    "DocNADENetwork",
    "FactorizedNetwork",
    "GatedPixelCNNNetwork",
    "HierarchicalAutoencoderNetwork",
    "ImplicitCFNADENetwork",
    "MADENetwork",
    "MultiscalePixelCNNNetwork",
    "NADENetwork",
    "OrderlessNADENetwork",
    "OrderlessNetwork",
    "Phase",
    "PhasedNetwork",
    "PixelCNNNetwork",
    "PixelCNNPlusPlusNetwork",
    "RecurrentTextNetwork",
    "RowLSTMNetwork",
    "SequenceAutoencoderNetwork",
    "SpatialFeaturesNetwork",
    "SpatialLSTMNetwork",
    "VideoNetwork",
    "WaveNetNetwork",
    "WholePassNetwork",
]
