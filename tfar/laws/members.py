"""The members of an autoregressive law: their orders, their conditionals, and the patterns of observed sites they allow."""

from typing import Any, Self

import numpy as np
import tensorflow as tf

from tfar.heads import Head
from tfar.heads.tempered import Tempered
from tfar.heads.truncated import Truncated
from tfar.laws.ensemble import Ensemble
from tfar.laws.member import Member
from tfar.networks import AutoregressiveNetwork
from tfar.networks.permutations import inverted, observed_first


class Members:
    """Makes the members of a law from a network and a head.

    Args:
        network: the network.
        head: the head.
        orders: None for the orders of the network, or int32 `[K, num_sites]`: the orders of the members. Requires a
            network for any order.
        fixed_order: bool. Whether the law uses only the single order in `orders`, in which observed sites must come
            first. If False, a network for any order moves the observed sites to the front.
        temperature: None, or a float or scalar tensor: the temperature of the conditionals.
        top_k: None, or an int: each conditional is restricted to so many most probable classes, after the temperature.
        top_p: None, or a float or scalar tensor: each conditional is restricted to the most probable classes with this share
            of the probability, after `top_k`.
    """

    def __init__(
        self,
        network: AutoregressiveNetwork,
        head: Head,
        *,
        orders: Any = None,
        fixed_order: bool = False,
        temperature: Any = None,
        top_k: int | None = None,
        top_p: Any = None,
    ) -> None:
        self.network, self.head = network, head
        self.orders, self.fixed_order = orders, fixed_order
        self.temperature, self.top_k, self.top_p = temperature, top_k, top_p
        self._default_orders = orders

    # Options ---------------------------------------------------------------------------------------------------------

    @property
    def options(self) -> dict[str, Any]:
        """The options that are tensors. They are inputs of compiled functions, so that copies share these functions."""
        options = {}
        if self.orders is not None:
            options["orders"] = tf.convert_to_tensor(self.orders, tf.int32)
        if self.temperature is not None:
            options["temperature"] = tf.convert_to_tensor(self.temperature, tf.float32)
        if self.top_p is not None:
            options["top_p"] = tf.convert_to_tensor(self.top_p, tf.float32)
        return options

    @property
    def static_options(self) -> dict[str, Any]:
        """The options that are not tensors."""
        return {"fixed_order": self.fixed_order, "top_k": self.top_k}

    @property
    def config(self) -> dict[str, Any]:
        """The options that differ from the default, as plain values."""
        config: dict[str, Any] = {}
        if self.fixed_order or self.orders is not self._default_orders:
            config["orders"] = np.asarray(self.orders).tolist()
            config["fixed_order"] = self.fixed_order
        if self.temperature is not None:
            config["temperature"] = float(self.temperature)
        if self.top_k is not None:
            config["top_k"] = self.top_k
        if self.top_p is not None:
            config["top_p"] = float(self.top_p)
        return config

    def from_config(self, config: dict[str, Any]) -> Self:
        """Returns the law with the options of a configuration."""
        config = dict(config)
        if "orders" in config:
            config["orders"] = np.asarray(config["orders"], np.int32)
        return self.with_options(**config)

    def with_options(self, **options: Any) -> Self:
        """Returns a law with the same network and head and other options."""
        own = {"orders": self.orders, "fixed_order": self.fixed_order, "temperature": self.temperature}
        own.update(top_k=self.top_k, top_p=self.top_p)
        law = type(self)(self.network, self.head, **{**own, **options})
        law._default_orders = self._default_orders
        return law

    # Members ---------------------------------------------------------------------------------------------------------

    @property
    def num_members(self) -> int:
        """Number of members of the ensemble: orders, or masks of the network."""
        own = self.network.num_members
        return own if self.orders is None else max(int(self.orders.shape[0]), own)

    def member(self, k: Any) -> Member:
        """Returns member k for an int or int32 scalar k, or the members of the rows for int32 `[B]`."""
        order = None
        if self.orders is not None:
            orders = tf.convert_to_tensor(self.orders)
            order = orders[0] if orders.shape[0] == 1 else tf.gather(orders, k)
        own = k if self.network.num_members > 1 else None
        return Member(self.network, self.head, own, order, self._conditional())

    def _conditional(self) -> Head:
        """Returns the head of the conditionals: at the temperature, then of the first classes."""
        head = self.head if self.temperature is None else Tempered(self.head, self.temperature)
        return head if self.top_k is None and self.top_p is None else Truncated(head, self.top_k, self.top_p)

    @property
    def members(self) -> Ensemble:
        """The ensemble of the members, which may be one."""
        orders = self.network.orders if self.orders is None else self.orders
        shared = tf.convert_to_tensor(orders)[0] if orders is not None and orders.shape[0] == 1 else None
        return Ensemble(self.member, self.num_members, shared)

    @property
    def allows_any_pattern(self) -> bool:
        """Whether any sites may be observed, because the network takes any order."""
        return self.network.any_order and not self.fixed_order

    @property
    def allows_shorter(self) -> bool:
        """Whether the first sites of an event are an event themselves, so that rows of different lengths are padded."""
        return self.network.num_sites is None

    def members_given(self, observed: tf.Tensor | None) -> Ensemble:
        """Returns the members with the observed sites of each row moved to the front, if the network takes any order."""
        if observed is None or not self.allows_any_pattern:
            return self.members

        def member(k: Any) -> Member:
            own = self.member(k)
            return own.with_order(observed_first(own.order_of_rows(tf.shape(observed)[0]), observed))

        return Ensemble(member, self.num_members)

    # Patterns --------------------------------------------------------------------------------------------------------

    def allows(self, observed: tf.Tensor) -> tf.Tensor:
        """Returns whether each pattern of observed sites `[B, N]` can be scored and completed, bool `[B]`."""
        if self.allows_any_pattern:
            return tf.ones([tf.shape(observed)[0]], tf.bool)
        return self._is_prefix(observed)

    def _is_prefix(self, observed: tf.Tensor) -> tf.Tensor:
        """Returns whether the observed sites `[B, N]` come first in the order of every member, bool `[B]`.

        Any sites within a group, which is decided together, may be observed.
        """
        if self.orders is not None:
            steps = inverted(self.orders)[None]
        elif self.network.step_of_site is not None:
            steps = tf.constant(self.network.step_of_site)[None]
        else:
            steps = tf.range(tf.shape(observed)[1])[None, None] // self.network.sites_per_step
        unobserved = tf.logical_not(observed)[:, None]
        most = tf.shape(observed)[1]
        first_missing = tf.reduce_min(tf.where(unobserved, steps, most), axis=-1)
        last_observed = tf.reduce_max(tf.where(unobserved, -1, steps), axis=-1)
        return tf.reduce_all(last_observed <= first_missing, axis=-1)
