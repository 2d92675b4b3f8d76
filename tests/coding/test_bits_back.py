"""Bits-back coding: round trips, the size against latents that are enumerated, and archives that are damaged or foreign."""

import itertools

import keras
import numpy as np
import pytest

import tfar
from tests.cases import randomize
from tests.latent_models import binary
from tests.parameters import few_by_default
from tests.reference.oracles.latent import darn_log_prob
from tfar.coding.archive import Archive, DamagedWords
from tfar.coding.bits_back import BitsBack
from tfar.coding.stack import LEAST_WORDS, OutOfBits, Stack

HEADER, ENTRY, CHECK, WORD = 88, 8, 4, 4
UNITS, NUM_BITS = [2, 1], 3
CODES = np.array(list(itertools.product([0.0, 1.0], repeat=NUM_BITS)), np.float32)
EVENTS = np.array(list(itertools.product([0.0, 1.0], repeat=4)), np.float32).reshape(-1, 2, 2)
SIGMAS = 5.0


def darn(*sizes, scale=0.8, jit_compile=False, **kwargs):
    return randomize(tfar.DARN(*sizes, jit_compile=jit_compile, **kwargs), scale=scale)


def small():
    """Layers of two sizes above four bits, with weights by which the latents matter."""
    return darn([2, 2], UNITS, scale=0.9, hidden_units=[3], encoder_units=[4], order="reverse")


def classes():
    """Latents of three values under a prior that has latents itself."""
    shared = {"head": tfar.heads.Categorical(3), "jit_compile": False}
    upper = tfar.LatentVariable(
        tfar.Factorized([1], **shared),
        tfar.Factorized([1], network=keras.layers.Dense(3), conditional_shape=[2], **shared),
        tfar.MADE([2], [4], conditional_shape=[1], seed=1, **shared),
    )
    encoder = tfar.NADE([2], 3, conditional_shape=[3], seed=2, **shared)
    head = tfar.heads.Categorical(5)
    decoder = tfar.MADE([3], [4], head=head, conditional_shape=[2], seed=3, jit_compile=False)
    return randomize(tfar.LatentVariable(upper, encoder, decoder), scale=0.8)


MODELS = {
    "layers": lambda: darn([3, 2], [5, 3, 4], hidden_units=[4], seed=1),
    "autoregressive": lambda: darn([6], [4, 2], encoder_autoregression=True, order="random"),
    "compiled": lambda: darn([4], [1, 1, 2], jit_compile=True),
    "made": binary,
    "hierarchy": classes,
    "independent": lambda: darn([6], [3], visible_autoregression=False),
    "sure": lambda: darn([5], [4, 2], scale=20.0),
}


def any_rows(dist, count):
    """Rows of which every value of a site is equally likely, whatever the model says."""
    values = dist.head.support().num_values
    return np.random.default_rng(count).integers(0, values, [count, *dist.event_shape]).astype(np.float32)


@pytest.fixture(scope="module")
def dist():
    return small()


@pytest.fixture(scope="module")
def terms(dist):
    """log2 p(z) `[codes]`, log2 q(z | x) and log2 p(x | z) `[events, codes]`, from the loops of the paper."""
    prior = [darn_log_prob(dist.prior, z, None) for z in CODES]
    encoder = [[darn_log_prob(dist.encoder, z, x) for z in CODES] for x in EVENTS]
    decoder = [[darn_log_prob(dist.decoder, x, z) for z in CODES] for x in EVENTS]
    return tuple(np.array(part) / np.log(2.0) for part in (prior, encoder, decoder))


@pytest.fixture(scope="module")
def stored(dist):
    """Rows, and the archive of them in four chunks, the last of which is smaller."""
    x = any_rows(dist, 64)
    return x, tfar.coding.compress(dist, x, chunk_rows=20)


@pytest.fixture(scope="module")
def coder(dist):
    return BitsBack(dist, 20)


def bits_of(stack):
    position, state = stack._coder.pos()
    return 32.0 * position + np.log2(float(state))


# Round trips ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", few_by_default(MODELS, in_ci=4))
def test_rows_come_back(name):
    dist = MODELS[name]()
    for count, chunk_rows in ((1, None), (75, 30)):
        x = any_rows(dist, count)
        blob = tfar.coding.compress(dist, x, chunk_rows=chunk_rows)
        back = tfar.coding.decompress(dist, blob)
        assert back.dtype == np.float32
        np.testing.assert_array_equal(back, x)


def test_very_unlikely_rows_come_back():
    """Rows of which the model is sure that they do not occur: a value costs at most the 24 bits of the coder's precision."""
    dist = darn([6], [3], scale=0.1)
    dist.decoder.network.bias.assign(np.full([6], 200.0))
    x = np.zeros([40, 6], np.float32)
    assert dist.elbo(x, seed=0).numpy().max() < -1000.0
    blob = tfar.coding.compress(dist, x)
    np.testing.assert_array_equal(tfar.coding.decompress(dist, blob), x)
    assert len(blob) < HEADER + CHECK + ENTRY + 40 * 6 * 3.1 + 40


