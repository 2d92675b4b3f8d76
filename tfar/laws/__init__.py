"""Laws, which implement the mathematics of a distribution on flat batches in plain operations."""

from tfar.laws.annealing import LinearAnnealing, LogisticAnnealing
from tfar.laws.autoregressive import AutoregressiveLaw
from tfar.laws.gradient_estimators import VIMCO
from tfar.laws.latent_variable import LatentVariableLaw

__all__ = ["VIMCO", "AutoregressiveLaw", "LatentVariableLaw", "LinearAnnealing", "LogisticAnnealing"]
