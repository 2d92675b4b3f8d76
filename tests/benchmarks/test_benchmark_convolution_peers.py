"""The peers of convolutions and recurrences over images and audio equal a NumPy evaluation of the same weights."""

import functools

import numpy as np
import pytest

from benchmarks.peers import (
    torch_pixel_cnn,
    torch_pixel_rnn,
    torch_pixel_vae,
    torch_wavenet,
)
from benchmarks.peers.masks import random_bits
from benchmarks.peers.torch_side import log_prob_call, train_step_call
from tests.parameters import few_by_default
from tests.reference import gated_pixel_cnn, pixel_cnn, pixel_rnn, pixel_vae, wavenet

# The parts of a layer in PyTorch and in the references.
PARTS = (("weight", "kernel"), ("bias", "bias"))


def torch_layers(network):
    """Kernels `[*size, in, out]` and biases of a PyTorch network by the names of its modules."""
    found = {}
    for name, value in network.named_parameters():
        value = value.detach().numpy().astype(np.float64)
        found[name] = value.transpose(*range(2, value.ndim), 1, 0) if value.ndim > 1 else value
    return found


def numpy_image_log_prob(params, x):
    return [float((x[i] * p - np.logaddexp(0, p)).sum()) for i, p in enumerate(params)]


def test_torch_pixel_cnn_log_prob_equals_numpy():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    network = torch_pixel_cnn.make_pixel_cnn(4, 1)
    found, x = torch_layers(network), random_bits(2, 20, seed=1).reshape(2, 1, 4, 5)
    names = {"0": "first", "2": "block_1", "4": "params"}
    layers = {ours: pixel_cnn.Layer(found[f"{i}.weight"], found[f"{i}.bias"]) for i, ours in names.items()}
    params = [pixel_cnn.parameters(layers, image[0][..., None], 1)[..., 0] for image in x]
    np.testing.assert_allclose(
        log_prob_call(functools.partial(torch_pixel_cnn.losses, network), x)(),
        numpy_image_log_prob(params, x[:, 0]),
        rtol=1e-5,
    )


def test_torch_pixel_cnn_of_colours_equals_numpy():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    channels, levels = 3, 5
    network = torch_pixel_cnn.make_pixel_cnn(6, 1, channels=channels, levels=levels)
    x = np.random.default_rng(1).integers(0, levels, size=(2, channels, 3, 4)).astype(np.float32)
    found = torch_layers(network)
    names = {"0": "first", "2": "block_1", "4": "params"}
    layers = {ours: pixel_cnn.Layer(found[f"{i}.weight"], found[f"{i}.bias"]) for i, ours in names.items()}
    expected = []
    for image in x.transpose(0, 2, 3, 1).astype(int):
        logits = pixel_cnn.parameters(layers, image * 2.0 / (levels - 1) - 1.0, channels).reshape(
            3, 4, channels, levels
        )
        chosen = np.take_along_axis(logits, image[..., None], axis=-1)[..., 0]
        expected.append((chosen - np.log(np.exp(logits).sum(-1))).sum())
    np.testing.assert_allclose(
        log_prob_call(functools.partial(torch_pixel_cnn.losses, network), x)(), expected, rtol=1e-5
    )


def gated_weights(network, kernel_size, prefix=""):
    """The weights of a Gated PixelCNN of one block by the names of the reference."""
    found = torch_layers(network)
    names = {f"{prefix}head.1": "output_1", f"{prefix}head.3": "params"}
    for block in range(2):
        parts = ("vertical", "link", "horizontal", "skip", "residual", "condition")
        names |= {f"{prefix}blocks.{block}.{part}": f"{part}_{block}" for part in parts}
    weights = {}
    for theirs, ours in names.items():
        weights |= {f"{ours}/{b}": found[f"{theirs}.{a}"] for a, b in PARTS if f"{theirs}.{a}" in found}
    for block, width in enumerate((7, kernel_size)):
        kernel = weights[f"horizontal_{block}/kernel"]
        weights[f"horizontal_{block}/kernel"] = np.pad(kernel, [(0, 0), (0, width - kernel.shape[1]), (0, 0), (0, 0)])
        weights[f"link_{block}/kernel"] = weights[f"link_{block}/kernel"][0, 0]
    return weights


def test_torch_gated_pixel_cnn_log_prob_equals_numpy():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    network = torch_pixel_cnn.make_gated_pixel_cnn(4, 1, 6)
    x, weights = random_bits(2, 20, seed=1).reshape(2, 1, 4, 5), gated_weights(network, 3)
    params = [gated_pixel_cnn.parameters(weights, image[0][..., None], 1, {})[..., 0] for image in x]
    np.testing.assert_allclose(
        log_prob_call(functools.partial(torch_pixel_cnn.losses, network), x)(),
        numpy_image_log_prob(params, x[:, 0]),
        rtol=1e-5,
    )