@pytest.mark.parametrize("rows", [slice(15, 45), slice(63, 3, -7), slice(5, 5)])
def test_some_rows_come_back(dist, stored, rows):
    x, blob = stored
    np.testing.assert_array_equal(tfar.coding.decompress(dist, blob, rows), x[rows])


def test_no_rows_come_back(dist):
    blob = tfar.coding.compress(dist, np.zeros([0, 2, 2]))
    assert len(blob) == HEADER + CHECK
    assert tfar.coding.decompress(dist, blob).shape == (0, 2, 2)


def test_the_same_rows_give_the_same_archive(dist, stored):
    x, blob = stored
    assert tfar.coding.compress(dist, x, chunk_rows=20) == blob


# Size ----------------------------------------------------------------------------------------------------------------


def test_the_size_is_the_description_length(dist, terms):
    """With latents that are enumerated, from the equations of the paper, all initial bits included."""
    prior, encoder, decoder = terms
    length, q = encoder - prior - decoder, np.exp2(encoder)
    mean = (q * length).sum(axis=1)
    variance = (q * (length - mean[:, None]) ** 2).sum(axis=1)
    x, count = any_rows(dist, 6000), 6000
    number = (x.reshape(count, 4) @ [8, 4, 2, 1]).astype(int)
    (chunk,) = Archive.from_bytes(tfar.coding.compress(dist, x, chunk_rows=count)).chunks
    bits, expected, noise = 32 * len(chunk.words), mean[number].sum(), np.sqrt(variance[number].sum())
    assert SIGMAS * noise < 0.02 * expected
    assert expected - SIGMAS * noise < bits < 1.005 * expected + SIGMAS * noise + 3 * 32


def test_a_batch_takes_the_bits_of_its_latents_and_they_follow_the_encoder(dist, terms, coder):
    """The stack grows by log2 q(z | x) - log2 p(z) - log2 p(x | z) of the latents that its bits choose."""
    prior, encoder, decoder = terms
    model, event, drawn, growth = coder._model, 6, [], 0.0
    stack = Stack(np.random.default_rng(0).integers(1, 2**32, 1000, np.uint32))
    for _ in range(120):
        before = bits_of(stack)
        model.push(stack, np.repeat(EVENTS[event : event + 1], 16, axis=0))
        growth += bits_of(stack) - before
        drawn += model.prior.pop(stack.copy(may_grow=False), 16).tolist()
    number = (np.array(drawn) @ [4, 2, 1]).astype(int)
    lengths = encoder[event] - prior - decoder[event]
    np.testing.assert_allclose(growth, lengths[number].sum(), rtol=1e-4)
    counts = np.bincount(number, minlength=len(CODES))
    tfar.testing.samples.require_frequencies(counts, np.exp2(encoder[event]), 1e-4, "latents")


def test_few_bits_are_needed_to_start():
    """Latents of 100 bits of which the events say little: a row needs 100 bits, of which all but a few come back."""
    dist = darn([30], [100], scale=0.01)
    x, coder = any_rows(dist, 300), BitsBack(dist, 1024)
    stack = coder.stack_of(x)
    assert 100 / 32 < stack.num_initial < 100 / 32 + LEAST_WORDS + 1
    length = float(np.sum(dist.description_length(x, seed=0).total))
    assert 0.99 * length < 32 * (len(stack.words) - stack.num_initial) < 1.02 * length
    np.testing.assert_array_equal(coder.decode(stack.words, 300, None), x)


# Damage and foreign archives -----------------------------------------------------------------------------------------


def test_every_damaged_byte_of_a_chunk_is_found(coder, stored):
    x, blob = stored
    archive = Archive.from_bytes(blob)
    words = archive.chunks[1].words
    for place in range(WORD * len(words)):
        bad = bytearray(words.tobytes())
        bad[place] ^= 1 << place % 8
        try:
            rows = coder.decode(np.frombuffer(bytes(bad), np.uint32), 20, None)
        except DamagedWords:
            continue
        assert not np.array_equal(rows, x[20:40])  # which the checksum of the chunk tells
    np.testing.assert_array_equal(coder.decode(words, 20, None), x[20:40])


def test_a_damaged_chunk_is_named_and_the_others_can_be_read(dist, stored):
    x, blob = stored
    start = HEADER + 4 * ENTRY + CHECK + WORD * len(Archive.from_bytes(blob).chunks[0].words)
    bad = bytearray(blob)
    bad[start] ^= 1  # the lowest word of the second chunk, which only the words at the start tell
    with pytest.raises(ValueError, match="chunk 1, rows 20 to 39, is damaged"):
        tfar.coding.decompress(dist, bytes(bad))
    np.testing.assert_array_equal(tfar.coding.decompress(dist, bytes(bad), slice(40, 64)), x[40:64])
    archive = Archive.from_bytes(blob)
    for words in (archive.chunks[1].words[:-1], np.zeros([3], np.uint32), np.zeros([0], np.uint32)):
        chunks = [archive.chunks[0], archive.chunks[1]._replace(words=words), *archive.chunks[2:]]
        with pytest.raises(ValueError, match="chunk 1, rows 20 to 39, is damaged"):
            tfar.coding.decompress(dist, archive._replace(chunks=chunks).to_bytes())
    for short in (blob[:-1], blob[:50], b""):
        with pytest.raises(ValueError, match=r"Expected ([0-9]+ bytes|bytes that)"):
            tfar.coding.decompress(dist, short)


