"""WaveNet (van den Oord et al. 2016): likelihoods of speech, and speed, with all their settings.

The paper gives neither sizes nor likelihoods, so the results stand beside an adaptive linear prediction, FLAC, and a GRU of about
as many parameters that is trained for an equal time.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks import audio, machine, tfar_side
from benchmarks.audio import AudioSettings
from benchmarks.cases import Contestant, LikelihoodCase, Medians, ModelCases, SpeedCase, Target
from benchmarks.peers import flac, linear_prediction, torch_gru, torch_wavenet
from benchmarks.ratios import faster_than, ratio_to_fastest
from benchmarks.speech import FRAME, Speech
from benchmarks.timing import Call

# Nine layers of 32 features in two stacks see 1024 samples, 128 ms. Small batches train faster than large ones.
WAVENET = AudioSettings()
# The models that are compared with each other are trained for half an hour each, on one machine.
COMPARED = dataclasses.replace(WAVENET, seconds=1800.0)
NO_SPEAKER = dataclasses.replace(COMPARED, condition="none")
LOG_MEL = dataclasses.replace(COMPARED, condition="log-mel")
# Levels of 16 bits. A sample far from all components has a large gradient, which is clipped.
LINEAR = dataclasses.replace(COMPARED, clip_norm=1.0)
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
        head = tfar.heads.DiscretizedLogisticMixture(low=-32768, high=32767, num_channels=1, companding=255)
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


# Speed: the sizes of the public implementations, and a length at which the whole passes of the naive sampler end in seconds.
SIZES = {"filters": 32, "skip_filters": 256, "num_layers": 10, "num_stacks": 3}
QUICK_SIZES = {"filters": 4, "skip_filters": 8, "num_layers": 3, "num_stacks": 2}
LENGTH, QUICK_LENGTH = 1024, 128
LEVELS, SPEAKERS, HOP, FEATURES = 256, 2, 64, 40
OURS, CONDITIONAL, LITERT, TORCH = "tfar", "tfar, with conditions", "tfar, LiteRT", "PyTorch"
NAIVE = "sample, naive"
REAL_TIME = 16_000
MOST_OF_PEER, LEAST_OF_PEER, LEAST_OF_NAIVE, MOST_OF_PLAIN = 1.1, 15.0, 250.0, 1.15


# Likelihood ----------------------------------------------------------------------------------------------------------


def build(settings: AudioSettings, recordings: Speech) -> Any:
    """WaveNet and what trains it."""
    from benchmarks.audio_tfar import AudioModelLearner, Conditions

    conditions = Conditions(settings.condition, recordings)
    return AudioModelLearner(
        distribution(settings, recordings.name, conditions.shape), settings, recordings, conditions
    )


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


# Speed ---------------------------------------------------------------------------------------------------------------


def make_distribution(length: int | None, sizes: Mapping[str, int], **arguments: Any) -> Any:
    """Returns tfar's WaveNet over mu-law levels."""
    import tfar

    return tfar.WaveNet([length], head=tfar.heads.Categorical(LEVELS), **sizes, **arguments)


def build_ours(length: int, sizes: Mapping[str, int], batch_size: int, *, naive: bool) -> Contestant:
    """Returns our contestant: log_prob, the samplers and the train step that `fit` runs."""
    methods = ("ancestral", "naive") if naive else ("ancestral",)
    return tfar_side.contestant(make_distribution(length, sizes), length, batch_size, methods=methods)