def test_torch_pixel_vae_bound_equals_numpy():
    """On images of odd sizes, of which both libraries pad the same sides."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    network = torch_pixel_vae.make_pixel_vae(4, 1, 5, 2, (3, 5), (5, 9))
    x = random_bits(2, 45, seed=1).reshape(2, 1, 5, 9)
    noise = np.random.default_rng(0).normal(size=[2, 2]).astype(np.float32)
    found = torch_pixel_vae.losses(network, torch.from_numpy(x), torch.from_numpy(noise)).detach()
    layers = torch_layers(network)
    weights = gated_weights(network, 5, "decoder.")
    for row, image in enumerate(x[:, 0, :, :, None].astype(np.float64)):
        features = image
        for number, layer in enumerate((0, 2, 4, 6)):
            own = layers[f"encoder.{layer}.weight"], layers[f"encoder.{layer}.bias"]
            features = pixel_cnn.relu(pixel_vae.convolved(features, *own, stride=1 + number % 2))
        params = features.transpose(2, 0, 1).ravel() @ layers["encoder.9.weight"] + layers["encoder.9.bias"]
        loc, scale = params[:2], np.exp(params[2:])
        z = loc + scale * noise[row]
        expected = pixel_vae.divergence(z, loc, scale) - pixel_vae.log_likelihood(weights, image, z)
        assert float(found[row]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("diagonal", few_by_default([True, False]))
def test_torch_pixel_rnn_log_prob_equals_numpy(diagonal):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    network = torch_pixel_rnn.make_pixel_rnn(4, 2, 6, diagonal=diagonal)
    with torch.no_grad():
        for layer in network[1:3]:
            layer.initial.normal_()
    found = {name: value.detach().numpy().astype(np.float64) for name, value in network.named_parameters()}
    names = {"0": "first", "4": "output_1", "6": "params"}
    for block in (1, 2):
        names |= {f"{block}.inputs": f"input_to_state_{block}", f"{block}.output": f"block_output_{block}"}
    weights = {}
    for torch_name, name in names.items():
        kernel = found[f"{torch_name}.weight"].transpose(2, 3, 1, 0)
        kernel = (
            np.pad(kernel, [(0, 0), (0, kernel.shape[1] - 1), (0, 0), (0, 0)]) if "inputs" in torch_name else kernel
        )
        weights |= {f"{name}/kernel": kernel, f"{name}/bias": found[f"{torch_name}.bias"]}
    for block in (1, 2):
        weights[f"recurrence_{block}/kernel"] = np.concatenate(list(found[f"{block}.kernel"]), axis=-1)
        weights[f"recurrence_{block}/initial_state"] = found[f"{block}.initial"]
    x = random_bits(3, 30, seed=1).reshape(3, 1, 5, 6)
    params = [pixel_rnn.parameters(weights, image[0][..., None], 1, {}, diagonal=diagonal)[..., 0] for image in x]
    np.testing.assert_allclose(
        log_prob_call(functools.partial(torch_pixel_cnn.losses, network), x)(),
        numpy_image_log_prob(params, x[:, 0]),
        rtol=1e-5,
    )


@pytest.mark.parametrize("make", few_by_default(["make_pixel_cnn", "make_gated_pixel_cnn"]))
def test_torch_image_networks_train_and_sample(make):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    network = getattr(torch_pixel_cnn, make)(4, 1, *([6] if "gated" in make else []))
    x = np.repeat(random_bits(1, 20, seed=1), 20, axis=0).reshape(-1, 1, 4, 5)
    step = train_step_call(network, functools.partial(torch_pixel_cnn.losses, network), x, 10)
    losses = [step() for _ in range(30)]
    assert losses[-1] < losses[0]
    samples = torch_pixel_cnn.sample_call(network, (3, 1, 4, 5))()
    assert samples.shape == (3, 1, 4, 5) and set(np.unique(samples)) <= {0.0, 1.0}


# WaveNet -------------------------------------------------------------------------------------------------------------


def wavenet_peer():
    network = torch_wavenet.make_network(3, skip_filters=5, num_layers=3, num_stacks=2, levels=7)
    return network, torch_wavenet.random_levels(2, 20, 7, seed=1)


def numpy_wavenet_log_prob(network, x):
    weights = {}
    for name, value in torch_layers(network).items():
        layer, part = name.rsplit(".", 1)
        weights[f"{layer.replace('.', '_')}/{dict(PARTS)[part]}"] = value
    kernels = [weights[f"skip_{i}/kernel"] for i in range(len(network.dilations))]
    weights |= {"skip/kernel": np.concatenate(kernels, axis=1), "skip/bias": weights["skip_0/bias"]}
    found = []
    for row in x.astype(int):
        logits = wavenet.parameters(weights, np.eye(network.levels)[row], network.dilations, {}, 1)
        found.append((logits[np.arange(len(row)), row] - np.log(np.exp(logits).sum(-1))).sum())
    return found


def test_torch_wavenet_log_prob_equals_numpy_in_the_pass_and_in_its_cached_steps():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    network, x = wavenet_peer()
    expected = numpy_wavenet_log_prob(network, x)
    np.testing.assert_allclose(
        log_prob_call(functools.partial(torch_wavenet.losses, network), x)(), expected, rtol=1e-5
    )
    np.testing.assert_allclose(torch_wavenet.sample_call(network, 2, 20, forced=x)(), expected, rtol=1e-5)


def test_torch_wavenet_trains_and_draws_levels():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    network, x = wavenet_peer()
    step = train_step_call(network, functools.partial(torch_wavenet.losses, network), np.repeat(x[:1], 20, axis=0), 10)
    losses = [step() for _ in range(30)]
    assert losses[-1] < losses[0]
    samples = torch_wavenet.sample_call(network, 4, 12)()
    assert samples.shape == (4, 12) and samples.min() >= 0 and samples.max() < 7
