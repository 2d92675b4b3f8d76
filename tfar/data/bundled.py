"""The set that needs neither a network nor a folder: scikit-learn's handwritten digits, as bits."""

import numpy as np

from tfar.data.checks import check_seed, require
from tfar.data.hashing import row_fractions
from tfar.data.sources import ArraySource
from tfar.data.splits import DataSplits

NUM_VALID = 250
NUM_TEST = 250


def load_digits(*, batch_size: int = 100, seed: int = 0) -> DataSplits:
    """Loads the 1797 images of 8x8 that scikit-learn ships, binarised at half the scale.

        x = 1 if pixel >= 8 else 0        (pixels are 0 … 16)

    The rows are put in the order of `hashing.row_fractions(seed, 0, 1797)`: the first 1297 are train, then 250 valid
    and 250 test. The default seed is the split to report.

    Args:
        batch_size: int.
        seed: int. Which split.

    Returns:
        A `DataSplits` of `(8, 8)` bits.

    Raises:
        ImportError: scikit-learn is not installed.

    Example:
        >>> load_digits().num_test
        250
    """
    order = np.argsort(row_fractions(check_seed(seed), 0, 1797), kind="stable")
    pixels = require("sklearn.datasets").load_digits().images
    bits = (pixels >= 8).astype(np.uint8)[order]
    train, valid, test = np.split(bits, [len(bits) - NUM_VALID - NUM_TEST, len(bits) - NUM_TEST])
    return DataSplits.from_sources(
        "digits",
        {"train": ArraySource(train), "valid": ArraySource(valid), "test": ArraySource(test)},
        batch_size=batch_size,
        head="Bernoulli",
        head_config={},
        description="scikit-learn's 8x8 handwritten digits; a bit is 1 where the pixel (0 … 16) is at least 8",
    )