def build_conditional(length: int, sizes: Mapping[str, int], batch_size: int) -> Contestant:
    """Returns our contestant with the speaker and features of frames as conditions: log_prob and samples."""
    shapes = {"speaker": (SPEAKERS,), "features": (length // HOP, FEATURES)}
    dist = make_distribution(length, sizes, conditional_shape=shapes, hop_length=HOP)
    rng = np.random.default_rng(0)
    bound = dist.given({name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()})
    found = tfar_side.contestant(bound, length, batch_size)
    return Contestant({name: found.operations[name] for name in ("log_prob", "sample")}, found.parameters)


def build_litert(length: int, sizes: Mapping[str, int], batch_size: int) -> Contestant:
    """Returns samples of the TFLite file, drawn in chunks by its signature `step_chunk`."""
    dist = make_distribution(None, sizes)
    return Contestant(
        {"sample": {"step_chunk": litert_call(dist, length, batch_size)}},
        parameters=int(sum(np.prod(v.shape) for v in dist.trainable_variables)),
    )


def litert_call(dist: Any, length: int, batch_size: int) -> Call:
    """Returns a function that draws `[B, length]` or a few entries more, with the state passed from chunk to chunk."""
    from ai_edge_litert.interpreter import Interpreter

    import tfar

    with tempfile.TemporaryDirectory() as folder:
        path = tfar.serving.export_tflite(dist, pathlib.Path(folder) / "wavenet.tflite")
        interpreter = Interpreter(model_content=path.read_bytes(), num_threads=machine.NUM_THREADS)
    start, step = interpreter.get_signature_runner("start"), interpreter.get_signature_runner("step_chunk")
    seed = np.asarray(tfar.random.row_seeds(1, batch_size))

    def sample() -> np.ndarray:
        state, previous, chunks, index = start(seed=seed), np.zeros(batch_size, np.float32), [], 0
        while index < length:
            drawn = step(**state, index=np.full(batch_size, index, np.int32), previous=previous, seed=seed)
            chunks.append(drawn["value"])
            state = {name: value for name, value in drawn.items() if name.startswith("state_")}
            previous, index = chunks[-1][:, -1], index + chunks[-1].shape[1]
        return np.concatenate(chunks, axis=1)

    return sample


def build_peer(length: int, sizes: Mapping[str, int], batch_size: int) -> Contestant:
    """Returns the PyTorch peer."""
    return torch_wavenet.build(torch_wavenet.make_network(**sizes, levels=LEVELS), length, batch_size)


def samples_per_second(medians: Medians, *, length: int, batch_size: int) -> float:
    """Returns the levels that `sample` draws per second, of all rows together."""
    return 1e3 * length * batch_size / medians[OURS]["sample"]


def conditions_over_plain(medians: Medians) -> float:
    """Returns the time of a sample with conditions divided by that of one without."""
    return medians[CONDITIONAL]["sample"] / medians[OURS]["sample"]


def naive_over_cached(medians: Medians) -> float:
    """Returns the time of the naive sampler divided by that of the cached one."""
    return medians[OURS][NAIVE] / medians[OURS]["sample"]


def targets(length: int, batch_size: int, *, naive: bool) -> list[Target]:
    """Returns the limits of a batch size; real time and the naive sampler are those of one series."""
    speed: Callable[[Medians], float | None] = functools.partial(faster_than, ours=OURS, peer=TORCH, operation="sample")
    found = [Target(f"{OURS}: PyTorch / sample", ">=", LEAST_OF_PEER, speed)]
    for operation in ("log_prob", "train_step"):
        share = functools.partial(ratio_to_fastest, ours=OURS, peers=(TORCH,), operation=operation)
        found.append(Target(f"{OURS}: {operation} / PyTorch", "<=", MOST_OF_PEER, share))
    found.append(Target(f"{OURS}: sample with conditions / without", "<=", MOST_OF_PLAIN, conditions_over_plain))
    if naive:
        rate = functools.partial(samples_per_second, length=length, batch_size=batch_size)
        found.append(Target(f"{OURS}: samples a second", ">=", REAL_TIME, rate))
        found.append(Target(f"{OURS}: naive / sample", ">=", LEAST_OF_NAIVE, naive_over_cached))
    return found


def speed_case(batch_size: int, *, quick: bool = False) -> SpeedCase:
    """Returns the case of a batch size."""
    sizes, length = (QUICK_SIZES, QUICK_LENGTH) if quick else (SIZES, LENGTH)
    naive = batch_size == 1
    make = {OURS: functools.partial(build_ours, naive=naive), CONDITIONAL: build_conditional, LITERT: build_litert}
    name = "wavenet-quick" if quick else f"wavenet-10x3-batch-{batch_size}"
    return SpeedCase(
        name,
        {"event_shape": [length], "levels": LEVELS, **sizes, "batch_size": batch_size, "dtype": "float32"},
        {
            name: functools.partial(build, length, sizes, batch_size)
            for name, build in {**make, TORCH: build_peer}.items()
        },
        [] if quick else targets(length, batch_size, naive=naive),
        quick=quick,
    )


CASES = ModelCases(
    speed=[speed_case(1), speed_case(16), speed_case(1, quick=True)],
    likelihood=[
        speech_case(
            "wavenet-speech", "WaveNet 2 x 9 x 32, given the speaker, 1 h", WAVENET, TARGET, beside=beside_8_bit
        ),
        speech_case("wavenet-speech-half-hour", "WaveNet 2 x 9 x 32, given the speaker, 1/2 h", COMPARED),
        speech_case("wavenet-speech-no-speaker", "WaveNet 2 x 9 x 32, no condition, 1/2 h", NO_SPEAKER),
        speech_case(
            "wavenet-speech-log-mel",
            "WaveNet 2 x 9 x 32, given the speaker and log-mel features of the file, 1/2 h",
            LOG_MEL,
        ),
        *(
            speech_case(
                name,
                f"GRU of 200 units (PyTorch), given the speaker, {time}",
                dataclasses.replace(GRU, seconds=seconds),
                build=torch_gru.build,
                quick={**QUICK, "hidden_units": (8,), "warm_up": 0, "batch_size": 2},
            )
            for name, time, seconds in (
                ("wavenet-speech-gru", "1 h", 3600.0),
                ("wavenet-speech-gru-half-hour", "1/2 h", 1800.0),
            )
        ),
        speech_case(
            "wavenet-speech-16-bit",
            "WaveNet 2 x 9 x 32, logistic mixture, given the speaker, 1/2 h",
            LINEAR,
            TARGET_16_BIT,
            data="speech_16_bit",
            beside=beside_16_bit,
        ),
    ],
)
