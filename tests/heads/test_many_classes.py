"""Heads of many classes: their trees, what they hold in memory, their initial weights and their errors."""

import heapq
import math

import numpy as np
import pytest
import tensorflow as tf

from tests.parameters import few_by_default
from tfar import heads
from tfar.heads import chunks
from tfar.heads.trees import SMALLEST_SHARE, balanced_tree, frequency_tree

COUNTS = np.random.default_rng(0).zipf(1.3, 50).clip(0, 10_000) - 1


def lengths(tree):
    return np.abs(tree.signs).sum(axis=1).astype(int)


@pytest.mark.parametrize("count", [2, 3, 8, 13, 50])
def test_a_balanced_tree_has_paths_of_nearly_one_length(count):
    order = np.random.default_rng(count).permutation(count)
    tree = balanced_tree(order)
    assert set(lengths(tree)) <= {math.floor(math.log2(count)), math.ceil(math.log2(count))}
    assert tree.depth == math.ceil(math.log2(count))
    check_paths(tree)


def check_paths(tree):
    """Every path, followed from the root, ends at its class; every node is used."""
    for k, (nodes, signs) in enumerate(zip(tree.nodes, tree.signs, strict=True)):
        place = 0
        for node, sign in zip(nodes, signs, strict=True):
            if sign:
                assert node == place
                place = tree.children[place, int(sign > 0)]
        assert place == len(tree.children) + k
    assert sorted(tree.children.ravel()) == list(range(1, 2 * len(tree.children) + 1))


def test_leaves_are_in_the_given_order():
    """From left to right: the turns of a path, read as a binary fraction, increase."""
    order = [3, 0, 4, 2, 1]
    turns = (balanced_tree(order).signs > 0) @ (0.5 ** np.arange(1, 4))
    assert list(np.argsort(turns)) == order


