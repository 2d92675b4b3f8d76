"""How the cost of documents grows: with the number of words, and with the logarithm of the vocabulary under a tree.

The cost is the number of entries of the tensors that a graph computes, without weights and constants. Unlike a time it does not
depend on the machine.
"""

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tfar import heads

# Reading and looking up weights and constants copies none of their entries.
FREE = {"Const", "Fill", "ReadVariableOp", "Placeholder", "Identity", "NoOp"}


def cost(function, *inputs) -> int:
    """Number of entries that the graph of a function computes, with its loops' bodies once."""
    graph = tf.function(function, autograph=False).get_concrete_function(*inputs).graph
    sizes = [
        output.shape.num_elements() for op in graph.get_operations() if op.type not in FREE for output in op.outputs
    ]
    return sum(size or 0 for size in sizes)


def cost_of_head(head: heads.Head, operation: str) -> int:
    params = tf.zeros([8, head.params_size])
    head.build()
    if operation == "log_prob":
        return cost(head._log_prob, params, tf.zeros([8]), None)
    return cost(head._sample, params, tf.zeros([8, head.noise_size]), None)


@pytest.mark.parametrize("operation", ["log_prob", "sample"])
def test_a_tree_costs_the_logarithm_of_the_vocabulary(operation):
    sizes = [2**6, 2**9, 2**12]
    costs = [cost_of_head(heads.TreeSoftmax(size, units=4), operation) for size in sizes]
    per_level = np.diff(costs) / np.diff(np.log2(sizes))
    np.testing.assert_allclose(per_level, per_level[0], rtol=1e-6)
    assert costs[-1] < 2.1 * costs[0], costs


@pytest.mark.parametrize("operation", ["log_prob", "sample"])
def test_a_softmax_costs_the_vocabulary(operation):
    costs = [cost_of_head(heads.DenseSoftmax(size, units=4), operation) for size in (2**9, 2**12)]
    assert 7.0 < costs[1] / costs[0] <= 8.0, costs


@pytest.mark.parametrize("tree", [None, "balanced"])
def test_a_document_costs_the_number_of_its_words(tree):
    dist = tfar.DocNADE(16, 4, tree=tree, jit_compile=False)
    costs = [cost(dist.law.log_prob, tf.zeros([2, size])) for size in (64, 128, 256, 512)]
    slopes = np.diff(costs) / np.diff([64, 128, 256, 512])
    np.testing.assert_allclose(slopes, slopes[0], rtol=1e-6)
    assert 7.5 < costs[-1] / costs[0] <= 8.0, costs
