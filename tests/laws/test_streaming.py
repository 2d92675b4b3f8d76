"""Streams: entries of sequences one at a time, rows at positions of their own."""

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.contract_networks import GroupsNetwork, SequenceNetwork, SteppingSequenceNetwork
from tests.registry import randomize
from tfar.laws.streaming import Stream, can_stream
from tfar.serving.signatures import signatures

LENGTH, ROWS = 6, 4


def sequence(head=None, network=SequenceNetwork, **kwargs):
    head = head or tfar.heads.Bernoulli()
    return randomize(tfar.Autoregressive(network(params_size=head.params_size, **kwargs), head, jit_compile=False))


CASES = {
    "bits": sequence,
    "classes": lambda: sequence(tfar.heads.Categorical(5)),
    "normals": lambda: sequence(tfar.heads.NormalMixture(2)),
    "channels": lambda: sequence(channels=2, conditional_size=3),
    "tempered": lambda: sequence().with_temperature(0.3),
    "truncated": lambda: sequence(tfar.heads.Categorical(5)).with_top_k(3).with_top_p(0.9),
}


@pytest.fixture(params=list(CASES), scope="module")
def drawn(request):
    """A distribution, conditions, row seeds and the sequences of the seeds."""
    dist = CASES[request.param]()
    seeds = tfar.random.row_seeds(9, ROWS)
    condition = None
    if dist.conditional_shape:
        condition = tf.constant(np.random.default_rng(0).normal(size=(ROWS, LENGTH, 3)), tf.float32)
    value = np.asarray(dist.law.sample(seeds, condition, LENGTH))
    return dist, condition, seeds, value, np.asarray(dist.site_log_probs(value, conditional_input=condition))


def test_a_stream_draws_the_sequence_of_its_seed(drawn):
    dist, condition, seeds, value, shares = drawn
    stream = Stream(dist.law)
    state, entry = stream.start(ROWS, condition), tf.zeros([ROWS, *value.shape[2:]])
    for t in range(LENGTH):
        entry, log_prob, state = stream.step(state, tf.fill([ROWS], t), entry, seeds)
        np.testing.assert_allclose(entry, value[:, t], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(log_prob, shares.reshape(ROWS, LENGTH, -1)[:, t].sum(1), rtol=1e-4, atol=1e-5)


def test_rows_go_on_after_prefixes_of_different_lengths(drawn):
    dist, condition, seeds, value, _ = drawn
    lengths = np.arange(ROWS, dtype=np.int32)
    padded = value.copy()
    for row, length in enumerate(lengths):
        padded[row, length:] = np.nan
    stream = Stream(dist.law)
    state = stream.prefill(tf.constant(padded), tf.constant(lengths), condition)
    previous = value[np.arange(ROWS), np.maximum(lengths - 1, 0)]
    for ahead in range(LENGTH - ROWS):
        index = lengths + ahead
        previous, _, state = stream.step(state, tf.constant(index), previous, seeds)
        np.testing.assert_allclose(previous, value[np.arange(ROWS), index], rtol=1e-4, atol=1e-5)


def test_an_impossible_entry_makes_its_own_row_nan_from_then_on():
    dist = sequence()
    stream, seeds = Stream(dist.law), tfar.random.row_seeds(9, 3)
    state = stream.start(3, None)
    entry, _, state = stream.step(state, tf.zeros([3], tf.int32), tf.fill([3], np.nan), seeds)
    assert np.isfinite(entry).all()
    bad = tf.constant([0.0, 0.5, 1.0])
    for t in (1, 2):
        entry, log_prob, state = stream.step(state, tf.fill([3], t), bad, seeds)
        for found in (entry, log_prob, tf.reduce_sum(state["h"], axis=1)):
            assert np.isnan(found).tolist() == [False, True, False]
        bad = tf.constant([0.0, 1.0, 1.0])
    prefix = tf.constant([[0.0, 0.5], [0.0, 0.5]])
    state = stream.prefill(prefix, tf.constant([1, 2]), None)
    assert np.isnan(state["h"]).all(axis=1).tolist() == [False, True]


@pytest.mark.parametrize(
    ("make", "streams", "names"),
    [
        (sequence, True, {"start", "step", "step_chunk", "prefill"}),
        (lambda: sequence(network=SteppingSequenceNetwork), True, {"start", "step", "step_chunk"}),
        (lambda: sequence().with_length(4), True, set()),
        (lambda: randomize(tfar.Autoregressive(GroupsNetwork([0, 1, 1]), tfar.heads.Bernoulli())), False, set()),
        (lambda: tfar.MADE([4], [8]), False, set()),
    ],
)
def test_only_sequences_of_any_length_offer_streams(make, streams, names):
    dist = make()
    assert can_stream(dist.law) is streams
    assert set(signatures(dist)) & {"start", "step", "step_chunk", "prefill"} == names
