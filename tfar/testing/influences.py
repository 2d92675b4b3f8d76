"""Check that sites depend on the sites that the network declares, and on no others."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.distributions import Autoregressive
from tfar.networks import AutoregressiveNetwork
from tfar.testing import support
from tfar.testing.errors import CheckError

NUM_ROWS = 5
# Float sums may change in the last bits where convolutions are computed by transforms; a leak is more than that.
RTOL = 1e-6


def check_autoregressive(
    dist: Autoregressive, conditional_input: Any = None, seed: int = 0, *, randomize: bool = True, exact: bool = True
) -> None:
    """Checks which site influences the parameters of which against `dist.network.connectivity(member)`.

    With the weights as they are no site may have an influence that is not declared. With random positive weights, put
    in for the time of the check, the influences must equal the declared ones: no leak and no dead connection. They are
    measured by finite changes of each site and by gradients, at several values and for every member. A declared
    influence must come from an earlier step, and no row of a batch may depend on another.

    Args:
        dist: the distribution.
        conditional_input: None for a random one, or the condition of one row.
        seed: int. Of the values and the random weights.
        randomize: bool. Also check with random weights; they are put back.
        exact: bool. With random weights, require every declared influence. A Keras network of your own is taken to
            declare all earlier sites: pass False if it uses fewer.

    Raises:
        CheckError: If a site has an influence that it must not have, or lacks one that is declared, with the pair.

    Example:
        >>> tfar.testing.check_autoregressive(tfar.MADE(event_shape=[4], hidden_units=[8], order="random", num_masks=2))
    """
    network = dist.network
    x = support.random_values(dist, NUM_ROWS, seed)
    other = _other_values(dist, x, seed)
    condition = support.condition_rows(dist, conditional_input, NUM_ROWS, seed)
    for member in range(network.num_members):
        _check_declared(network, member)
    weights: list[Any] = [("the weights as they are", contextlib.nullcontext(), False)]
    if randomize:
        weights.append(("random weights", _random_weights(network, seed), exact))
    for name, context, both_ways in weights:
        with context:
            for member in range(network.num_members):
                probe = Probe(network, x, other, condition, member=member)
                _compare(probe.influences(), network.connectivity(member), both_ways, f"member {member} with {name}")
                _check_rows(probe, f"member {member} with {name}")
            if network.any_order:
                order = np.random.default_rng([seed, 4]).permutation(network.num_sites).astype(np.int32)
                probe = Probe(network, x, other, condition, member=0, order=order)
                _compare(probe.influences(), _earlier(order), False, f"order {order.tolist()} with {name}")


class Probe:
    """Measures what one member of a network does.

    Args:
        network: the network.
        x: values `[B, *event_shape]`.
        other: other values for the same sites.
        condition: as the network takes it, with batch B.
        **how: `member` and `order` of the pass.
    """

    def __init__(self, network: AutoregressiveNetwork, x: Any, other: Any, condition: Any, **how: Any) -> None:
        self.network = network
        self.sites, self.others = (tf.reshape(v, [len(x), network.num_sites, -1]) for v in (x, other))
        shape = [len(x), *network.event_shape]
        self.run = tf.function(lambda v: tf.cast(network(tf.reshape(v, shape), condition, **how), tf.float32))
        self.base = np.asarray(self.run(self.sites))
        self.scale = float(np.abs(self.base).max()) + 1e-30

    def influences(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Influences beyond rounding, and influences however small: both `[i, j]`, of site i on site j."""
        changes = np.stack([self._change(i) for i in range(self.network.num_sites)])
        gradients = self._gradients()
        large = (changes > RTOL * self.scale) | (gradients > RTOL * max(float(gradients.max()), 1e-30))
        return large, (changes > 0.0) | (gradients > 0.0)

    def _change(self, site: int) -> NDArray[np.float32]:
        """Largest change of the parameters of each site when `site` takes its other value, `[num_sites]`."""
        chosen = tf.reshape(tf.one_hot(site, self.network.num_sites, True, False, dtype=tf.bool), [1, -1, 1])
        return np.abs(np.asarray(self.run(tf.where(chosen, self.others, self.sites))) - self.base).max(axis=(0, 2))

    def _gradients(self) -> NDArray[np.float32]:
        """Largest gradient of a weighted sum of the parameters of j with respect to i, `[i, j]`."""
        weights = tf.constant(np.random.default_rng(0).uniform(0.5, 1.5, self.base.shape[2]), tf.float32)

        @tf.function
        def gradient(site: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(self.sites)
                total = tf.reduce_sum(tf.gather(self.run(self.sites), site, axis=1) * weights)
            return tf.reduce_max(tf.abs(tape.gradient(total, self.sites, unconnected_gradients="zero")), axis=[0, 2])

        return np.stack([np.asarray(gradient(tf.constant(j))) for j in range(self.network.num_sites)], axis=1)

    def row_changes(self) -> NDArray[np.float32]:
        """Largest change of the parameters of each row when the first row takes its other values, `[B]`."""
        first = tf.reshape(tf.range(self.sites.shape[0]) == 0, [-1, 1, 1])
        return np.abs(np.asarray(self.run(tf.where(first, self.others, self.sites))) - self.base).max(axis=(1, 2))


def _check_rows(probe: Probe, what: str) -> None:
    others = probe.row_changes()[1:]
    if (others > RTOL * probe.scale).any():
        raise CheckError(
            f"Expected independent rows; the parameters of row {1 + int(others.argmax())} change with row 0: {what}."
        )


def _compare(measured: tuple[Any, Any], declared: NDArray[np.bool_], both_ways: bool, what: str) -> None:
    large, any_size = measured
    for wrong, text in ((large & ~declared, "leak"), (declared & ~any_size if both_ways else [], "dead connection")):
        pairs = np.argwhere(wrong)
        if len(pairs):
            i, j = (int(site) for site in pairs[0])
            verb = (
                "depend on it although it is not declared"
                if text == "leak"
                else "do not depend on it although it is declared"
            )
            raise CheckError(
                f"{text}: site {i} -> site {j}; the parameters of {j} {verb} ({len(pairs)} such pairs): {what}."
            )


def _check_declared(network: AutoregressiveNetwork, member: int) -> None:
    order = network.orders[min(member, len(network.orders) - 1)]
    late = network.connectivity(member) & ~_earlier(order)
    if late.any():
        i, j = (int(site) for site in np.argwhere(late)[0])
        raise CheckError(f"Member {member} declares that site {i} influences site {j}, which is decided no later.")


def _earlier(order: NDArray[np.int32]) -> NDArray[np.bool_]:
    positions = np.argsort(order)
    return positions[:, None] < positions[None, :]


def _other_values(dist: Autoregressive, x: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """For each value another one of the support."""
    generator = np.random.default_rng([seed, 5])
    classes, lowest = dist.head.support().num_values, np.float32(dist.head.support().low)
    if classes is not None:
        return (x - lowest + generator.integers(1, classes, size=x.shape)).astype(np.float32) % classes + lowest
    return (x + generator.uniform(1.0, 3.0, size=x.shape)).astype(np.float32)


@contextlib.contextmanager
def _random_weights(network: AutoregressiveNetwork, seed: int) -> Iterator[None]:
    """Puts in random positive weights, which no rectifier and no cancellation hides, and restores the others."""
    generator = np.random.default_rng([seed, 6])
    variables = list(network.trainable_variables)
    before = [np.array(v) for v in variables]
    try:
        for variable in variables:
            fan_in = max(1, int(np.prod(variable.shape[:-1])))
            variable.assign(generator.uniform(0.5, 1.5, size=variable.shape) / fan_in)
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
