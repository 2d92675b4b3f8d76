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
    torch_doc_nade,
    torch_made,
    torch_nade,
    torch_rnade,
)
from benchmarks.peers.masks import made_masks, random_bits, random_reals, random_words
from benchmarks.peers.torch_side import log_prob_call, torch_or_unavailable, train_step_call
from tests.reference import darn, doc_nade, rnade

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


def test_torch_doc_nade_equals_the_loops_of_the_paper():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    network, x = torch_doc_nade.make_network(6, 3, seed=1), random_words(4, 5, 6, seed=1)
    for value in network.values():
        torch.nn.init.normal_(value)
    found = torch_doc_nade.losses(network, torch.from_numpy(x)).detach().numpy()
    weights = {name: value.detach().numpy().astype(np.float64) for name, value in network.items()}
    score = doc_nade.softmax_log_prob(weights["u"], weights["b"])
    own = {"words/embeddings": weights["w"], "bias": weights["c"]}
    expected = [-doc_nade.log_prob(own, row.astype(int).tolist(), score, ends=False) for row in x]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_torch_doc_nade_draws_the_words_of_its_probabilities():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.manual_seed(0)
    network = torch_doc_nade.make_network(3, 2, seed=1)
    for value in network.values():
        torch.nn.init.normal_(value)
    events = np.float32([[i, j] for i in range(3) for j in range(3)])
    probs = np.exp(-torch_doc_nade.losses(network, torch.from_numpy(events)).detach().numpy())
    assert probs.sum() == pytest.approx(1.0, abs=1e-5)
    drawn = torch_doc_nade.sample(network, 20_000, 2).astype(int)
    shares = np.bincount(drawn[:, 0] * 3 + drawn[:, 1], minlength=9) / 20_000
    np.testing.assert_allclose(shares, probs, atol=0.02)


def test_doc_nade_and_its_peer_are_of_one_size():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    cases = importlib.import_module("benchmarks.models.doc_nade")
    ours, torch = cases.build_ours(9, 4, 2, 3), torch_doc_nade.build(9, 4, 2, 3)
    assert ours.parameters == torch.parameters == 2 * 9 * 4 + 4 + 9
    assert set(torch.operations) == {"log_prob", "sample", "train_step"}
