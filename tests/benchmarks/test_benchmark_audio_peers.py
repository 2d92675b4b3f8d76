"""The peers of audio models compute probabilities: they sum to one, look at the past alone, and equal a plain evaluation."""

import dataclasses

import numpy as np
import pytest

import tfar
from benchmarks.audio import AudioSettings
from benchmarks.peers import flac, linear_prediction, torch_gru
from benchmarks.speech import Recording, Speech

RNG = np.random.default_rng(0)
LENGTH = 150


def tone(length=LENGTH, amplitude=0.2):
    return amplitude * np.sin(np.arange(length) / 3.0) + 0.02 * RNG.normal(size=length)


# Adaptive linear prediction -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("position", [0, 1, 140])
def test_the_probabilities_of_all_levels_sum_to_one(position):
    levels, x = linear_prediction.mu_law_levels(), tfar.data.mu_law(tone())[: position + 1]
    total = 0.0
    for level in range(256):
        x[position] = level
        total += np.exp(linear_prediction.log_probs(x, levels)[position])
    assert total == pytest.approx(1.0, abs=1e-6)


def test_a_prediction_depends_on_earlier_samples_alone():
    x, levels = tfar.data.mu_law(tone()), linear_prediction.mu_law_levels()
    found, shorter = linear_prediction.log_probs(x, levels), linear_prediction.log_probs(x[:100], levels)
    np.testing.assert_allclose(found[:100], shorter, rtol=1e-9)
    changed = x.copy()
    changed[100] = 255 - x[100]
    assert np.abs(linear_prediction.log_probs(changed, levels) - found)[101:].max() > 0.1


def test_levels_are_those_of_the_companding():
    levels, signal = linear_prediction.mu_law_levels(), RNG.uniform(-1, 1, 2000)
    np.testing.assert_allclose(levels.values, tfar.data.inverse_mu_law(np.arange(256)), rtol=1e-6)
    found = tfar.data.mu_law(signal).astype(int)
    assert (levels.edges[found] <= signal).all() and (signal <= levels.edges[found + 1]).all()


def test_samples_of_16_bits_lie_within_their_intervals():
    levels, samples = linear_prediction.linear_levels(), np.array([-32768, -1, 0, 5, 32767])
    np.testing.assert_array_equal(levels.values[samples - levels.lowest], samples / 32768)
    edges = levels.edges[samples - levels.lowest], levels.edges[samples - levels.lowest + 1]
    np.testing.assert_array_equal(edges[1][1:4] - edges[0][1:4], 1 / 32768)
    assert edges[0][0] == -np.inf and edges[1][-1] == np.inf
    noise = RNG.integers(-2000, 2000, 3000)
    assert linear_prediction.bits_per_sample([noise], levels) == pytest.approx(np.log2(4000), abs=0.5)


def test_coefficients_are_those_of_least_squares():
    signal, order, window = tone(), 2, 64
    found = linear_prediction.predictions(signal, order, window, 1)
    for time in (80, 120):
        rows = np.array([signal[s - order : s][::-1] for s in range(time - window, time)])
        ridge = linear_prediction.RIDGE * (signal[time - window : time] ** 2).sum() + linear_prediction.LEAST_RIDGE
        matrix = rows.T @ rows + ridge * np.eye(order)
        expected = signal[time - order : time][::-1] @ np.linalg.solve(matrix, rows.T @ signal[time - window : time])
        assert found[time] == pytest.approx(expected, rel=1e-6)


def test_a_tone_takes_fewer_bits_than_noise_of_its_levels():
    x = tfar.data.mu_law(tone(2000))
    levels = linear_prediction.mu_law_levels()
    ordered, shuffled = (linear_prediction.bits_per_sample([v], levels) for v in (x, RNG.permutation(x)))
    assert ordered < shuffled - 0.5


# FLAC -----------------------------------------------------------------------------------------------------------------


def test_flac_needs_all_bits_of_noise_and_few_of_silence():
    found = [
        flac.bits_per_sample([samples.astype(np.int16)])
        for samples in (RNG.integers(-32768, 32768, 20000), np.zeros(20000))
    ]
    if not found[0]:
        pytest.skip("neither the command flac nor the package soundfile is installed")
    noise, silence = (bits["FLAC, a file a recording"] for bits in found)
    assert 16.0 < noise < 16.5 and silence < 0.5


# GRU ------------------------------------------------------------------------------------------------------------------

SETTINGS = AudioSettings(hidden_units=(5,), skip_filters=7, chunk=40, warm_up=0, batch_size=2, clip_norm=1.0)


