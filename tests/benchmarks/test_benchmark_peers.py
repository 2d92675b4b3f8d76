"""The peers compute what they claim: their log-likelihoods equal a NumPy evaluation of the same weights."""

import functools
import importlib
import io

import numpy as np
import pytest
from PIL import Image

from benchmarks.peers import (
    codecs,
    tfp_made,
    torch_darn,
    torch_made,
    torch_nade,
    torch_pixel_cnn,
    torch_pixel_rnn,
    torch_pixel_vae,
    torch_rnade,
    torch_wavenet,
)
from benchmarks.peers.masks import made_masks, random_bits, random_reals
from benchmarks.peers.torch_side import log_prob_call, torch_or_unavailable, train_step_call
from tests.parameters import few_by_default
from tests.reference import darn, gated_pixel_cnn, pixel_cnn, pixel_rnn, pixel_vae, rnade, wavenet

EVENT_SIZE, HIDDEN, BATCH = 12, (16, 20), 7


def numpy_log_prob(kernels, biases, x):
    """Bernoulli log-probabilities of a ReLU network with kernels `[in, out]`, in float64."""
    hidden = x.astype(np.float64)
    for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
        hidden = np.maximum(hidden @ kernel + bias, 0)
    logits = hidden @ kernels[-1] + biases[-1]
    return (x * logits - np.logaddexp(0, logits)).sum(-1)


def connections(kernels):
    """Which outputs depend on which inputs, `[in, out]`."""
    paths = np.eye(len(kernels[0]))
    for kernel in kernels:
        paths = paths @ (np.abs(kernel) > 0)
    return paths > 0


@pytest.mark.parametrize("order", ["natural", "random"])
def test_masks_are_autoregressive_and_connect(order):
    masks = made_masks(EVENT_SIZE, (200,), np.random.default_rng(0), order)
    paths = connections([mask.T for mask in masks])
    assert paths.sum() == EVENT_SIZE * (EVENT_SIZE - 1) // 2
    assert not (paths & paths.T).any()
    assert order == "random" or not np.tril(paths).any()


@pytest.mark.parametrize("mode", ["tf.function", "XLA"])
def test_tfp_log_prob_equals_numpy(mode):
    dist, network = tfp_made.make_distribution(EVENT_SIZE, HIDDEN)
    x = random_bits(BATCH, EVENT_SIZE, seed=1)
    weights = network.get_weights()
    kernels = weights[::2]
    assert not np.tril(connections(kernels)).any()
    found = tfp_made.log_prob_calls(dist, x)[mode]()
    np.testing.assert_allclose(found, numpy_log_prob(kernels, weights[1::2], x), rtol=1e-5)


@pytest.mark.parametrize("mode", ["tf.function", "XLA"])
def test_tfp_train_step_keeps_the_order_and_lowers_the_loss(mode):
    dist, network = tfp_made.make_distribution(EVENT_SIZE, HIDDEN)
    x = np.repeat(random_bits(1, EVENT_SIZE, seed=1), 20, axis=0)
    step = tfp_made.train_step_calls(dist, network, x, 10)[mode]
    losses = [step() for _ in range(30)]
    assert losses[-1] < losses[0]
    assert not np.tril(connections(network.get_weights()[::2])).any()


def test_tfp_samples_are_bits():
    dist, _ = tfp_made.make_distribution(EVENT_SIZE, HIDDEN)
    samples = tfp_made.sample_call(dist, BATCH)()
    assert samples.shape == (BATCH, EVENT_SIZE)
    assert set(np.unique(samples)) == {0.0, 1.0}


@pytest.mark.parametrize("num_masks", [1, 3])
def test_torch_log_prob_equals_numpy(num_masks):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    network, masks = torch_made.make_network(EVENT_SIZE, HIDDEN, num_masks=num_masks, order="random")
    x = random_bits(BATCH, EVENT_SIZE, seed=1)
    members = []
    for member in masks:
        kernels = [(layer.weight * mask).detach().numpy().T for layer, mask in zip(network, member, strict=True)]
        biases = [layer.bias.detach().numpy() for layer in network]
        members.append(numpy_log_prob(kernels, biases, x))
    found = torch_made.log_prob_calls(network, masks, x)["eager"]()
    np.testing.assert_allclose(found, np.logaddexp.reduce(members) - np.log(num_masks), rtol=1e-5)


