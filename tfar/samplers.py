"""Samplers: deterministic functions of uniform noise that all give the same draws.

`walk` visits the sites one after the other by steps of the network, in the stages that it declares: it draws, completes and
scores. `naive` takes a whole pass for each site and is the reference. `fixed_point` iterates whole passes until nothing changes
(Jacobi iteration), which is exact because site t is right after t + 1 passes at the latest, and takes few passes on easy data.

Noise is `[B, num_sites, noise_size]` in the raster order of the sites, whatever the order in which they are decided.
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfar.heads import Head
from tfar.networks import AutoregressiveNetwork
from tfar.networks.base import State, Weights
from tfar.networks.permutations import permuted, unpermuted


class Walk(NamedTuple):
    """What a walk over the sites gives.

    Attributes:
        sites: float32 `[B, num_sites, *site_shape]`. Values of the sites, in raster order.
        log_prob: float32 `[B]`. Log-probability of the given sites along the way, 0 where none is given.
    """

    sites: tf.Tensor
    log_prob: tf.Tensor


def walk(
    network: AutoregressiveNetwork,
    head: Head,
    noise: tf.Tensor,
    conditional_input: Any = None,
    *,
    member: tf.Tensor | None = None,
    order: tf.Tensor | None = None,
    given: tf.Tensor | None = None,
    observed: tf.Tensor | None = None,
) -> Walk:
    """Visits the sites in order: keeps the observed ones, draws the others.

    Args:
        network: the network.
        head: the head.
        noise: float32 `[B, num_sites, noise_size]`.
        conditional_input: as the network takes it, with batch B.
        member: None, or int32 `[B]`: the member of the ensemble that each row uses.
        order: None for the members' own, or int32 `[B, num_sites]`.
        given: None, or float32 `[B, num_sites, *site_shape]`: values of the observed sites.
        observed: None, or bool `[B, num_sites]`.

    Returns:
        The values and the log-probability of the observed sites, each given the sites before it.
    """
    batch_size, rank = tf.shape(noise)[0], len(head.site_shape)
    weights = network.step_weights()
    state = network.start(batch_size, conditional_input, order=order, member=member)
    site_of_step = state.get("order", network.orders[0])
    noise = tf.transpose(permuted(noise, site_of_step), [1, 0, 2])
    if given is not None and observed is not None:
        given = tf.transpose(permuted(given, site_of_step), [1, 0, *range(2, 2 + rank)])
        observed = tf.transpose(permuted(observed, site_of_step), [1, 0])

    found = {"values": tf.zeros([network.num_sites, batch_size, *head.site_shape])}
    # Nothing that stays as it was: TensorFlow 2.21 fails to compile a second loop that takes such a constant from a first.
    if given is not None and observed is not None:
        found["log_prob"] = tf.zeros([batch_size])

    def visit(index: tf.Tensor, x: tf.Tensor, found: dict[str, tf.Tensor], state: State) -> tuple:
        params, state = network.step(state, index, x, weights)
        site = network.sites_at(state, index)
        x, found = head.sample(params, noise[index], site), dict(found)
        if given is not None and observed is not None:
            is_given = tf.reshape(observed[index], [-1] + [1] * rank)
            x = tf.where(is_given, given[index], x)
            log_prob = head.log_prob(params, x, site)
            found["log_prob"] += tf.where(observed[index], log_prob, tf.zeros_like(log_prob))
        found["values"] = tf.tensor_scatter_nd_update(found["values"], [[index]], x[None])
        return index + 1, head.encode_inputs(x, site), found, state

    start = (tf.constant(0), tf.zeros([batch_size, *head.site_shape]), found, state)
    _, _, found, _ = _in_stages(network, weights, visit, start)
    values = tf.transpose(found["values"], [1, 0, *range(2, 2 + rank)])
    return Walk(unpermuted(values, site_of_step), found.get("log_prob", tf.zeros([batch_size])))


def _in_stages(network: AutoregressiveNetwork, weights: Weights, visit: Any, loop_vars: tuple) -> tuple:
    """Loops over the stages of a network and over the steps of each.

    Args:
        network: the network.
        weights: what its `step_weights` returned.
        visit: one step, from `loop_vars` to `loop_vars`.
        loop_vars: index of the step (0), value of the step before, what is found, state.
    """
    num_steps, limit = network.steps_per_stage, network.num_sites
    num_stages = -(-limit // num_steps)

    def run(
        number: int | tf.Tensor, end: int | tf.Tensor, index: tf.Tensor, x: tf.Tensor, found: Any, state: State
    ) -> tuple:
        start = (index, x, found, network.start_stage(state, number, x, weights))
        return tf.while_loop(lambda index, *_: index < end, visit, start, maximum_iterations=num_steps)

    if network.stages_differ or num_stages == 1:
        for number, index in enumerate(range(0, limit, num_steps)):
            # With a constant index XLA knows how many steps follow.
            loop_vars = run(number, min(index + num_steps, limit), tf.constant(index), *loop_vars[1:])
        return loop_vars

    def stage(index: tf.Tensor, *others: Any) -> tuple:
        return run(index // num_steps, tf.minimum(index + num_steps, limit), index, *others)

    return tf.while_loop(lambda index, *_: index < limit, stage, loop_vars, maximum_iterations=num_stages)


def naive(
    network: AutoregressiveNetwork,
    head: Head,
    noise: tf.Tensor,
    conditional_input: Any = None,
    *,
    member: tf.Tensor | None = None,
    order: tf.Tensor | None = None,
) -> tf.Tensor:
    """Draws with a whole pass for each site: the reference for the other samplers.

    Args:
        network, head, noise, conditional_input, member: see `walk`.
        order: None for the members' own, or int32 `[num_sites]` for all rows.

    Returns:
        float32 `[B, num_sites, *site_shape]`.
    """
    batch_size = tf.shape(noise)[0]
    rows = tf.zeros([batch_size], tf.int32) if member is None else member
    row_orders = network.row_orders(rows) if order is None else tf.tile(order[None], [batch_size, 1])

    def body(index: tf.Tensor, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        draws = _draw_all(network, head, values, noise, conditional_input, member, order)
        is_next = tf.equal(tf.range(network.num_sites)[None], row_orders[:, index][:, None])
        is_next = tf.reshape(is_next, [batch_size, network.num_sites] + [1] * len(head.site_shape))
        return index + 1, tf.where(is_next, draws, values)

    start = (tf.constant(0), tf.zeros([batch_size, network.num_sites, *head.site_shape]))
    limit = network.num_sites
    return tf.while_loop(lambda index, _: index < limit, body, start, maximum_iterations=limit)[1]


def fixed_point(
    network: AutoregressiveNetwork,
    head: Head,
    noise: tf.Tensor,
    conditional_input: Any = None,
    *,
    member: tf.Tensor | None = None,
    order: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws all sites at once from the sites of the pass before, until nothing changes.

    Args:
        network, head, noise, conditional_input, member: see `walk`.
        order: None for the members' own, or int32 `[num_sites]` for all rows.

    Returns:
        float32 `[B, num_sites, *site_shape]` and the number of passes, int32, the last of which found no change.

    References:
        Song et al. Accelerating feedforward computation via parallel nonlinear equation solving. ICML 2021.
    """
    shape = [tf.shape(noise)[0], network.num_sites, *head.site_shape]

    def body(count: tf.Tensor, values: tf.Tensor, changed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        draws = _draw_all(network, head, values, noise, conditional_input, member, order)
        return count + 1, draws, tf.reduce_any(tf.not_equal(draws, values))

    start = (tf.constant(0), tf.zeros(shape), tf.constant(True))
    passes, values, _ = tf.while_loop(
        lambda count, values, changed: changed, body, start, maximum_iterations=network.num_sites + 1
    )
    return values, passes


def _draw_all(
    network: AutoregressiveNetwork,
    head: Head,
    values: tf.Tensor,
    noise: tf.Tensor,
    conditional_input: Any,
    member: tf.Tensor | None,
    order: tf.Tensor | None,
) -> tf.Tensor:
    """One draw of every site given the values of all; an ensemble takes a pass for each member."""
    site = np.arange(network.num_sites)
    x = tf.reshape(head.encode_inputs(values, site), [-1, *network.event_shape])
    if member is None or network.num_members == 1:
        return head.sample(network(x, conditional_input, order=order), noise, site)

    def body(k: tf.Tensor, draws: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        chosen = tf.reshape(tf.equal(member, k), [-1] + [1] * (draws.shape.rank - 1))
        return k + 1, tf.where(
            chosen, head.sample(network(x, conditional_input, member=k, order=order), noise, site), draws
        )

    limit = network.num_members
    return tf.while_loop(lambda k, _: k < limit, body, (tf.constant(0), values), maximum_iterations=limit)[1]
