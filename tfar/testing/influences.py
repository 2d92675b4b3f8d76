"""Check that the parameters of a site depend on exactly the declared sites."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from tfar.distributions import Autoregressive
from tfar.laws.member import Member
from tfar.testing import support
from tfar.testing.errors import CheckError

NUM_ROWS = 5
# Number of rows of one pass. A pass changes many sites, each in a separate block of rows.
MAX_ROWS = 256
# Tolerance for rounding errors: convolutions that are computed by transforms may change in the last bits, while a real
# dependence changes more.
RTOL = 1e-6
# Factor of weights by which the states of a recurrence do not saturate.
SMALL_WEIGHTS = 0.01
# Further samples of rows in search of a dependence that few rows show, such as that on an end of a text.
MORE_SAMPLES = 8


def check_autoregressive(
    dist: Autoregressive,
    conditional_input: Any = None,
    seed: int = 0,
    *,
    connectivity: ArrayLike | None = None,
    randomize: bool = True,
    exact: bool = True,
) -> None:
    """Checks which sites the parameters of each site depend on.

    With the current weights, parameters must not depend on a site that is not declared. With random positive weights,
    which are set temporarily, the dependences must equal the declared ones, without undeclared or missing dependences.
    Those that are missing may be found with smaller weights, because large ones saturate the states of a recurrence, and with
    other values.
    Dependences are measured by finite changes of each site and by gradients, at several values and for every member. No
    row of a batch may depend on the values or the condition of another row.

    Args:
        dist: the distribution.
        conditional_input: None for random conditions, or the condition of one row.
        seed: int. Seed of the values and the random weights.
        connectivity: None, or bool `[num_sites, num_sites]` or `[num_members, num_sites, num_sites]`: entry `[i, j]` is True
            if the parameters of site i should depend on site j. Specifying it independently of the model also detects
            dependences that the model wrongly declares or omits. Default: `dist.network.influences()`.
        randomize: bool. Also check with random weights, and restore the weights afterwards.
        exact: bool. Require every declared dependence of a network with random weights. A user-defined Keras network is
            assumed to use all earlier sites; pass False if it uses fewer, as a convolution does.

    Raises:
        CheckError: If parameters depend on a site that they must not depend on, or do not depend on a declared one. The
            message names the pair.

    Example:
        >>> tfar.testing.check_autoregressive(tfar.MADE(event_shape=[4], hidden_units=[8], order="random", num_masks=2))
    """
    x, condition, *others = _rows(dist, conditional_input, seed)
    members = [dist.law.member(k) for k in range(dist.num_members)]
    declared = [_declared(dist, k, connectivity) for k in range(dist.num_members)]
    weights: list[Any] = [("the weights as they are", contextlib.nullcontext(), False)]
    if randomize:
        weights.append(("random weights", _random_weights(dist, seed), exact))
    for name, context, both_ways in weights:
        with context:
            for number, member in enumerate(members):
                what = f"member {number} with {name}"
                probe = Probe(member, x, condition, *others)
                measured = probe.influences()
                for sample in range(MORE_SAMPLES if both_ways else 0):
                    if not (declared[number] & ~measured[1]).any():
                        break
                    with _random_weights(dist, seed, SMALL_WEIGHTS):
                        small = Probe(member, *_rows(dist, conditional_input, seed + sample)).influences()
                    measured = measured[0] | small[0], measured[1] | small[1]
                _compare(measured, declared[number], both_ways, what)
                probe.check_rows(what)
            if dist.law.allows_any_pattern:
                order = np.random.default_rng([seed, 4]).permutation(dist.num_sites).astype(np.int32)
                probe = Probe(members[0].with_order(tf.constant(order)), x, condition, *others)
                allowed = support.earlier_sites(np.argsort(order))
                _compare(probe.influences(), allowed, False, f"order {order.tolist()} with {name}")


def _rows(dist: Autoregressive, conditional_input: Any, seed: int) -> tuple[Any, Any, Any, Any]:
    """Returns the values, the conditions, and other values and conditions of a `Probe`."""
    x = support.random_values(dist, NUM_ROWS, seed)
    condition, other = (
        support.condition_rows(dist, given, NUM_ROWS, seed + i) for i, given in enumerate((conditional_input, None))
    )
    return x, condition, _other_values(dist, x, seed), other


def _declared(dist: Autoregressive, number: int, connectivity: ArrayLike | None) -> NDArray[np.bool_]:
    """Returns the dependences that a member should have, `[num_sites, num_sites]`.

    Raises:
        CheckError: If a dependence on a site that is not decided earlier is declared.
    """
    law, network = dist.law, dist.network
    if connectivity is None:
        order = None if law.orders is None else np.asarray(law.orders)[number if len(law.orders) > 1 else 0]
        member = number if network.num_members > 1 else 0
        own = network.influences(member=member, order=order, num_sites=dist.num_sites)
    else:
        given = np.asarray(connectivity, bool)
        own = given if given.ndim == 2 else given[number]
    steps = np.asarray(law.member(number).step_of_site_of_rows(1, dist.num_sites))[0]
    earlier = support.earlier_sites(steps)
    if (own & ~earlier).any():
        i, j = (int(site) for site in np.argwhere(own & ~earlier)[0])
        raise CheckError(f"Member {number} declares that site {i} depends on site {j}, which is decided no earlier.")
    return own


class Probe:
    """Measures what the parameters of a member depend on.

    Each change affects one site. A pass tests many sites, with a block of the B rows for each site. The results are
    compared with those of a pass of the same size, so that rounding is the same.

    Args:
        member: the member.
        x: values `[B, *event_shape]`.
        condition: the conditional input of the network, with batch B, or None.
        other_x, other_condition: other values for the same sites and conditions.
    """

    def __init__(self, member: Member, x: Any, condition: Any, other_x: Any, other_condition: Any) -> None:
        self.member, self.condition, self.other_condition = member, condition, other_condition
        self.sites, self.other_sites = (np.asarray(member.values(tf.constant(v))) for v in (x, other_x))
        self.num_rows, self.num_sites = self.sites.shape[:2]
        self.base = self._params(self.sites)
        self.scale = float(np.abs(self.base).max()) + 1e-30

    def _params(self, sites: Any, condition: Any = None) -> NDArray[np.float32]:
        """Returns the parameters of blocks of the rows, `[blocks * B, N, P]`; by default with their conditions."""
        blocks = len(sites) // self.num_rows
        condition = _tiled(self.condition, blocks) if condition is None else condition
        return np.asarray(self.member.params(self.member.event(tf.convert_to_tensor(sites)), condition))

    def influences(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Returns dependences beyond rounding, and dependences of any size; entry `[i, j]`: of site i on site j."""
        size = max(1, MAX_ROWS // self.num_rows)
        parts = [np.arange(first, min(first + size, self.num_sites)) for first in range(0, self.num_sites, size)]
        changes = np.concatenate([self._changes(part) for part in parts], axis=1)
        gradients = np.concatenate([self._gradients(part) for part in parts])
        large = (changes > RTOL * self.scale) | (gradients > RTOL * max(float(gradients.max()), 1e-30))
        return large, (changes > 0.0) | (gradients > 0.0)

    def _changes(self, sites: NDArray[np.int64]) -> NDArray[np.float32]:
        """Returns the largest change of the parameters of each site when one of `sites` changes, `[num_sites, len(sites)]`."""
        before = np.tile(self.sites, [len(sites), *[1] * (self.sites.ndim - 1)])
        after, block = before.copy(), np.arange(len(before)) // self.num_rows
        own = (np.arange(len(before)), sites[block])
        after[own] = self.other_sites[np.arange(len(before)) % self.num_rows, sites[block]]
        change: Any = np.abs(self._params(after) - self._params(before)).max(axis=2)
        return change.reshape(len(sites), self.num_rows, self.num_sites).max(axis=1).T

    def _gradients(self, sites: NDArray[np.int64]) -> NDArray[np.float32]:
        """Returns the largest gradient of a weighted sum of the parameters of `sites` with respect to each site."""
        weights = np.asarray(np.random.default_rng(0).uniform(0.5, 1.5, self.base.shape[2]), np.float32)
        values = tf.tile(tf.constant(self.sites), [len(sites), *[1] * (self.sites.ndim - 1)])
        own = np.repeat(np.arange(self.num_sites)[None] == sites[:, None], self.num_rows, axis=0)
        with tf.GradientTape() as tape:
            tape.watch(values)
            params = self.member.params(self.member.event(values), _tiled(self.condition, len(sites)))
            total = tf.reduce_sum(params * weights * own[..., None].astype(np.float32))
        found = np.abs(np.asarray(tape.gradient(total, values, unconnected_gradients="zero")))
        return found.reshape(len(sites), self.num_rows, self.num_sites, -1).max(axis=(1, 3))

    def check_rows(self, what: str) -> None:
        """Raises CheckError if the parameters of a row depend on the values or the condition of other rows."""
        for name, changed in (("row 0", np.arange(self.num_rows) == 0), ("other rows", np.arange(self.num_rows) > 0)):
            sites = np.where(changed.reshape(-1, *[1] * (self.sites.ndim - 1)), self.other_sites, self.sites)
            self._check_kept(~changed, self._params(sites), f"the values of {name}: {what}")
            if self.condition is not None:
                condition = tf.nest.map_structure(
                    lambda own, other: _where(changed, other, own),  # noqa: B023
                    self.condition,
                    self.other_condition,
                )
                self._check_kept(~changed, self._params(self.sites, condition), f"the condition of {name}: {what}")

    def _check_kept(self, kept: NDArray[np.bool_], params: NDArray[np.float32], what: str) -> None:
        changes = np.where(kept, np.abs(params - self.base).max(axis=(1, 2)), 0.0)
        if (changes > RTOL * self.scale).any():
            raise CheckError(
                f"Expected independent rows; the parameters of row {int(changes.argmax())} change with {what}."
            )


def _tiled(condition: Any, blocks: int) -> Any:
    """Repeats the rows of a condition as a whole."""
    if condition is None or blocks == 1:
        return condition
    return tf.nest.map_structure(lambda t: tf.tile(t, [blocks, *[1] * (len(t.shape) - 1)]), condition)


def _where(rows: NDArray[np.bool_], a: Any, b: Any) -> NDArray[np.float32]:
    return np.where(rows.reshape(-1, *[1] * (len(a.shape) - 1)), np.asarray(a), np.asarray(b))


def _compare(measured: tuple[Any, Any], declared: NDArray[np.bool_], both_ways: bool, what: str) -> None:
    large, any_size = measured
    for wrong, text in ((large & ~declared, "leak"), (declared & ~any_size if both_ways else [], "dead connection")):
        pairs = np.argwhere(wrong)
        if len(pairs):
            i, j = (int(site) for site in pairs[0])
            verb = "depend on it although they should not" if text == "leak" else "do not depend on it"
            hint = "" if text == "leak" else " If the network leaves out earlier sites on purpose, pass exact=False."
            raise CheckError(
                f"{text}: site {j} -> site {i}; the parameters of {i} {verb} ({len(pairs)} such pairs): {what}.{hint}"
            )


def _other_values(dist: Autoregressive, x: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Returns another value of the support for each value."""
    generator = np.random.default_rng([seed, 5])

    def other(values: NDArray[np.float32], site: int) -> NDArray:
        own = dist.head.support(site)
        if not own.discrete:
            return values + generator.uniform(1.0, 3.0, size=values.shape)
        if own.num_values is None:
            return values + generator.integers(1, 4, size=values.shape)
        return (values - own.low + generator.integers(1, own.num_values, size=values.shape)) % own.num_values + own.low

    return support.by_site(dist, x, other)


@contextlib.contextmanager
def _random_weights(dist: Autoregressive, seed: int, scale: float = 1.0) -> Iterator[None]:
    """Temporarily sets random positive weights, so that rectifiers and cancellation hide no dependence."""
    generator = np.random.default_rng([seed, 6])
    variables = list(dist.network.trainable_variables)
    before = [np.array(v) for v in variables]
    try:
        for variable in variables:
            fan_in = max(1, int(np.prod(variable.shape[:-1])))
            variable.assign(scale * generator.uniform(0.5, 1.5, size=variable.shape) / fan_in)
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
