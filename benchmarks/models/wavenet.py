"""WaveNet (van den Oord et al. 2016): likelihoods of speech, with all their settings.

The paper gives neither sizes nor likelihoods, so the results stand beside an adaptive linear prediction, FLAC, and a GRU of about
as many parameters that is trained for an equal time.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from benchmarks import audio
from benchmarks.audio import AudioSettings
from benchmarks.cases import LikelihoodCase, ModelCases
from benchmarks.peers import flac, linear_prediction, torch_gru
from benchmarks.speech import FRAME, Speech

# Nine layers of 32 features in two stacks see 1024 samples, 128 ms. Small batches train faster than large ones.
WAVENET = AudioSettings()
NO_SPEAKER = dataclasses.replace(WAVENET, condition="none")
LOG_MEL = dataclasses.replace(WAVENET, condition="log-mel")
# The recurrent state is carried from one chunk to the next, so that there is no context to repeat.
GRU = dataclasses.replace(
    WAVENET,
    hidden_units=(200,),
    num_stacks=1,
    warm_up=0,
    chunk=320,
    batch_size=16,
    learning_rate=2e-3,
    clip_norm=1.0,
)
QUICK = {"hidden_units": (8,) * 3, "skip_filters": 8, "chunk": 400, "warm_up": 80, "seconds": 1.0}
# At most the bits a sample of the adaptive linear prediction, rounded down.
TARGET, TARGET_16_BIT = 3.98, 9.09


def distribution(settings: AudioSettings, data: str, conditional_shape: Any) -> Any:
    """tfar's WaveNet over one of the data sets."""
    import tfar

    head = None
    if data == "speech_16_bit":
        head = tfar.heads.DiscretizedLogisticMixture(low=-32768, high=32767, num_channels=1)
    return tfar.WaveNet(
        [None] if head is None else [None, 1],
        settings.hidden_units[0],
        skip_filters=settings.skip_filters,
        num_layers=len(settings.hidden_units),
        num_stacks=settings.num_stacks,
        head=head,
        conditional_shape=conditional_shape,
        hop_length=FRAME,
        seed=settings.seed,
    )


def build(settings: AudioSettings, recordings: Speech) -> Any:
    """WaveNet and what trains it."""
    from benchmarks.audio_tfar import Conditions, TfarLearner

    conditions = Conditions(settings.condition, recordings)
    return TfarLearner(distribution(settings, recordings.name, conditions.shape), settings, recordings, conditions)


def beside_8_bit(recordings: Speech) -> dict[str, float]:
    """Bits a sample of the test files by the adaptive linear prediction."""
    files = [file.levels for file in recordings.test]
    found = linear_prediction.bits_per_sample(files, linear_prediction.mu_law_levels())
    return {"adaptive linear prediction": round(found, 4)}


def beside_16_bit(recordings: Speech) -> dict[str, float]:
    """Bits a sample of the test files by the adaptive linear prediction and by FLAC."""
    files = [file.levels for file in recordings.test]
    found = linear_prediction.bits_per_sample(files, linear_prediction.linear_levels())
    return {"adaptive linear prediction": round(found, 4), **flac.bits_per_sample(files)}


def speech_case(
    name: str, title: str, settings: AudioSettings, target: float | None = None, **fields: Any
) -> LikelihoodCase:
    """A model of speech."""
    fields = {"data": "speech_8_bit", "build": build, "quick": QUICK, **fields}
    return LikelihoodCase(
        name, title, settings=settings, paper=None, source="", target=target, unit=audio.UNIT, run=audio.run, **fields
    )


CASES = ModelCases(
    likelihood=[
        speech_case("wavenet-speech", "WaveNet 2 x 9 x 32, given the speaker", WAVENET, TARGET, beside=beside_8_bit),
        speech_case("wavenet-speech-no-speaker", "WaveNet 2 x 9 x 32, no condition", NO_SPEAKER),
        speech_case(
            "wavenet-speech-log-mel", "WaveNet 2 x 9 x 32, given the speaker and log-mel features of the file", LOG_MEL
        ),
        speech_case(
            "wavenet-speech-16-bit",
            "WaveNet 2 x 9 x 32, logistic mixture, given the speaker",
            WAVENET,
            TARGET_16_BIT,
            data="speech_16_bit",
            beside=beside_16_bit,
        ),
        speech_case(
            "wavenet-speech-gru",
            "GRU of 200 units (PyTorch), given the speaker",
            GRU,
            build=torch_gru.build,
            quick={**QUICK, "hidden_units": (8,), "warm_up": 0, "batch_size": 2},
        ),
    ]
)