def test_torch_comes_without_triton():
    """Which a PyTorch for GPUs would import beside TensorFlow, where that is a segmentation fault."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    torch_or_unavailable()
    with pytest.raises(ImportError):
        importlib.import_module("triton")


@pytest.mark.slow(ci=True)
def test_torch_train_step_lowers_the_loss():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    network, masks = torch_made.make_network(EVENT_SIZE, HIDDEN)
    x = np.repeat(random_bits(1, EVENT_SIZE, seed=1), 20, axis=0)
    step = torch_made.train_step_calls(network, masks, x, 10)["eager"]
    losses = [step() for _ in range(30)]
    assert losses[-1] < losses[0]


def test_peers_are_of_one_size():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    torch = torch_made.build(EVENT_SIZE, HIDDEN, BATCH, use_compile=False)
    assert torch.parameters == tfp_made.build(EVENT_SIZE, HIDDEN, BATCH).parameters


# NADE ----------------------------------------------------------------------------------------------------------------


def test_torch_nade_log_prob_equals_numpy():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    network = torch_nade.make_network(EVENT_SIZE, 16)
    rng = np.random.default_rng(2)
    weights = {name: rng.normal(scale=0.3, size=parameter.shape) for name, parameter in network.items()}
    for name, parameter in network.items():
        parameter.data.copy_(parameter.new_tensor(weights[name]))
    x = random_bits(BATCH, EVENT_SIZE, seed=1).astype(np.float64)
    expected = np.zeros(BATCH)
    for d in range(EVENT_SIZE):
        hidden = np.maximum(weights["c"] + x[:, :d] @ weights["w"][:, :d].T, 0.0)
        logits = hidden @ weights["v"][d] + weights["b"][d]
        expected += x[:, d] * logits - np.logaddexp(0, logits)
    found = log_prob_call(functools.partial(torch_nade.losses, network), x.astype(np.float32))()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_torch_nade_train_step_lowers_the_loss():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    network = torch_nade.make_network(EVENT_SIZE, 16)
    rows = np.repeat(random_bits(1, EVENT_SIZE, seed=1), 20, axis=0)
    step = train_step_call(network, functools.partial(torch_nade.losses, network), rows, 10)
    losses = [step() for _ in range(30)]
    assert losses[-1] < losses[0]


def test_torch_nade_samples_follow_the_first_conditional_and_the_recursion():
    """Every site copies the first: hidden units that see it decide the rest."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    network = torch_nade.make_network(EVENT_SIZE, 4)
    network["w"].data.zero_()
    network["w"].data[:, 0] = 40.0
    network["c"].data.fill_(-20.0)
    network["v"].data.fill_(20.0)
    network["b"].data.fill_(-40.0)
    network["b"].data[0] = 0.0
    torch.manual_seed(0)
    samples = torch_nade.sample_call(network, 400)()
    assert (samples == samples[:, :1]).all()
    assert 140 < samples[:, 0].sum() < 260, "five standard deviations of fair coins"


def test_nade_and_its_peer_are_of_one_size():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    torch = torch_nade.build(EVENT_SIZE, 16, BATCH)
    assert torch.parameters == 2 * EVENT_SIZE * 16 + EVENT_SIZE + 16
    assert set(torch.operations) == {"log_prob", "sample", "train_step"}


# RNADE ---------------------------------------------------------------------------------------------------------------


def drawn_rnade(num_units, num_components):
    """A network of the peer with drawn weights, and the weights as the reference names them."""
    network = torch_rnade.make_network(EVENT_SIZE, num_units, num_components)
    rng = np.random.default_rng(2)
    drawn = {name: rng.normal(scale=0.3, size=parameter.shape) for name, parameter in network.items()}
    for name, parameter in network.items():
        parameter.data.copy_(parameter.new_tensor(drawn[name]))
    v, b = np.split(drawn["v"], 3, axis=1), np.split(drawn["b"], 3, axis=1)
    zeros, ones = np.zeros(EVENT_SIZE), np.ones(EVENT_SIZE)
    return network, rnade.Weights(drawn["w"], drawn["c"], drawn["rho"], *v, *b, loc=zeros, scale=ones)


