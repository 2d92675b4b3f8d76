"""Laws, which implement the mathematics of a distribution on flat batches in plain operations."""

from tfar.laws.annealing import LinearAnnealing, LogisticAnnealing
from tfar.laws.autoregressive import AutoregressiveLaw
from tfar.laws.bags import BagLaw
from tfar.laws.gradient_estimators import VIMCO
from tfar.laws.latent_variable import LatentVariableLaw
from tfar.laws.ratings import RatingsLaw
from tfar.laws.reconstruction import ReconstructionLaw
from tfar.laws.text import TextLaw

__all__ = [
    "VIMCO",
    "AutoregressiveLaw",
    "BagLaw",
    "LatentVariableLaw",
    "LinearAnnealing",
    "LogisticAnnealing",
    "RatingsLaw",
    "ReconstructionLaw",
    "TextLaw",
]
