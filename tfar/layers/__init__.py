"""Keras layers that respect an order of their inputs, and a layer that standardises inputs."""

from tfar.layers.causal_conv1d import CausalConv1D, OneHotCausalConv1D
from tfar.layers.conv_lstm import ConvLSTM
from tfar.layers.diagonal_recurrence import DiagonalRecurrence
from tfar.layers.frame_conv2d import FrameConv2D
from tfar.layers.frame_upsampling import FrameUpsampling
from tfar.layers.gated_residual import GatedResidualBlock
from tfar.layers.masked_conv2d import MaskedConv2D
from tfar.layers.masked_dense import MaskedDense
from tfar.layers.row_recurrence import RowRecurrence
from tfar.layers.sentence_attention import SentenceAttention
from tfar.layers.shifted_conv2d import ShiftedConv2D
from tfar.layers.shifted_conv2d_transpose import ShiftedConv2DTranspose
from tfar.layers.skew import Skew, Unskew
from tfar.layers.spatial_recurrence import SpatialRecurrence
from tfar.layers.stacked_lstm import StackedLSTM
from tfar.layers.standardization import Standardization
from tfar.layers.text_encoder import TextEncoder
from tfar.layers.word_lstm import WordLSTM

__all__ = [
    "CausalConv1D",
    "ConvLSTM",
    "DiagonalRecurrence",
    "FrameConv2D",
    "FrameUpsampling",
    "GatedResidualBlock",
    "MaskedConv2D",
    "MaskedDense",
    "OneHotCausalConv1D",
    "RowRecurrence",
    "SentenceAttention",
    "ShiftedConv2D",
    "ShiftedConv2DTranspose",
    "Skew",
    "SpatialRecurrence",
    "StackedLSTM",
    "Standardization",
    "TextEncoder",
    "Unskew",
    "WordLSTM",
]
