"""Head of many classes that are the leaves of a binary tree."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar import random
from tfar.heads.hidden import SMOOTHING, HiddenHead
from tfar.heads.numerics import point_in, softplus
from tfar.heads.trees import balanced_tree, frequency_tree

TREES = ("balanced", "frequency")


@keras.saving.register_keras_serializable("tfar")
class TreeSoftmax(HiddenHead):
    """Site with the values `0 .. num_classes - 1`, each the path of decisions to a leaf of a binary tree.

        p(x = k | h) = prod_m sigmoid(sign_m (b_n(m) + U_n(m) h)),    n(m) the nodes on the path to leaf k

    `log_prob` and `sample` cost O(log K) of K classes, where a softmax costs O(K). The probabilities of all classes, and
    what is computed from them (`cdf`, means, entropies), cost O(K).

    The parameters are h and a last number that multiplies the bias, which networks set to 1. A temperature T divides all of
    them by T, so that each decision is raised to the power 1 / T and normalised. A draw takes a uniform number for each
    level, because one number would be too coarse for words that are rarer than its last digit.

    Args:
        num_classes: int from 2 to 2**24, K.
        units: int. Number of hidden units h.
        tree: "balanced": all paths have nearly the same length, and the seed decides which leaf a class has. "frequency": the
            Huffman tree of `counts`, in which frequent classes have short paths. The cost is that of the longest path.
        counts: None, or the number of times that each class occurs in training data, `[num_classes]`: the initial bias
            then gives the classes these frequencies.
        seed: int. Determines the initial kernel and the leaves of a balanced tree.

    Raises:
        ValueError: If an argument is out of range, or `tree="frequency"` has no counts.

    Example:
        >>> head = TreeSoftmax(1000, units=8)
        >>> head.noise_size
        10
        >>> round(float(tf.reduce_sum(head.probs(tf.ones([1, 9])))), 4)
        1.0

    References:
        Morin and Bengio. Hierarchical probabilistic neural network language model. AISTATS 2005, section 3.
        Larochelle and Lauly. A neural autoregressive topic model. NIPS 2012, section 4.1.
    """

    def __init__(
        self,
        num_classes: int,
        units: int,
        *,
        tree: str = "balanced",
        counts: Any = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, units, counts=counts, seed=seed, **kwargs)
        if tree not in TREES:
            raise ValueError(f"Expected `tree` to be one of {TREES}; received {tree!r}.")
        self.tree = tree
        if tree == "balanced":
            order = random.numpy_generator(self.seed, random.Stream.FIXED_ORDERS).permutation(self.num_classes)
            self._tree = balanced_tree(order)
        elif self.counts is None:
            raise ValueError("Expected `counts` of the classes for tree='frequency'; received None.")
        else:
            self._tree = frequency_tree(self.counts)
        self.noise_size = self._tree.depth

    @property
    def num_logits(self) -> int:
        return self.num_classes - 1

    def initial_bias(self) -> Any:
        return self._tree.log_odds(self.counts, SMOOTHING).astype(np.float32)

    # Paths -----------------------------------------------------------------------------------------------------------

    def _path_to(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the nodes and the turns on the paths to classes `[...]`, both `[..., depth]`."""
        classes = tf.cast(x, tf.int32)
        return tf.gather(tf.constant(self._tree.nodes), classes), tf.gather(tf.constant(self._tree.signs), classes)

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        def of_rows(params: tf.Tensor, x: tf.Tensor, *layer: tf.Tensor) -> tf.Tensor:
            nodes, signs = self._path_to(x)
            losses = softplus(-signs * _logits_at(params, nodes, *layer))
            return -tf.reduce_sum(losses * tf.abs(signs), axis=-1)

        return self._of_rows(of_rows, params, [x], self._tree.depth * self.params_size)

    def _sample(self, params: tf.Tensor, noise: tf.Tensor, site: Any) -> tf.Tensor:
        kernel, bias = self._output_layer
        children = tf.constant(np.ravel(self._tree.children))
        shape = tf.broadcast_dynamic_shape(tf.shape(params)[:-1], tf.shape(noise)[:-1])
        place, last = tf.zeros(shape, tf.int32), self.num_logits - 1
        for level in range(self._tree.depth):
            node = tf.minimum(place, last)
            right = noise[..., level] < tf.sigmoid(_logits_at(params, tf.expand_dims(node, -1), kernel, bias)[..., 0])
            place = tf.where(place > last, place, tf.gather(children, 2 * node + tf.cast(right, tf.int32)))
        return tf.cast(place - self.num_logits, tf.float32)

    def _noise(self, params: tf.Tensor, x: tf.Tensor, uniform: tf.Tensor, site: Any) -> tf.Tensor:
        """At each level, the numbers below the probability of the right turn select it."""
        nodes, signs = self._path_to(x)
        right = tf.sigmoid(_logits_at(params, nodes, *self._output_layer))
        low = tf.where(signs < 0.0, right, tf.zeros_like(right))
        high = tf.where(signs > 0.0, right, tf.ones_like(right))
        return point_in(low, high, uniform)

    def _interval_prob(self, params: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor, site: Any) -> tf.Tensor:
        classes = tf.range(self.num_classes, dtype=tf.float32)
        inside = tf.logical_and(tf.expand_dims(lower, -1) <= classes, classes <= tf.expand_dims(upper, -1))
        probs = self._probs(params, site)
        return tf.minimum(tf.reduce_sum(tf.where(inside, probs, tf.zeros_like(probs)), axis=-1), 1.0)

    def _probs(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        logits, total = self._logits(params), 0.0
        for level in range(self._tree.depth):
            signs = self._tree.signs[:, level]
            turns = signs * tf.gather(logits, tf.constant(self._tree.nodes[:, level]), axis=-1)
            total -= softplus(-turns) * np.abs(signs)
        return tf.exp(total)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "tree": self.tree}


def _logits_at(params: tf.Tensor, nodes: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Returns the logits of nodes `[..., M]` for params `[..., units + 1]`."""
    features, scale = params[..., :-1], params[..., -1:]
    products = tf.reduce_sum(tf.gather(kernel, nodes) * tf.expand_dims(features, -2), axis=-1)
    return products + scale * tf.gather(bias, nodes)
