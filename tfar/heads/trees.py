"""Binary trees over classes, in which a class is a path of decisions from the root."""

import heapq
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

# A frequency tree treats rarer classes as if they had this share of the mean count, which bounds its depth.
SMALLEST_SHARE = 1 / 16


class Tree(NamedTuple):
    """A binary tree with K leaves, one for each class, and K - 1 inner nodes; node 0 is the root.

    Attributes:
        children: int32 `[K - 1, 2]`. The left and the right child of each node: an inner node, or K - 1 + k for the leaf of
            class k.
        nodes: int32 `[K, depth]`. The inner nodes on the path to each class from the root on; 0 after the leaf.
        signs: float32 `[K, depth]`. 1 where the path turns right, -1 where it turns left, and 0 after the leaf.
    """

    children: NDArray[np.int32]
    nodes: NDArray[np.int32]
    signs: NDArray[np.float32]

    @property
    def depth(self) -> int:
        """Number of decisions on the longest path."""
        return self.nodes.shape[1]

    def log_odds(self, counts: Any, smoothing: float) -> NDArray[np.float64]:
        """Returns the log-odds of turning right at each node, `[K - 1]`, under smoothed counts of the classes."""
        counts = np.asarray(counts, np.float64)[:, None]
        right, left = np.zeros(len(self.children)), np.zeros(len(self.children))
        np.add.at(right, self.nodes, counts * (self.signs > 0))
        np.add.at(left, self.nodes, counts * (self.signs < 0))
        return np.log(right + smoothing) - np.log(left + smoothing)


def balanced_tree(order: ArrayLike) -> Tree:
    """Returns the tree whose paths differ in length by at most 1, with the classes on its leaves in this order.

    Example:
        >>> balanced_tree([2, 0, 1]).children.tolist()
        [[4, 1], [2, 3]]
    """
    leaves = np.asarray(order)
    first_leaf = len(leaves) - 1
    children: list[list[int]] = []
    waiting = [(0, len(leaves), -1, 0)]  # the leaves from start to stop, below a side of a parent
    while waiting:
        start, stop, parent, side = waiting.pop()
        is_leaf = stop - start == 1
        if parent >= 0:
            children[parent][side] = first_leaf + int(leaves[start]) if is_leaf else len(children)
        if not is_leaf:
            own, middle = len(children), (start + stop) // 2
            children.append([0, 0])
            waiting += [(middle, stop, own, 1), (start, middle, own, 0)]
    return _with_paths(np.array(children, np.int32))


def frequency_tree(counts: ArrayLike) -> Tree:
    """Returns the Huffman tree of counts, in which frequent classes have short paths.

    Counts below `SMALLEST_SHARE` of their mean are raised to it, so that the depth is O(log K).

    References:
        Huffman. A method for the construction of minimum-redundancy codes. Proceedings of the IRE 40, 1952.

    Example:
        >>> np.abs(frequency_tree([8, 1, 4, 2]).signs).sum(axis=1).tolist()
        [1.0, 3.0, 2.0, 3.0]
    """
    weights = np.asarray(counts, np.float64)
    weights = np.maximum(weights, SMALLEST_SHARE * weights.mean())
    last = 2 * len(weights) - 2
    heap = [(weight, len(weights) - 1 + k) for k, weight in enumerate(weights)]
    heapq.heapify(heap)
    children = np.zeros([len(weights) - 1, 2], np.int32)
    for node in range(last // 2 - 1, -1, -1):  # the root is joined last
        (a, left), (b, right) = heapq.heappop(heap), heapq.heappop(heap)
        children[node] = left, right
        heapq.heappush(heap, (a + b, node))
    return _with_paths(children)


def _with_paths(children: NDArray[np.int32]) -> Tree:
    """Adds the path of every class, which is followed from its leaf up to the root."""
    num_nodes = len(children)
    parent = np.full(2 * num_nodes + 1, -1)
    side = np.zeros(2 * num_nodes + 1)
    for column, sign in ((0, -1.0), (1, 1.0)):
        parent[children[:, column]] = np.arange(num_nodes)
        side[children[:, column]] = sign
    upward: list[tuple[NDArray, NDArray]] = []
    place = np.arange(num_nodes, 2 * num_nodes + 1)
    while (place != 0).any():
        upward.append((np.where(place == 0, -1, parent[place]), np.where(place == 0, 0.0, side[place])))
        place = np.where(place == 0, 0, parent[place])
    nodes, signs = (np.stack(columns, axis=1) for columns in zip(*upward, strict=True))
    # Rows end at the root: the entries of shorter paths are moved to the front of the reversed rows.
    nodes, signs = nodes[:, ::-1], signs[:, ::-1]
    first = (signs != 0.0).argmax(axis=1)
    columns = (np.arange(nodes.shape[1]) + first[:, None]) % nodes.shape[1]
    nodes, signs = np.take_along_axis(nodes, columns, 1), np.take_along_axis(signs, columns, 1)
    return Tree(children, np.maximum(nodes, 0).astype(np.int32), signs.astype(np.float32))
