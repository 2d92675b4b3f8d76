"""Check that the stepwise way through a network gives what the parallel one gives."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfar.distributions import Autoregressive
from tfar.networks import AutoregressiveNetwork
from tfar.testing import support
from tfar.testing.errors import CheckError


def check_steps(
    dist: Autoregressive, conditional_input: Any = None, seed: int = 0, *, num_rows: int = 3, rtol: float = 1e-5
) -> None:
    """Checks that `start`, `start_stage` and `step` give the parameters that one parallel pass gives, for each member.

    All members are stepped in one batch; a network for any order is stepped in another order for each row, too.

    Args:
        dist: the distribution.
        conditional_input: None for a random one, or the condition of one row.
        seed: int. Of the values.
        num_rows: int. Rows for each member.
        rtol: float. Largest difference, relative to the largest parameter (at least 1).

    Raises:
        CheckError: If they differ, with member, step, site and both values.

    Example:
        >>> tfar.testing.check_steps(tfar.MADE(event_shape=[4], hidden_units=[8], num_masks=2))
    """
    network = dist.network
    count = network.num_members * num_rows
    members = np.repeat(np.arange(network.num_members, dtype=np.int32), num_rows)
    x = support.random_values(dist, count, seed)
    condition = support.condition_rows(dist, conditional_input, count, seed)
    orders = [np.asarray(network.row_orders(tf.constant(members)))] if dist.density.order is None else []
    if network.any_order:
        generator = np.random.default_rng([seed, 3])
        orders.append(np.stack([generator.permutation(network.num_sites) for _ in members]).astype(np.int32))
    for number, order in enumerate(orders):
        own = number == 0 and dist.density.order is None
        parallel = _parallel(network, x, condition, members, None if own else order)
        stepped = _stepped(network, x, condition, members, order, own)
        _compare(parallel, stepped, members, order, rtol)


def _parallel(network: AutoregressiveNetwork, x: Any, condition: Any, members: Any, order: Any) -> np.ndarray:
    """Parameters `[B, num_sites, params_size]` of each row under its member and order."""
    rows = []
    for row, member in enumerate(members):
        own = support.take(condition, slice(row, row + 1))
        row_order = None if order is None else tf.constant(order[row])
        rows.append(np.asarray(network(x[row : row + 1], own, member=int(member), order=row_order), np.float64))
    return np.concatenate(rows)


def _stepped(
    network: AutoregressiveNetwork, x: Any, condition: Any, members: Any, order: np.ndarray, own: bool
) -> np.ndarray:
    """The same from steps that are told the values of `x` one after the other."""
    sites = np.asarray(x).reshape(len(x), network.num_sites, *network.site_shape)
    member = tf.constant(members) if network.num_members > 1 else None
    state = network.start(len(x), condition, order=None if own else tf.constant(order), member=member)
    _check_state(state, len(x))
    rows, result = np.arange(len(x)), np.zeros((*sites.shape[:2], network.params_size))
    previous, weights = np.zeros_like(sites[:, 0]), network.step_weights()
    for index in range(network.num_sites):
        if index % network.steps_per_stage == 0:
            stage = index // network.steps_per_stage
            given = stage if network.stages_differ else tf.constant(stage)
            state = network.start_stage(state, given, tf.constant(previous), weights)
        decided = np.broadcast_to(np.asarray(network.sites_at(state, tf.constant(index))), rows.shape)
        params, state = network.step(state, tf.constant(index), tf.constant(previous), weights)
        if not np.array_equal(decided, order[:, index]):
            raise CheckError(f"Expected step {index} to decide the sites {order[:, index]}; `sites_at` says {decided}.")
        result[rows, decided] = np.asarray(params)
        previous = sites[rows, decided]
    return result


def _check_state(state: Any, batch_size: int) -> None:
    for name, tensor in state.items():
        if not tf.is_tensor(tensor) or not tensor.shape.rank or tensor.shape[0] != batch_size:
            raise CheckError(
                f"Expected a state of tensors with the batch of {batch_size} first; {name!r} is {tensor!r}."
            )


def _compare(parallel: np.ndarray, stepped: np.ndarray, members: Any, order: np.ndarray, rtol: float) -> None:
    scale = max(1.0, float(np.abs(parallel).max()))
    wrong = ~(np.abs(parallel - stepped) <= rtol * scale)
    if wrong.any():
        row, site, k = (int(i) for i in np.argwhere(wrong)[0])
        step = int(np.flatnonzero(order[row] == site)[0])
        raise CheckError(
            f"Expected the steps to give the parameters of the parallel pass; member {members[row]}, step {step}, "
            f"site {site}, parameter {k}: {parallel[row, site, k]:.7g} in parallel, "
            f"{stepped[row, site, k]:.7g} in steps."
        )