def test_torch_rnade_log_prob_equals_numpy():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    network, weights = drawn_rnade(6, 3)
    x = random_reals(BATCH, EVENT_SIZE, seed=1)
    found = log_prob_call(functools.partial(torch_rnade.losses, network), x)()
    expected = [rnade.log_prob(weights, row, None, "relu", "normal", torch_rnade.MIN_SCALE) for row in x]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_torch_rnade_train_step_lowers_the_loss():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    network = torch_rnade.make_network(EVENT_SIZE, 16, 3)
    rows = np.repeat(random_reals(1, EVENT_SIZE, seed=1), 20, axis=0)
    step = train_step_call(network, functools.partial(torch_rnade.losses, network), rows, 10)
    losses = [step() for _ in range(30)]
    assert losses[-1] < losses[0]


def test_torch_rnade_samples_follow_the_density():
    """Means and the product of the two sites are those of the density, which is summed over a grid."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    network = torch_rnade.make_network(2, 4, 2)
    rng = np.random.default_rng(3)
    for parameter in network.values():
        parameter.data.copy_(parameter.new_tensor(rng.normal(size=parameter.shape)))
    torch.manual_seed(0)
    samples = torch_rnade.sample_call(network, 20_000)()
    points = np.linspace(-25.0, 25.0, 501)
    grid = np.stack(np.meshgrid(points, points, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.float32)
    density = (
        np.exp(log_prob_call(functools.partial(torch_rnade.losses, network), grid)()) * (points[1] - points[0]) ** 2
    )
    assert density.sum() == pytest.approx(1.0, abs=1e-3)
    mean, square = density @ grid, density @ grid**2
    product = density @ np.prod(grid, axis=1)
    error = 5 * np.sqrt((square - mean**2) / len(samples))
    assert (abs(samples.mean(axis=0) - mean) < error).all()
    spread = samples.prod(axis=1)
    assert abs(spread.mean() - product) < 5 * spread.std() / np.sqrt(len(samples))


def test_rnade_and_its_peer_are_of_one_size():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    torch = torch_rnade.build(EVENT_SIZE, 16, 3, BATCH)
    assert torch.parameters == rnade.num_parameters(EVENT_SIZE, 16, 3)
    assert set(torch.operations) == {"log_prob", "sample", "train_step"}


# Images --------------------------------------------------------------------------------------------------------------


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


PARTS = (("weight", "kernel"), ("bias", "bias"))


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


# Codecs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", codecs.FORMATS)
def test_codecs_are_lossless_and_counted_by_their_files(codec):
    if not codecs.available(codec):
        pytest.skip(f"{codec} needs pillow-jxl-plugin")
    images = np.random.default_rng(0).integers(0, 256, size=(3, 8, 9, 3)).astype(np.uint8)
    images[2] = 7
    files = [codecs.encoded(image, codecs.FORMATS[codec]) for image in images]
    for image, file in zip(images, files, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(file)).convert("RGB")), image)
    found = codecs.bits_per_dim(images)
    assert found[f"{codec}, a file a patch"] == pytest.approx(8 * sum(map(len, files)) / images.size, abs=1e-3)
    assert found[f"{codec}, sheets"] < found[f"{codec}, a file a patch"]


def test_torch_darn_equals_the_loops_of_the_paper():
    """The negative bound with the entropy of q in closed form, for the latent that the noise draws."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    network, x = torch_darn.make_network(5, 3, seed=1), random_bits(4, 5, seed=1)
    for value in network.values():
        torch.nn.init.normal_(value)
    uniform = np.random.default_rng(0).random([4, 3]).astype(np.float32)
    found = torch_darn.losses(network, torch.from_numpy(x), torch.from_numpy(uniform)).detach().numpy()
    weights = {name: value.detach().numpy().astype(np.float64) for name, value in network.items()}
    prior, decoder = darn.Layer(weights["bh"], weights["h"]), darn.Layer(weights["bx"], weights["x"], weights["u"])
    encoder = darn.Layer(weights["bq"], None, weights["q"])
    for row, noise, loss in zip(x, uniform, found, strict=True):
        probs = [1.0 / (1.0 + np.exp(-darn.logit(encoder, [0.0] * 3, row, j))) for j in range(3)]
        bits = [float(u >= 1.0 - q) for u, q in zip(noise, probs, strict=True)]
        entropy = -sum(q * np.log(q) + (1 - q) * np.log(1 - q) for q in probs)
        expected = -darn.log_prob(decoder, row, bits) - darn.log_prob(prior, bits, None) - entropy
        np.testing.assert_allclose(loss, expected, rtol=1e-5)
