"""What each model should compute, from its weights alone: log-probabilities, dependences and expected training losses.

The loops of the papers are in the other modules of `tests.reference`. Here the weights of a distribution are put into their form.
No number comes from a pass of the package, and no dependence from what a network declares.
"""

from tests.reference.oracles.audio import WAVENET
from tests.reference.oracles.images import (
    DIAGONAL_BILSTM,
    GATED_PIXEL_CNN,
    MULTISCALE_PIXEL_CNN,
    PIXEL_CNN,
    PIXEL_CNN_PLUS_PLUS,
    ROW_LSTM,
    SPATIAL_LSTM,
)
from tests.reference.oracles.latent import DARN_PART
from tests.reference.oracles.orderless import CF_NADE, CONV_NADE, ORDERLESS_NADE
from tests.reference.oracles.others import FACTORIZED, OWN_NETWORK
from tests.reference.oracles.parts import Oracle
from tests.reference.oracles.perceptrons import MADE, NADE, RNADE
from tests.reference.oracles.text import (
    DOC_NADE,
    DOC_NADE_LANGUAGE_MODEL,
    HIERARCHICAL_AUTOENCODER,
    RECURRENT_LANGUAGE_MODEL,
    SEQUENCE_AUTOENCODER,
)
from tests.reference.oracles.videos import VIDEO_PIXEL_NETWORK

__all__ = [
    "CF_NADE",
    "CONV_NADE",
    "DARN_PART",
    "DIAGONAL_BILSTM",
    "DOC_NADE",
    "DOC_NADE_LANGUAGE_MODEL",
    "FACTORIZED",
    "GATED_PIXEL_CNN",
    "HIERARCHICAL_AUTOENCODER",
    "MADE",
    "MULTISCALE_PIXEL_CNN",
    "NADE",
    "ORDERLESS_NADE",
    "OWN_NETWORK",
    "PIXEL_CNN",
    "PIXEL_CNN_PLUS_PLUS",
    "RECURRENT_LANGUAGE_MODEL",
    "RNADE",
    "ROW_LSTM",
    "SEQUENCE_AUTOENCODER",
    "SPATIAL_LSTM",
    "VIDEO_PIXEL_NETWORK",
    "WAVENET",
    "Oracle",
]
