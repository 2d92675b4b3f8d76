"""The data set "digits": the handwritten digits of scikit-learn, binarised. It needs no download."""

import numpy as np

from tfar.data.checks import check_seed
from tfar.data.hashing import row_fractions
from tfar.data.sources import ArraySource
from tfar.data.splits import DataSplits
from tfar.optional import require

NUM_VALID = 250
NUM_TEST = 250


def load_digits(*, batch_size: int = 100, seed: int = 0) -> DataSplits:
    """Loads the 1797 images of 8x8 pixels that scikit-learn ships, binarised at half of the maximum.

        x = 1 if pixel >= 8 else 0        (pixels are 0 … 16)

    The rows are sorted by `hashing.row_fractions(seed, 0, 1797)`. The first 1297 rows are the train split, the next 250 the
    validation split and the last 250 the test split. Use the default seed for results to report.

    Example:
        >>> load_digits().num_test
        250
    """
    order = np.argsort(row_fractions(check_seed(seed), 0, 1797), kind="stable")
    pixels = require("sklearn.datasets", "data").load_digits().images
    bits = (pixels >= 8).astype(np.uint8)[order]
    train, valid, test = np.split(bits, [len(bits) - NUM_VALID - NUM_TEST, len(bits) - NUM_TEST])
    return DataSplits.from_sources(
        "digits",
        {"train": ArraySource(train), "valid": ArraySource(valid), "test": ArraySource(test)},
        batch_size=batch_size,
        head="Bernoulli",
        head_config={},
        description="scikit-learn's 8x8 handwritten digits; a value is 1 where the pixel (0 … 16) is at least 8",
    )
