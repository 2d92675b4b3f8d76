"""Heads: from a site's parameter vector to its conditional distribution."""

from tfar.heads.base import Head
from tfar.heads.bernoulli import Bernoulli
from tfar.heads.categorical import Categorical
from tfar.heads.discretized_logistics import DiscretizedLogisticMixture
from tfar.heads.mixtures import LaplaceMixture, NormalMixture
from tfar.heads.standardized import StandardizedMixture

__all__ = [
    "Bernoulli",
    "Categorical",
    "DiscretizedLogisticMixture",
    "Head",
    "LaplaceMixture",
    "NormalMixture",
    "StandardizedMixture",
]
