"""Recurrent models of texts: their speed beside PyTorch, and perplexities beside Kneser-Ney n-grams.

The models of the papers have 1024 units and more and are trained on larger texts. Dropout of one half, gradients clipped at 5
and Adam are the settings of language models of this size.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from benchmarks import texts, tfar_side
from benchmarks.cases import Contestant, LikelihoodCase, ModelCases, SpeedCase, Target
from benchmarks.peers import torch_lstm
from benchmarks.ratios import ratio_to_fastest, ratio_within
from benchmarks.texts import TextSettings

# Speed: words of the vocabulary, words of a text, units, size of the vectors of words, batch; float32, two threads.
SIZE, QUICK_SIZE = (5000, 40, 256, 128, 64), (50, 8, 16, 8, 4)
OURS, TORCH = "tfar", "PyTorch"
SAMPLE_TO_PASS = 3.0

QUICK: dict[str, Any] = {"units": 16, "embedding_dim": 8, "seconds": 1.0}
AUTOENCODER = TextSettings(model="SequenceAutoencoder", dropout_rate=0.2)
HIERARCHICAL = TextSettings(model="HierarchicalAutoencoder", units=160, dropout_rate=0.2)
WITHOUT_ATTENTION = dataclasses.replace(HIERARCHICAL, arguments=(("attention", False),))
# As many weights as the hierarchical models have.
FLAT = dataclasses.replace(AUTOENCODER, units=220, arguments=(("tie_encoder", False),))


def _case(name: str, title: str, data: str, settings: TextSettings, target: float | None = None) -> LikelihoodCase:
    unit = texts.UNIT if settings.model == "RecurrentLanguageModel" else f"{texts.UNIT} of reconstructions"
    how: dict[str, Any] = {"quick": QUICK, "unit": unit, "run": texts.run}
    return LikelihoodCase(name, title, data, settings, texts.build, None, "", target, **how)


def likelihood_cases() -> list[LikelihoodCase]:
    """Language models, and autoencoders of sentences and of windows of verses, whose perplexity is of reconstructions."""
    language = TextSettings()
    return [
        _case("recurrent-language-model-movie-sentences", "LSTM 256", "movie_sentences", language),
        _case("recurrent-language-model-kjv", "LSTM 256", "kjv", dataclasses.replace(language, dropout_rate=0.3)),
        _case("sequence-autoencoder-movie-sentences", "LSTM 256, reconstruction", "movie_sentences", AUTOENCODER),
        _case("hierarchical-autoencoder-kjv", "4 LSTMs of 160, attention, reconstruction", "kjv_windows", HIERARCHICAL),
        _case(
            "hierarchical-autoencoder-kjv-no-attention",
            "4 LSTMs of 160, reconstruction",
            "kjv_windows",
            WITHOUT_ATTENTION,
        ),
        _case("sequence-autoencoder-kjv-windows", "LSTM 220, reconstruction", "kjv_flat_windows", FLAT),
    ]


def build_ours(vocabulary_size: int, length: int, units: int, embedding_dim: int, batch_size: int) -> Contestant:
    """Our contestant: the probability of texts, the sampler and the train step that `fit` runs."""
    import tfar

    dist = tfar.RecurrentLanguageModel(vocabulary_size, length, units, embedding_dim=embedding_dim, seed=0)
    make_rows = functools.partial(torch_lstm.random_words, vocabulary_size=vocabulary_size)
    return tfar_side.contestant(dist, length, batch_size, make_rows=make_rows)


def speed_targets() -> list[Target]:
    """No slower than PyTorch, and a batch of samples within three passes."""
    targets = []
    for operation in ("log_prob", "train_step", "sample"):
        value = functools.partial(ratio_to_fastest, ours=OURS, peers=(TORCH,), operation=operation)
        targets.append(Target(f"{OURS}: {operation} / PyTorch", "<=", 1.0, value))
    sampling = functools.partial(ratio_within, ours=OURS, operation="sample", unit="log_prob")
    return [*targets, Target(f"{OURS}: sample / log_prob", "<=", SAMPLE_TO_PASS, sampling)]


def speed_case(name: str, size: tuple[int, int, int, int, int], *, quick: bool = False) -> SpeedCase:
    """Both at one size."""
    vocabulary_size, length, units, embedding_dim, batch_size = size
    contestants = {OURS: functools.partial(build_ours, *size), TORCH: functools.partial(torch_lstm.build, *size)}
    settings = {
        "event_size": length,
        "vocabulary_size": vocabulary_size,
        "units": units,
        "embedding_dim": embedding_dim,
        "batch_size": batch_size,
        "dtype": "float32",
    }
    targets = [] if quick else speed_targets()  # so small a case measures the cost of a call, not of the model
    return SpeedCase(f"recurrent-language-model-{name}", settings, contestants, targets, quick=quick)


CASES = ModelCases(
    speed=[speed_case("40-256", SIZE), speed_case("quick", QUICK_SIZE, quick=True)], likelihood=likelihood_cases()
)
