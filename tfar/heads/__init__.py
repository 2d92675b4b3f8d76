"""Heads, which turn the parameter vector of a site into its conditional distribution."""

from tfar.heads.absorbing import Absorbing
from tfar.heads.atoms import Atoms
from tfar.heads.base import Head, check_head
from tfar.heads.bernoulli import Bernoulli
from tfar.heads.categorical import Categorical
from tfar.heads.conditional import Conditional
from tfar.heads.count import Count
from tfar.heads.dense_softmax import DenseSoftmax
from tfar.heads.discretized_logistics import DiscretizedLogisticMixture
from tfar.heads.gaussian_scale_mixture import GaussianScaleMixture
from tfar.heads.mixtures import LaplaceMixture, NormalMixture
from tfar.heads.normal import Normal
from tfar.heads.ordinal import Ordinal
from tfar.heads.per_site import PerSite
from tfar.heads.standardized import Standardized
from tfar.heads.support import Support
from tfar.heads.tree_softmax import TreeSoftmax

__all__ = [
    "Absorbing",
    "Atoms",
    "Bernoulli",
    "Categorical",
    "Conditional",
    "Count",
    "DenseSoftmax",
    "DiscretizedLogisticMixture",
    "GaussianScaleMixture",
    "Head",
    "LaplaceMixture",
    "Normal",
    "NormalMixture",
    "Ordinal",
    "PerSite",
    "Standardized",
    "Support",
    "TreeSoftmax",
    "check_head",
]
