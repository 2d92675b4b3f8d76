"""A member of an autoregressive law: the product of the conditionals of the sites in one order and with one mask."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.heads import Head
from tfar.networks import AutoregressiveNetwork
from tfar.networks.permutations import inverted
from tfar.networks.schedule import Segment, segments


class Member:
    """The conditionals of a network and a head for one member of an ensemble.

    Args:
        network: the network.
        head: the head.
        member: None for the only member of a network; else an int or int32 scalar, or for draws int32 `[B]`, one member
            per row.
        order: None for the order of the network's member; else int32 `[N]`, or for draws and passes `[B, N]`.
        conditional: the head of the conditionals, such as `head` at another temperature. Default: `head`.
    """

    def __init__(
        self,
        network: AutoregressiveNetwork,
        head: Head,
        member: Any = None,
        order: Any = None,
        conditional: Head | None = None,
    ) -> None:
        self.network, self.head, self.member, self.order = network, head, member, order
        self.conditional = head if conditional is None else conditional

    def with_order(self, order: Any) -> "Member":
        """Returns the same member in another order."""
        return Member(self.network, self.head, self.member, order, self.conditional)

    # Conditionals ----------------------------------------------------------------------------------------------------

    def params(self, x: tf.Tensor, conditional_input: Any) -> tf.Tensor:
        """Returns the parameters of all sites, `[B, N, P]`, each given the values of `x` at earlier steps."""
        if self.member is None or isinstance(self.member, int) or self.member.shape.rank == 0:
            return self._pass(x, conditional_input, 0 if self.member is None else self.member)
        params = self._pass(x, conditional_input, 0)

        def body(k: tf.Tensor, params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            is_own = tf.equal(self.member, k)[:, None, None]
            return k + 1, tf.where(is_own, self._pass(x, conditional_input, k), params)

        count = self.network.num_members
        return tf.while_loop(lambda k, _: k < count, body, (tf.constant(1), params), maximum_iterations=count - 1)[1]

    def _pass(self, x: tf.Tensor, conditional_input: Any, member: Any) -> tf.Tensor:
        params = self.network(self.encoded(x), conditional_input, member=member, order=self.order, training=False)
        return tf.cast(params, tf.float32)

    def encoded(self, x: tf.Tensor) -> tf.Tensor:
        """Returns events encoded by the head as inputs of the network."""
        values = self.values(x)
        return self.event(self.head.encode_inputs(values, self.sites(tf.shape(values)[1])))

    def site_log_probs(
        self, x: tf.Tensor, conditional_input: Any = None, observed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns the log-probability of each site given those of earlier steps, `[B, N]`; 0 at unobserved sites.

        The observed sites, bool `[B, N]`, must come first in the order. None means that all are observed.
        """
        sites = self.values(x)
        params = self.params(x, conditional_input)
        log_probs = self.conditional.log_prob(params, sites, self.sites(tf.shape(sites)[1]))
        return log_probs if observed is None else tf.where(observed, log_probs, tf.zeros_like(log_probs))

    def log_prob(self, x: tf.Tensor, conditional_input: Any = None, observed: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the log-probability of the observed sites of each row, `[B]`; see `site_log_probs`."""
        return tf.reduce_sum(self.site_log_probs(x, conditional_input, observed), axis=-1)

    # Shapes ----------------------------------------------------------------------------------------------------------

    def values(self, x: tf.Tensor) -> tf.Tensor:
        """Returns events `[B, *event_shape]` as values of sites, `[B, N, *site_shape]`."""
        count = -1 if self.network.num_sites is None else self.network.num_sites
        return tf.reshape(x, [tf.shape(x)[0], count, *self.head.site_shape])

    def event(self, values: tf.Tensor) -> tf.Tensor:
        """Returns values of sites as events: the inverse of `values`."""
        shape = [-1 if size is None else size for size in self.network.event_shape]
        return tf.reshape(values, [tf.shape(values)[0], *shape])

    def sites(self, num_sites: tf.Tensor) -> Any:
        """Returns the indices of all sites, `[N]`, as an array if N is fixed."""
        return tf.range(num_sites) if self.network.num_sites is None else np.arange(self.network.num_sites)

    # Schedule --------------------------------------------------------------------------------------------------------

    def order_of_rows(self, batch_size: tf.Tensor) -> NDArray[np.int32] | tf.Tensor | None:
        """Returns the sites in step order: an int32 array `[N]`, a tensor `[B, N]`, or None for the raster order."""
        row_order = self.row_order(batch_size)
        if row_order is not None:
            return row_order
        orders = self.network.orders
        if orders is None or len(orders) == 1:
            return None if orders is None else orders[0]
        if self.member is None or isinstance(self.member, int):
            return orders[self.member or 0]
        return tf.gather(tf.constant(orders), tf.broadcast_to(self.member, [batch_size]))

    def row_order(self, batch_size: tf.Tensor) -> tf.Tensor | None:
        """Returns the order of this member as int32 `[B, N]`, or None for the order of the network."""
        if self.order is None:
            return None
        order = tf.convert_to_tensor(self.order)
        return order if order.shape.rank == 2 else tf.tile(order[None], [batch_size, 1])

    def segments(self, num_sites: tf.Tensor) -> tuple[Segment, ...]:
        """Returns the steps as segments with groups of equal size."""
        network = self.network
        if network.step_of_site is None:
            return (Segment(0, num_sites // network.sites_per_step, network.sites_per_step),)
        if self.order is not None:  # A permutation decides one site per step.
            return (Segment(0, network.num_sites, 1),)
        return segments(network.step_of_site[0])

    def num_steps(self, num_sites: tf.Tensor) -> Any:
        """Returns the number of steps, as an int if it is fixed."""
        last = self.segments(num_sites)[-1]
        return last.first + last.num_steps

    def step_of_site_of_rows(self, batch_size: tf.Tensor, num_sites: tf.Tensor) -> tf.Tensor:
        """Returns the step that decides each site, int32 `[B, N]` or `[1, N]`."""
        row_order = self.row_order(batch_size)
        if row_order is not None:
            return inverted(row_order)
        steps = self.network.step_of_site
        if steps is None:
            return (tf.range(num_sites) // self.network.sites_per_step)[None]
        if len(steps) == 1 or self.member is None:
            return tf.constant(steps[:1])
        return tf.gather(tf.constant(steps), tf.reshape(self.member, [-1]))