def test_another_model_is_refused(stored):
    _, blob = stored
    for part in ("prior", "encoder", "decoder"):
        other = small()
        getattr(other, part).network.bias.assign_add(np.full(getattr(other, part).network.bias.shape, 1e-6))
        with pytest.raises(ValueError, match="received one with other weights"):
            tfar.coding.decompress(other, blob)
    with pytest.raises(ValueError, match="received one with other weights"):
        tfar.coding.decompress(tfar.NADE([2, 2], 3), blob)


def test_a_model_that_computes_other_bits_is_refused(dist, stored):
    _, blob = stored
    elsewhere = Archive.from_bytes(blob)._replace(probe=bytes(32)).to_bytes()
    with pytest.raises(ValueError, match=r"only the same machine.*A model with a latent variable cannot be frozen"):
        tfar.coding.decompress(dist, elsewhere)
    for part in ("prior", "encoder", "decoder"):  # of the same weights
        other = small()
        getattr(other, part).network.activation = None
        hidden = [layer for layer in getattr(other, part).network.dense_layers if "hidden" in layer.name]
        for layer in hidden:
            layer.activation = keras.activations.sigmoid
        with pytest.raises(ValueError, match="it computes others here"):
            tfar.coding.decompress(other, blob)


# What does not serve -------------------------------------------------------------------------------------------------


def test_rows_are_checked(dist):
    x = np.zeros([20, 2, 2])
    x[12, 1, 1] = 0.5
    with pytest.raises(ValueError, match="at row 12, site 3"):
        tfar.coding.compress(dist, x, chunk_rows=10)
    with pytest.raises(ValueError, match=r"shape \[N, 2, 2\]; received \[3, 4\]"):
        tfar.coding.compress(dist, np.zeros([3, 4]))
    with pytest.raises(ValueError, match="Expected no `conditional_input`"):
        tfar.coding.compress(dist, np.zeros([3, 2, 2]), conditional_input=np.zeros([3, 1]))


def other_values():
    head = tfar.heads.Categorical(3)
    encoder = tfar.Factorized([2], head, network=keras.layers.Dense(6), conditional_shape=[3])
    return tfar.LatentVariable(tfar.Factorized([2]), encoder, tfar.NADE([3], 2, conditional_shape=[2]))


def several_masks():
    prior = tfar.MADE([2], [4], num_masks=2)
    encoder = tfar.Factorized([2], network=keras.layers.Dense(2), conditional_shape=[3])
    return tfar.LatentVariable(prior, encoder, tfar.NADE([3], 2, conditional_shape=[2]))


def small_pixel_vae(**kwargs):
    return tfar.PixelVAE([4, 4], 2, filters=4, num_blocks=1, **{"encoder_filters": [3], **kwargs})


REFUSED = {
    "real": (small_pixel_vae, r"finitely many values.* this PixelVAE are real numbers \(Normal\)"),
    "map": (
        lambda: small_pixel_vae(encoder_filters=[3, 3], condition="upsample", num_levels=2),
        "this PixelVAE are real numbers",
    ),
    "other_values": (other_values, r"same values; received whole numbers 0 \.\. 2 and \{0, 1\}"),
    "masks": (several_masks, "one member.*MADE with 2 members"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_models_that_do_not_serve_are_refused(name):
    make, message = REFUSED[name]
    dist = make()
    with pytest.raises(ValueError, match=message):
        tfar.coding.compress(dist, np.zeros([2, *dist.event_shape]))


def test_a_model_with_a_latent_variable_is_not_frozen(dist):
    with pytest.raises(ValueError, match=r"DARN, which has a latent variable. It can compress without being frozen"):
        tfar.coding.freeze(dist)


# The stack -----------------------------------------------------------------------------------------------------------


def test_a_stack_returns_what_was_pushed_and_grows_only_if_it_may():
    rng = np.random.default_rng(0)
    values, probs = rng.integers(0, 3, 50).astype(np.int32), rng.dirichlet([1.0] * 3, 50).astype(np.float32)
    stack = Stack().copy(may_grow=True)
    first = stack.pop(probs)
    assert stack.num_initial > 0 and len(stack.words) >= LEAST_WORDS
    stack.push(values, probs)
    np.testing.assert_array_equal(stack.pop(probs), values)
    stack.push(first, probs)
    assert stack.is_initial() and len(stack.words) == stack.num_initial
    stack.push(values[:1], probs[:1])
    assert not stack.is_initial()
    with pytest.raises(OutOfBits):
        Stack().pop(probs)
