"""Graph of the layers of a network, with their levels and with the inputs that the outputs depend on."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfar.layers.causal import CausalLayer, Run


class Node:
    """A value of a `Trace`: the result of a causal layer or a pointwise function, or, without a `layer`, a sum.

    `level` is the level of its resolution, and `channels` is None if it follows from a function.
    """

    def __init__(self, trace: "Trace", layer: Any, inputs: Sequence["Node"], channels: int | None = None) -> None:
        self.trace, self.layer, self.inputs, self.level, self.channels = trace, layer, inputs, trace.level, channels
        trace.nodes.append(self)

    def __add__(self, other: "Node") -> "Node":
        return Node(self.trace, None, (self, other), self.channels or other.channels)


class Call(NamedTuple):
    """A call of a causal layer in the description of a network.

    Attributes:
        layer: the layer.
        name: name of its cache.
        level, out_level: levels of its input and of its output.
        sees_image: bool. Whether the input is the image itself.
        sees_image_above: bool. Whether it has a second input, which is the image.
    """

    layer: CausalLayer
    name: str
    level: int
    out_level: int
    sees_image: bool
    sees_image_above: bool


class Trace(Run):
    """Records the description of a network as a graph of nodes."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.level = 0
        self.given: list[Node] = []
        self.conditions: list[Node] = []
        self._taken = 0

    def __call__(self, layer: Any, *inputs: Node) -> Node:
        return Node(self, layer, inputs, layer.filters if isinstance(layer, CausalLayer) else None)

    def give(self, x: Node) -> None:
        self.given.append(x)

    def take(self) -> Node:
        self._taken += 1
        return self.given[self._taken - 1]

    def condition(self, part: Any) -> Node:
        self.conditions.append(Node(self, None, ()))
        return self.conditions[-1]

    def below(self, contract: Any, expand: Any, x: Node, body: Callable[[Run, Any], Any]) -> Node:
        self.level += 1
        x = body(self, self(contract, x))
        self.level -= 1
        return self(expand, x)


class Plan:
    """What steps and dependency sets use of the description of a network, `context(run, image)` and `flow(run, image)`.

    Attributes:
        rows, pixels: the causal layers of `context` and of `flow`, in the order of the calls.
        sizes: rows and columns of each level.
        given: channels of the features that `context` passes to `flow` at each level.
        num_groups: int. Groups of channels of a pixel that are decided one after the other, with a single level.

    The names of the calls begin with `prefix`, which tells apart the plans of a network that has several.
    """

    def __init__(
        self,
        context: Callable[[Run, Any], None],
        flow: Callable[[Run, Any], Any],
        size: Sequence[int],
        num_groups: int = 1,
        prefix: str = "",
    ) -> None:
        trace, self.num_groups, self._prefix = Trace(), num_groups, prefix
        self._image = Node(trace, None, ())
        context(trace, self._image)
        num_nodes = len(trace.nodes)
        self._output, self._nodes, self._conditions = flow(trace, self._image), trace.nodes, trace.conditions
        self.rows = self._calls("rows", trace.nodes[:num_nodes])
        self.pixels = self._calls("pixels", trace.nodes[num_nodes:])
        self._by_layer = {call.layer: call for call in (*self.rows, *self.pixels)}
        num_levels = 1 + max(node.level for node in trace.nodes)
        self.sizes = [(-(-size[0] // 2**level), -(-size[1] // 2**level)) for level in range(num_levels)]
        self.given = [[node.channels for node in trace.given if node.level == level] for level in range(num_levels)]

    def _calls(self, name: str, nodes: Sequence[Node]) -> list[Call]:
        calls = [node for node in nodes if isinstance(node.layer, CausalLayer)]
        return [
            Call(
                node.layer,
                f"{self._prefix}{name}_{i}",
                node.inputs[0].level,
                node.level,
                node.inputs[0] is self._image,
                self._image in node.inputs[1:],
            )
            for i, node in enumerate(calls)
        ]

    def call(self, layer: CausalLayer) -> Call:
        """Returns the call of a layer."""
        return self._by_layer[layer]

    def parts(self, level: int) -> list[Call]:
        """Returns the layers of `flow` whose output at a level has a contribution from the rows above."""
        return [call for call in self.pixels if call.layer.num_above and call.out_level == level]

    def kept(self, level: int) -> list[Call]:
        """Returns the layers of `flow` that keep pixels of their input at a level for the rows below."""
        return [call for call in self.pixels if call.layer.num_above and call.level == level and not call.sees_image]

    def num_given(self, level: int) -> int:
        """Returns the number of channels of all features that `context` passes to `flow` at a level."""
        return sum(n for n in self.given[level] if n is not None)

    @staticmethod
    def channels(calls: Sequence[Call]) -> list[int]:
        """Returns the numbers of channels that layers keep."""
        return [call.layer.kept_channels for call in calls]

    def reach(self, asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Returns the image values that sets of outputs `[S, H, W, groups]` depend on."""
        return self._needed(asked).get(id(self._image), np.zeros_like(asked))

    def reach_of_conditions(self, asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Returns the positions at which sets of outputs depend on a condition that is a map, `[S, H, W, groups]`."""
        needed = self._needed(asked)
        found = [needed[id(node)] for node in self._conditions if id(node) in needed]
        return np.logical_or.reduce(found) if found else np.zeros_like(asked)

    def _needed(self, asked: NDArray[np.bool_]) -> dict[int, NDArray[np.bool_]]:
        """Returns the entries of the image and of the conditions that sets of outputs depend on, by the ids of their nodes."""
        needed = {id(self._output): asked}
        for node in reversed(self._nodes):
            if id(node) not in needed or not node.inputs:
                continue
            asked = needed.pop(id(node))
            for number, x in enumerate(node.inputs):
                seen = asked
                if isinstance(node.layer, CausalLayer):
                    reach = node.layer.reach_above if number else node.layer.reach
                    seen = reach(asked, self.sizes[x.level])
                needed[id(x)] = needed[id(x)] | seen if id(x) in needed else seen
        return needed