def recordings():
    files = [
        Recording(tfar.data.mu_law(tone(length)), speaker, tone(length).astype(np.float32))
        for speaker, length in ((0, 130), (1, 70), (0, 90), (1, 95))
    ]
    return Speech("speech_8_bit", files, files[:2], files[2:], "drawn here")


def numpy_nats(network, file, speaker):
    """Negative log-likelihood of a file from the equations of the GRU, in float64."""
    w = {name: value.numpy().astype(np.float64) for name, value in network.state_dict().items()}
    sigmoid = lambda z: 1.0 / (1.0 + np.exp(-z))  # noqa: E731
    h, before, total = np.zeros(SETTINGS.hidden_units[0]), 256, 0.0
    for level in file.levels.astype(int):
        x = w["level.weight"][before] + w["speaker.weight"][speaker]
        xr, xz, xn = np.split(w["gru.weight_ih_l0"] @ x + w["gru.bias_ih_l0"], 3)
        hr, hz, hn = np.split(w["gru.weight_hh_l0"] @ h + w["gru.bias_hh_l0"], 3)
        z, n = sigmoid(xz + hz), np.tanh(xn + sigmoid(xr + hr) * hn)
        h = (1.0 - z) * n + z * h
        logits = w["logits.weight"] @ np.maximum(w["hidden.weight"] @ h + w["hidden.bias"], 0.0) + w["logits.bias"]
        total -= logits[level] - np.log(np.exp(logits).sum())
        before = level
    return total


@pytest.fixture
def gru():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    threads = torch.get_num_threads()
    yield torch_gru.TorchGRU(SETTINGS, recordings())
    torch.set_num_threads(threads)


def test_the_gru_equals_numpy(gru, monkeypatch):
    monkeypatch.setattr(torch_gru, "SCORE_SAMPLES", 50)  # a file is scored in parts
    files = recordings().test
    expected = [numpy_nats(gru.network, file, file.speaker) for file in files]
    np.testing.assert_allclose(gru.nats(files), expected, rtol=1e-5)
    swapped = [numpy_nats(gru.network, file, 1 - file.speaker) for file in files]
    np.testing.assert_allclose(gru.nats(files, changed=True), swapped, rtol=1e-5)
    assert np.abs(gru.nats(files) - swapped).min() > 1e-3


def test_the_state_goes_from_chunk_to_chunk_and_files_begin_afresh(gru):
    """With weights that stay, the losses of an epoch are those of the whole files in its streams."""
    totals, original = [], gru.losses

    def watched(*inputs):
        losses, state = original(*inputs)
        totals.append(float(losses.detach().sum()))
        return losses, state

    gru.losses = watched
    gru.files = recordings().train[:2]  # a file a stream, of four chunks and two
    gru.files = [gru.files[0], dataclasses.replace(gru.files[0], speaker=1)]
    counts = [gru.update(step, 0.0) for step in range(4)]
    assert counts == [80, 80, 80, 20] and gru.epoch == 0
    expected = sum(numpy_nats(gru.network, file, file.speaker) for file in gru.files)
    assert sum(totals) == pytest.approx(expected, rel=1e-5)
    assert gru.update(4, 0.0) == 80 and gru.epoch == 1


def test_a_file_in_a_stream_begins_with_no_state(gru):
    found = torch_gru.streams([recordings().train[:2]], 40)
    assert found["levels"].shape == (1, 160 + 80)
    assert (found["before"][0] == torch_gru.BEGINNING).nonzero()[:, 0].tolist() == [0, 160]
    assert (found["levels"][0, 130:160] == -1).all() and (found["speakers"][0, 160:] == 1).all()
    np.testing.assert_array_equal(found["before"][0, 1:130], found["levels"][0, :129])


def test_a_resumed_gru_makes_the_same_updates(gru, tmp_path):
    for step in range(3):
        gru.update(step, 1e-2)
    gru.save(tmp_path / "three.pt")
    resumed = torch_gru.TorchGRU(SETTINGS, recordings())
    resumed.files = gru.files
    resumed.load(tmp_path / "three.pt")
    for step in range(3, 8):
        assert gru.update(step, 1e-2) == resumed.update(step, 1e-2)
    files = recordings().test
    np.testing.assert_allclose(gru.nats(files), resumed.nats(files), rtol=1e-6)


def test_training_lowers_the_loss_of_the_gru(gru):
    files = gru.files
    before = gru.nats(files).sum()
    for step in range(30):
        gru.update(step, 1e-2)
    assert gru.nats(files).sum() < 0.95 * before
