"""Distributions, which combine a network and a head as a `tfp.distributions.Distribution`."""

from tfar.distributions.autoregressive import Autoregressive
from tfar.distributions.conv_nade import ConvNADE
from tfar.distributions.factorized import Factorized
from tfar.distributions.gated_pixel_cnn import GatedPixelCNN
from tfar.distributions.latent_variable import LatentVariable
from tfar.distributions.made import MADE
from tfar.distributions.nade import NADE
from tfar.distributions.orderless_nade import OrderlessNADE
from tfar.distributions.pixel_cnn import PixelCNN
from tfar.distributions.pixel_cnn_plus_plus import PixelCNNPlusPlus
from tfar.distributions.pixel_rnn import DiagonalBiLSTM, RowLSTM
from tfar.distributions.rnade import RNADE
from tfar.distributions.video_pixel_network import VideoPixelNetwork
from tfar.distributions.wavenet import WaveNet

__all__ = [
    "MADE",
    "NADE",
    "RNADE",
    "Autoregressive",
    "ConvNADE",
    "DiagonalBiLSTM",
    "Factorized",
    "GatedPixelCNN",
    "LatentVariable",
    "OrderlessNADE",
    "PixelCNN",
    "PixelCNNPlusPlus",
    "RowLSTM",
    "VideoPixelNetwork",
    "WaveNet",
]
