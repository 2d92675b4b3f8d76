"""Initializers with seeds."""

from typing import Any

import keras

from tfar import random


def seeded_initializer(initializer: keras.initializers.Initializer, seed: int, salt: int) -> Any:
    """Returns a copy of an initializer whose seed, if it has one, is a function of `seed` and `salt`."""
    config = initializer.get_config()
    if "seed" in config:
        config["seed"] = int(random.numpy_generator(seed, random.Stream.INITIAL_WEIGHTS, salt).integers(2**31))
    return type(initializer).from_config(config)
