"""The kinds of networks and heads on which files, exports and modes of execution are tested, and not on every model.

What can go wrong there depends on the operations, the state and the variables that a model is made of, not on its equations.
By default:

- the stub: an ensemble, named conditions, sites of several channels, a head of a joint distribution;
- RNADE: a recursion with a gradient of its own, a vector as condition, real values, a head that owns weights;
- PixelCNN: convolutions, whose steps come in stages.

In turns before a change lands: MADE (products with masked kernels), OrderlessNADE (passes in chunks along an order of each
row), PixelCNN++ (stages at two resolutions, normalised weights, layers in lists), Diagonal BiLSTM (loops in passes and in
stages), spatial LSTM (a head whose weights are trained), multiscale PixelCNN (phases of steps, sites decided together), the
Video Pixel Network (nested stages, a network within a network, dilations), a recurrent language model (a loop over time with a
gradient of its own, a head with the weights of the network), a sequence autoencoder (a condition of whole numbers), and a Keras
network without steps. The other models are made of the same parts: NADE as RNADE, ConvNADE as OrderlessNADE, Gated PixelCNN as
PixelCNN, Row LSTM as Diagonal BiLSTM.
"""

from collections.abc import Iterable
from typing import Any

import pytest

from tests.conformance.stub import STUB
from tests.registry import BY_NAME, Case
from tests.shards import is_of_today

DEFAULT = (STUB, BY_NAME["RNADE-normals"], BY_NAME["PixelCNN-binary"])
IN_CI = tuple(
    BY_NAME[name]
    for name in (
        "MADE-bernoulli",
        "OrderlessNADE-bernoulli",
        "PixelCNNPlusPlus-one-level",
        "DiagonalBiLSTM-binary-conditional",
        "SpatialLSTM-real",
        "MultiscalePixelCNN-patches-conditional",
        "VideoPixelNetwork-binary-conditional",
        "RecurrentLanguageModel-tied",
        "SequenceAutoencoder-untied-encoder",
        "Autoregressive-keras-network",
    )
)
ALL = DEFAULT + IN_CI


def over(default: Iterable[Case] = DEFAULT, in_ci: Iterable[Case] = IN_CI) -> Any:
    """The mark that runs a test on the cases of kinds: on some by default, and in turns on the others before a change lands."""
    fast = [pytest.param(case, id=case.name) for case in default]
    slow = [
        pytest.param(case, id=case.name, marks=pytest.mark.slow(ci=is_of_today(number)))
        for number, case in enumerate(in_ci)
    ]
    return pytest.mark.parametrize("case", fast + slow)
