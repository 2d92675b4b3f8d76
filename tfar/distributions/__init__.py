"""Distributions, which combine a network and a head as a `tfp.distributions.Distribution`."""

from tfar.distributions.any_order_transformer import AnyOrderTransformer
from tfar.distributions.autoregressive import Autoregressive
from tfar.distributions.cf_nade import CFNADE, ImplicitCFNADE
from tfar.distributions.conv_nade import ConvNADE
from tfar.distributions.darn import DARN
from tfar.distributions.doc_nade import DocNADE, DocNADELanguageModel
from tfar.distributions.factorized import Factorized
from tfar.distributions.gated_pixel_cnn import GatedPixelCNN
from tfar.distributions.hierarchical_autoencoder import HierarchicalAutoencoder
from tfar.distributions.latent_variable import LatentVariable
from tfar.distributions.made import MADE
from tfar.distributions.multiscale_pixel_cnn import MultiscalePixelCNN
from tfar.distributions.nade import NADE
from tfar.distributions.orderless_nade import OrderlessNADE
from tfar.distributions.pixel_cnn import PixelCNN
from tfar.distributions.pixel_cnn_plus_plus import PixelCNNPlusPlus
from tfar.distributions.pixel_rnn import DiagonalBiLSTM, RowLSTM
from tfar.distributions.pixel_vae import PixelVAE
from tfar.distributions.recurrent_language_model import RecurrentLanguageModel
from tfar.distributions.rnade import RNADE
from tfar.distributions.sentence_vae import SentenceVAE
from tfar.distributions.sequence_autoencoder import SequenceAutoencoder
from tfar.distributions.spatial_lstm import SpatialLSTM
from tfar.distributions.video_pixel_network import VideoPixelNetwork
from tfar.distributions.wavenet import WaveNet

__all__ = [
    "CFNADE",
    "DARN",
    "MADE",
    "NADE",
    "RNADE",
    "AnyOrderTransformer",
    "Autoregressive",
    "ConvNADE",
    "DiagonalBiLSTM",
    "DocNADE",
    "DocNADELanguageModel",
    "Factorized",
    "GatedPixelCNN",
    "HierarchicalAutoencoder",
    "ImplicitCFNADE",
    "LatentVariable",
    "MultiscalePixelCNN",
    "OrderlessNADE",
    "PixelCNN",
    "PixelCNNPlusPlus",
    "PixelVAE",
    "RecurrentLanguageModel",
    "RowLSTM",
    "SentenceVAE",
    "SequenceAutoencoder",
    "SpatialLSTM",
    "VideoPixelNetwork",
    "WaveNet",
]
