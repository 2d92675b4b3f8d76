"""Keras dtype policies: which ones distributions support, and a block with another policy."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

SUPPORTED = ("float32", "mixed_float16", "mixed_bfloat16")


def check_dtype_policy() -> None:
    """Checks the global dtype policy of Keras.

    Weights, log-probabilities and samples are float32 in every distribution. Under the mixed policies the hidden layers compute
    in half precision. Those of float16 overflow where real values exceed 65504, whose log-probabilities are then NaN; those of
    bfloat16 have the range of float32.

    Raises:
        ValueError: If the policy keeps variables in a type other than float32, or computes in a type other than those
            of the policies above.
    """
    policy = keras.config.dtype_policy()
    if policy.name not in SUPPORTED:
        raise ValueError(
            f"Expected one of the global dtype policies {', '.join(SUPPORTED)}, as the weights of a distribution are float32; "
            f"received {policy.name}. Set another with `keras.config.set_dtype_policy`."
        )


@contextlib.contextmanager
def under(policy: Any) -> Iterator[None]:
    """Sets the global dtype policy of Keras for a block."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
