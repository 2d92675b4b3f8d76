"""`export/generate_audio.py` writes the audio that the distribution draws, through a server and with LiteRT."""

import subprocess
import sys
import wave

import generate_audio
import numpy as np
import pytest
import servers
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tests.registry import randomize

pytest.importorskip("tensorflow_serving", reason="the clients need tensorflow-serving-api")

RATE, NUM_SAMPLES, SEED, FRAMES = 500, 100, 3, 40
CONDITION = {"speaker": np.ones([2], np.float32), "features": np.linspace(0, 1, FRAMES * 3).reshape(FRAMES, 3)}


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """A WaveNet over mu-law levels with a speaker and features of frames; its exports and its condition."""
    folder = tmp_path_factory.mktemp("speech")
    dist = randomize(
        tfar.WaveNet(
            [None],
            4,
            skip_filters=8,
            num_layers=2,
            num_stacks=1,
            conditional_shape={"speaker": [2], "features": [None, 3]},
            hop_length=4,
            jit_compile=False,
        )
    )
    tfar.serving.export_saved_model(dist, folder / "speech")
    tfar.serving.export_tflite(dist, folder / "speech.tflite")
    np.savez(folder / "condition.npz", **{f"conditional_{k}": v[None].astype(np.float32) for k, v in CONDITION.items()})
    return dist, folder


def expected(dist, num_samples):
    """The audio of the row whose seed the recipe draws."""
    seeds = tf.constant(generate_audio.row_seeds(SEED, 1))
    condition = {name: tf.constant(part[None], tf.float32) for name, part in CONDITION.items()}
    levels = dist.law.sample(seeds, condition, length=num_samples)
    return np.clip(tfar.data.inverse_mu_law(np.asarray(levels)[0]) * 32768.0, None, 32767.0)


def written(folder, *where):
    """The samples and the rate of the file that the recipe writes."""
    out = folder / "out.wav"
    command = [sys.executable, str(servers.ROOT / "export" / "generate_audio.py"), *where, f"--rate={RATE}"]
    command += [f"--seconds={NUM_SAMPLES / RATE}", f"--seed={SEED}", f"--condition={folder / 'condition.npz'}"]
    done = subprocess.run([*command, f"--out={out}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"Wrote {NUM_SAMPLES} samples" in done.stdout
    with wave.open(str(out)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        return np.frombuffer(file.readframes(NUM_SAMPLES), "<i2")


@pytest.mark.slow(ci=True)
def test_litert_writes_the_audio_of_the_distribution(speech):
    dist, folder = speech
    found = written(folder, f"--tflite={folder / 'speech.tflite'}")
    np.testing.assert_allclose(found, expected(dist, NUM_SAMPLES), atol=0.51)


@pytest.mark.parametrize("kind", servers.KINDS)
@pytest.mark.parametrize("interface", few_by_default(["rest", "grpc"], count=0, in_ci=1))
def test_a_server_writes_the_audio_of_the_distribution(kind, interface, speech, tmp_path):
    dist, folder = speech
    flags = ["--model_name=speech", f"--model_base_path={folder / 'speech'}"]
    with servers.running(kind, flags, tmp_path) as server:
        found = written(folder, f"--{interface}={getattr(server, interface)}")
    np.testing.assert_allclose(found, expected(dist, NUM_SAMPLES), atol=0.51)


@pytest.mark.slow(ci=True)
def test_frames_that_end_too_early_are_an_error(speech):
    _, folder = speech
    client, condition = generate_audio.LiteRT(folder / "speech.tflite"), dict(np.load(folder / "condition.npz"))
    with pytest.raises(ValueError, match=f"Expected 200 samples; received {4 * FRAMES}, then NaN"):
        generate_audio.generate(client, 200, SEED, condition)


def test_mu_law_levels_become_the_samples_of_tfar():
    levels = np.arange(256.0)
    expected = np.clip(np.rint(tfar.data.inverse_mu_law(levels) * 32768.0), -32768, 32767)
    np.testing.assert_array_equal(generate_audio.pcm(levels, "mu-law"), expected)