def test_a_frequency_tree_is_the_shortest_code():
    counts = np.maximum(COUNTS, COUNTS.mean() // 8)  # none is so small that it is raised
    tree = frequency_tree(counts)
    check_paths(tree)
    heap = list(counts)
    heapq.heapify(heap)
    best = 0
    while len(heap) > 1:  # The sum over inner nodes of their counts is the length of the code (Huffman 1952).
        joined = heapq.heappop(heap) + heapq.heappop(heap)
        best += joined
        heapq.heappush(heap, joined)
    assert counts @ lengths(tree) == best < counts @ lengths(balanced_tree(range(50)))


def test_the_depth_of_a_frequency_tree_is_bounded():
    """Fibonacci numbers make the deepest trees: one level a class if small counts were not raised."""
    counts = [1, 1]
    while len(counts) < 60:
        counts.append(counts[-1] + counts[-2])
    golden = (1 + math.sqrt(5)) / 2
    assert frequency_tree(counts).depth <= 1 + math.log(2 * 60 / SMALLEST_SHARE, golden) < 30


@pytest.mark.parametrize("make", [heads.DenseSoftmax, heads.TreeSoftmax])
def test_the_initial_bias_gives_the_classes_their_frequencies(make):
    probs = make(50, 4, counts=COUNTS).probs(tf.constant([[0.0] * 4 + [1.0]]))[0]
    np.testing.assert_allclose(probs, COUNTS / COUNTS.sum(), atol=2e-3)
    np.testing.assert_allclose(make(50, 4).probs(tf.constant([[0.0] * 4 + [1.0]]))[0].numpy().max(), 0.02, atol=0.02)


@pytest.mark.parametrize(
    ("make", "compiled"),
    few_by_default([(m, c) for c in (False, True) for m in (heads.DenseSoftmax, heads.TreeSoftmax)], count=2),
)
def test_chunks_change_neither_values_nor_gradients(make, compiled, monkeypatch):
    head, rng = make(50, 4, counts=COUNTS), np.random.default_rng(1)
    params, x = rng.normal(size=(7, 5, 5)).astype(np.float32), rng.integers(50, size=(7, 5)).astype(np.float32)
    weights = rng.normal(size=(7, 5)).astype(np.float32)

    def scores(params):
        variables = [variable.value for variable in head.variables]
        with tf.GradientTape() as tape:
            tape.watch(params)
            log_prob = head.log_prob(params, x)
            total = tf.reduce_sum(log_prob * weights)
        gradients = tape.gradient(total, [params, *variables])
        noise = head.noise(params, x, tf.fill([7, 5, head.noise_size], 0.5))
        return [log_prob, noise, *map(tf.convert_to_tensor, gradients)]

    head.build()
    whole = scores(tf.constant(params))
    monkeypatch.setattr(chunks, "CHUNK_VALUES", 150)
    assert chunks.CHUNK_VALUES // 50 < 35, "of several chunks"
    spec = tf.TensorSpec([7, 5, 5] if compiled else [None, None, 5])
    parts = tf.function(scores, input_signature=[spec], jit_compile=compiled, autograph=False)(tf.constant(params))
    for one, other in zip(parts, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_no_tensor_of_log_prob_has_a_number_for_every_class_of_every_site():
    head = heads.DenseSoftmax(2000, 4)
    head.build()

    def loss(params, x):
        with tf.GradientTape() as tape:
            tape.watch(params)
            total = tf.reduce_sum(head.log_prob(params, x))
        return tape.gradient(total, params)

    graph = tf.function(loss, autograph=False).get_concrete_function(
        tf.TensorSpec([40, 50, 5]), tf.TensorSpec([40, 50])
    )
    functions = [graph.graph, *graph.graph._functions.values()]
    bodies = [f if hasattr(f, "get_operations") else f.graph for f in functions]
    sizes = [t.shape.num_elements() or 0 for body in bodies for op in body.get_operations() for t in op.outputs]
    assert len(bodies) > 2 and max(sizes) < 2 * chunks.CHUNK_VALUES < 40 * 50 * 2000


def test_a_temperature_is_that_of_each_decision():
    """Of a softmax, of all classes at once."""
    params = np.float32([[0.3, -1.0, 2.0, 0.5, 1.0]])
    dense, tree = heads.DenseSoftmax(6, 4, counts=COUNTS[:6]), heads.TreeSoftmax(2, 4, counts=COUNTS[:2])
    for head in (dense, tree):
        probs = head.probs(params)[0].numpy()
        expected = probs**2 / (probs**2).sum()
        np.testing.assert_allclose(head.probs(head.tempered(params, 0.5))[0], expected, rtol=1e-4)


def test_a_value_after_the_end_is_outside_the_support():
    head = heads.Absorbing(heads.Categorical(3))
    x = [[1.0, 2.0, 0.0, 0.0], [1.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0], [3.0, 0.0, 0.0, 0.0]]
    expected = [[1, 1, 1, 1], [1, 1, 0, 1], [1, 1, 1, 0], [0, 1, 1, 1]]
    np.testing.assert_array_equal(head.in_event_support(x), np.array(expected, bool))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: heads.TreeSoftmax(1, 4), "`num_classes`"),
        (lambda: heads.DenseSoftmax(2**24 + 1, 4), r"2\*\*24"),
        (lambda: heads.TreeSoftmax(4, 0), "`units`"),
        (lambda: heads.TreeSoftmax(4, 2, tree="deep"), "'balanced', 'frequency'"),
        (lambda: heads.TreeSoftmax(4, 2, tree="frequency"), "`counts`"),
        (lambda: heads.DenseSoftmax(4, 2, counts=[1, 2, 3]), "`counts` to be 4 numbers"),
        (lambda: heads.DenseSoftmax(2, 2, counts=[1, -2]), "`counts` to be 2 numbers"),
        (lambda: heads.Absorbing(heads.NormalMixture(2)), "whole numbers with 0"),
        (lambda: heads.Absorbing(heads.DiscretizedLogisticMixture(2, 3, 6, 1)), "whole numbers with 0"),
    ],
)
def test_wrong_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
