"""What a distribution is made of: a network, a head and a bound condition as a citizen of TensorFlow Probability."""

import copy
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfar import orders
from tfar.distributions import rows
from tfar.distributions.density import Density
from tfar.heads import Head
from tfar.networks import AutoregressiveNetwork

tfd = tfp.distributions


class NetworkDistribution(tfd.Distribution):  # type: ignore[name-defined]
    """Parts, shapes, copies and configuration of a distribution that a network and a head make.

    Subclasses call `_setup` in their constructor and add what one asks of a distribution.
    """

    def _setup(
        self, network: AutoregressiveNetwork, head: Head, jit_compile: bool, parameters: dict[str, Any], name: str
    ) -> None:
        """Makes the distribution of a network and a head; what a subclass calls in place of the constructor."""
        if network.params_size != head.params_size or network.site_shape != head.site_shape:
            raise ValueError(
                f"Expected a network with {head.params_size} parameters for a site of shape {head.site_shape}, as "
                f"{type(head).__name__} has; received {network.params_size} for {network.site_shape}."
            )
        if not network.built:
            network.build((None, *network.event_shape))
        if not head.built:
            head.build()
        self._density = Density(network, head)
        self._rows = rows.RowFunctions(jit_compile)
        self._condition: Any = None
        tfd.Distribution.__init__(
            self,
            dtype=tf.float32,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )
        self._network, self._head = network, head  # Where tf.train.Checkpoint finds the weights.

    # What it is made of ----------------------------------------------------------------------------------------------

    @property
    def network(self) -> AutoregressiveNetwork:
        """The network, shared by copies."""
        return self._density.network

    @property
    def head(self) -> Head:
        """The head."""
        return self._density.head

    @property
    def density(self) -> Density:
        """The same density on flat batches, in plain ops: what exported signatures are made of."""
        return self._density

    @property
    def num_sites(self) -> int:
        """Number of sites of an event."""
        return self.network.num_sites

    @property
    def conditional_shape(self) -> Any:
        """Shape of the conditional input of one row, a dict of shapes, or None."""
        return self.network.conditional_shape

    @property
    def jit_compile(self) -> bool:
        """Whether eager calls compile with XLA."""
        return self._rows.jit_compile

    @property
    def temperature(self) -> float:
        """The temperature of the conditionals, 1 unless `with_temperature` changed it."""
        return self._density.temperature

    @property
    def bound_condition(self) -> Any:
        """The condition that `given` bound, or None."""
        return self._condition

    @property
    def variables(self) -> tuple[tf.Variable, ...]:
        """All variables, as tf.Variables."""
        return tuple(v.value for v in [*self.network.variables, *self.head.variables])

    @property
    def trainable_variables(self) -> tuple[tf.Variable, ...]:
        """The trainable variables, as tf.Variables."""
        return tuple(v.value for v in [*self.network.trainable_variables, *self.head.trainable_variables])

    @property
    def non_trainable_variables(self) -> tuple[tf.Variable, ...]:
        """The other variables, as tf.Variables."""
        return tuple(v.value for v in [*self.network.non_trainable_variables, *self.head.non_trainable_variables])

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: Any = None) -> dict[str, Any]:
        return {}

    def _event_shape(self) -> tf.TensorShape:
        return tf.TensorShape(self.network.event_shape)

    def _event_shape_tensor(self) -> tf.Tensor:
        return tf.constant(self.network.event_shape, tf.int32)

    def _batch_shape(self) -> tf.TensorShape:
        if self._condition is None:
            return tf.TensorShape([])
        lead = rows.lead_shape(rows.condition_items(self._condition, self.conditional_shape))
        return tf.TensorShape(lead if isinstance(lead, tuple) else [None] * lead.shape[0])

    def _batch_shape_tensor(self) -> tf.Tensor:
        if self._condition is None:
            return tf.constant([], tf.int32)
        lead = rows.lead_shape(rows.condition_items(self._condition, self.conditional_shape))
        return tf.convert_to_tensor(lead, tf.int32)

    # Copies ----------------------------------------------------------------------------------------------------------

    def given(self, conditional_input: Any) -> Self:
        """Binds a condition `[*batch, *conditional_shape]`: the copy has batch shape `[*batch]` and shares the network."""
        clone = copy.copy(self)
        clone._condition = rows.condition(conditional_input, self.conditional_shape)
        return clone

    def with_order(self, order: orders.Order) -> Self:
        """A copy that shares the weights and decides the sites in `order`.

        Raises:
            ValueError: If the network was not made for any order and `order` is not its own.
        """
        resolved = orders.resolve(order, self.num_sites)
        if not self.network.any_order:
            if len(self.network.orders) == 1 and np.array_equal(self.network.orders[0], resolved):
                return copy.copy(self)
            raise ValueError(
                "Expected the order that the network was made for, as its weights serve no other; for any order train "
                f"OrderlessNADE, or MADE with order='random' and num_masks=None. Received {order!r}."
            )
        network = self.network.with_orders(resolved[None]) if self.network.members_are_orders else self.network
        return self._with_density(network=network, order=resolved)

    def with_orders(self, orders: Any) -> Self:
        """A copy that shares the weights and averages the probabilities of other orders, for a model of all orders.

        Args:
            orders: int K: K random orders, from the seed, the first ones the same for any K; or ints `[K, num_sites]`.

        Raises:
            ValueError: If the model is not one for all orders, or the orders are none.
        """
        return self._with_density(network=self.network.with_orders(orders), order=None)

    def with_temperature(self, temperature: float) -> Self:
        """A copy that shares the weights and whose sites follow the model's conditionals at another temperature.

        It is another law than the model's: sharper below 1, flatter above. Its `sample`, `log_prob` and `complete` are of that
        law, whose conditionals are `tfar.heads.Head.tempered`; their product is not a power of the model's density.

        Args:
            temperature: float, T > 0; 1 is the model itself.

        Raises:
            ValueError: If the temperature is not a positive number, or the head knows no other temperature.

        Example:
            >>> hot = tfar.MADE([2], [4]).with_temperature(1e6)  # hot sites are uniform
            >>> round(float(hot.log_prob([1.0, 0.0])), 4)
            -1.3863
        """
        return self._with_density(temperature=temperature)

    def _with_density(self, **changes: Any) -> Self:
        density, clone = self._density, copy.copy(self)
        names = ("network", "head", "order", "temperature")
        clone._density = Density(**{**{name: getattr(density, name) for name in names}, **changes})
        clone._network = clone._density.network
        clone._rows = rows.RowFunctions(self._rows.jit_compile)
        return clone

    def copy(self, **overrides: Any) -> Self:
        """A copy that shares the network; `name` and `jit_compile` may be replaced.

        Raises:
            ValueError: If another parameter is given: that is another network, which its constructor makes.
        """
        others = sorted(set(overrides) - {"name", "jit_compile"})
        if others:
            raise ValueError(
                f"Expected `copy` to replace `name` or `jit_compile` alone, as a copy shares the network; received {others}."
            )
        clone = copy.copy(self)
        clone._name = overrides.get("name", self._name)
        clone._rows = rows.RowFunctions(overrides.get("jit_compile", self._rows.jit_compile))
        return clone

    # Configuration ---------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """What makes the same distribution again, weights aside."""
        return {
            "network": keras.saving.serialize_keras_object(self.network),
            "head": keras.saving.serialize_keras_object(self.head),
            "jit_compile": self._rows.jit_compile,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The inverse of `get_config`."""
        return cls(**{name: _deserialize(value) for name, value in config.items()})


def _deserialize(value: Any) -> Any:
    if isinstance(value, dict) and "class_name" in value:
        return keras.saving.deserialize_keras_object(value)
    return value
