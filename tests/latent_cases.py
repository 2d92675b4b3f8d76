"""Cases of latent-variable models and their parts, see `tests.cases`."""

from typing import Any

import keras

import tfar
from tests.cases import Case, randomize
from tests.reference import oracles


def latent_variable() -> Case:
    """Two bits of latent under a conditional NADE of three bits, with weights by which the latent matters."""

    def make() -> tfar.LatentVariable:
        encoder = tfar.Factorized([2], network=keras.layers.Dense(2), conditional_shape=[3])
        decoder = tfar.NADE([3], 4, conditional_shape=[2])
        return randomize(tfar.LatentVariable(tfar.Factorized([2]), encoder, decoder), scale=2.5)

    return Case("LatentVariable-bits", make, (3,), main=True)


def pixel_vae(name: str, event_shape: Any = (2, 2), seed: int = 2, scale: float = 1.0, **kwargs: Any) -> Case:
    """One normal latent, with weights by which it matters and an encoder that is broad enough for importance weights."""
    main, head = kwargs.pop("main", False), kwargs.pop("head", tfar.heads.Bernoulli)
    kwargs = {"filters": 4, "num_blocks": 1, "first_kernel_size": 3, "kernel_size": 3, "encoder_filters": [3], **kwargs}

    def make() -> tfar.PixelVAE:
        dist = randomize(tfar.PixelVAE(event_shape, 1, head=head(), **kwargs), seed, scale=0.25)
        randomize(dist.decoder, seed, scale)
        return dist

    return Case(f"PixelVAE-{name}", make, tuple(event_shape), head().support().num_values, main=main)


def sentence_vae(name: str, num_words: int = 3, seed: int = 2, scale: float = 1.0, **kwargs: Any) -> Case:
    """One normal latent, with weights by which it matters and an encoder that is broad enough for importance weights."""
    kwargs = {"vocabulary_size": 3, "max_length": num_words, "units": 3, "embedding_dim": 2, **kwargs}
    main = kwargs.pop("main", False)

    def make() -> tfar.SentenceVAE:
        dist = randomize(tfar.SentenceVAE(latent_dim=1, **kwargs), seed, scale=0.5)
        randomize(dist.decoder, seed, scale)
        return dist

    return Case(f"SentenceVAE-{name}", make, (num_words,), kwargs["vocabulary_size"], main=main, ends=True)


def darn(name: str, event_shape: Any = (3,), main: bool = False, **kwargs: Any) -> Case:
    def make() -> tfar.DARN:
        return randomize(tfar.DARN(event_shape, **{"latent_units": [2], **kwargs}), scale=1.0)

    return Case(f"DARN-{name}", make, tuple(event_shape), main=main)


def darn_part(part: str, conditional_shape: Any = None) -> Case:
    """A part of a DARN of two layers with hidden units: several layers of bits, in steps through layers of two sizes."""

    def make() -> tfar.Autoregressive:
        units, order = {"latent_units": [2, 3], "hidden_units": [4]}, {"order": "reverse"}
        return randomize(getattr(tfar.DARN([2, 2], **units, **order), part), scale=0.8)

    shape = (2, 2) if part == "decoder" else (5,)
    return Case(f"Autoregressive-darn-{part}", make, shape, 2, conditional_shape, oracles.DARN_PART)
