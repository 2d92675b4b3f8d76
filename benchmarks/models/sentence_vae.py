"""The sentence VAE of Bowman et al. 2016: perplexities of film sentences beside language models of the same width, and speed.

The paper has other texts, and widths that it searched for. Here the width is 128, and the latent has 16 entries with 0.27 free
bits each, which is 4.3 nats. 400 steps of annealing are three epochs.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from benchmarks import texts, tfar_side
from benchmarks.cases import Contestant, LikelihoodCase, ModelCases, SpeedCase, Target
from benchmarks.peers.torch_lstm import random_words
from benchmarks.ratios import ratio_to_fastest, ratio_within
from benchmarks.texts import TextSettings

LATENT_DIM = 16
QUICK: dict[str, Any] = {"units": 16, "embedding_dim": 8, "seconds": 1.0, "importance_samples": 2}
LM, INPUTLESS_LM = "sentence-vae-language-model", "sentence-vae-language-model-without-words"
# What an answer must show besides its perplexity.
USES_LATENTS = {
    "perplexity_to_language_model": ("<=", 1.05),
    "kl": (">=", 4.0),
    "active_units": (">=", 4.0),
}
COLLAPSES = {"kl": ("<=", 0.1)}
WITHOUT_WORDS = {"nats_below_language_model": (">=", 5.0)}

LANGUAGE_MODEL = TextSettings(units=128, beats_kneser_ney=False, seconds=1200.0)
LANGUAGE_MODEL_WITHOUT_WORDS = dataclasses.replace(LANGUAGE_MODEL, arguments=(("word_dropout_rate", 1.0),))
VAE = dataclasses.replace(LANGUAGE_MODEL, model="SentenceVAE", language_model=LM)


def _settings(language_model: str = LM, **arguments: Any) -> TextSettings:
    given = (("latent_dim", LATENT_DIM), *arguments.items())
    return dataclasses.replace(VAE, language_model=language_model, arguments=given)


def _case(name: str, title: str, settings: TextSettings, further: Any = None) -> LikelihoodCase:
    how: dict[str, Any] = {"quick": QUICK, "unit": texts.UNIT, "run": texts.run, "further": further or {}}
    return LikelihoodCase(name, title, "movie_sentences", settings, texts.build, None, "", None, **how)


def likelihood_cases() -> list[LikelihoodCase]:
    """Language models first, because the other cases compare themselves with their results."""
    anneal = {"kl_annealing_steps": 400}
    remedies = _settings(word_keep_rate=0.85, free_bits=0.27, **anneal)
    return [
        _case(LM, "LSTM 128, no latent", LANGUAGE_MODEL),
        _case(INPUTLESS_LM, "LSTM 128, no latent, no words read", LANGUAGE_MODEL_WITHOUT_WORDS),
        _case("sentence-vae-movie-sentences", "LSTM 128, 16 latents", remedies, USES_LATENTS),
        _case("sentence-vae-collapsed", "the same without remedies", _settings(kl_annealing_steps=1), COLLAPSES),
        _case(
            "sentence-vae-without-words",
            "LSTM 128, 16 latents, no words read",
            _settings(INPUTLESS_LM, word_keep_rate=0.0, **anneal),
            WITHOUT_WORDS,
        ),
    ]


# Speed: words of the vocabulary, words of a text, units, size of the vectors of words, batch; float32, two threads.
# `log_prob` is the bound of one latent: a pass of the encoder and one of the decoder.
SIZE, QUICK_SIZE = (5000, 40, 128, 128, 64), (50, 8, 16, 8, 4)
OURS, PLAIN = "tfar", "RecurrentLanguageModel"
STEP_TO_PLAIN, SAMPLE_TO_BOUND = 2.2, 3.0


def build_model(model: str, size: tuple[int, int, int, int, int]) -> Contestant:
    """The probability of texts, the sampler and the train step that `fit` runs, of one of both models."""
    import tfar

    vocabulary_size, length, units, embedding_dim, batch_size = size
    how: dict[str, Any] = {"units": units, "embedding_dim": embedding_dim, "seed": 0}
    how |= {"latent_dim": LATENT_DIM} if model == "SentenceVAE" else {}
    dist = getattr(tfar, model)(vocabulary_size, length, **how)
    make_rows = functools.partial(random_words, vocabulary_size=vocabulary_size)
    return tfar_side.contestant(dist, length, batch_size, make_rows=make_rows)


def speed_targets() -> list[Target]:
    """A train step within so many of a language model, and a batch of samples within so many bounds."""
    step = functools.partial(ratio_to_fastest, ours=OURS, peers=(PLAIN,), operation="train_step")
    sampling = functools.partial(ratio_within, ours=OURS, operation="sample", unit="log_prob")
    return [
        Target(f"{OURS}: train_step / {PLAIN}", "<=", STEP_TO_PLAIN, step),
        Target(f"{OURS}: sample / elbo", "<=", SAMPLE_TO_BOUND, sampling),
    ]


def speed_case(name: str, size: tuple[int, int, int, int, int], *, quick: bool = False) -> SpeedCase:
    """Both models at one size."""
    vocabulary_size, length, units, embedding_dim, batch_size = size
    contestants = {
        OURS: functools.partial(build_model, "SentenceVAE", size),
        PLAIN: functools.partial(build_model, PLAIN, size),
    }
    settings = {
        "event_size": length,
        "vocabulary_size": vocabulary_size,
        "latent_dim": LATENT_DIM,
        "units": units,
        "embedding_dim": embedding_dim,
        "batch_size": batch_size,
        "dtype": "float32",
    }
    return SpeedCase(f"sentence-vae-{name}", settings, contestants, [] if quick else speed_targets(), quick=quick)


CASES = ModelCases(
    speed=[speed_case("40-128", SIZE), speed_case("quick", QUICK_SIZE, quick=True)], likelihood=likelihood_cases()
)
