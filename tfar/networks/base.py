"""The contract of a network: from sites to parameters, each from earlier sites alone."""

import abc
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

State = dict[str, tf.Tensor]
Weights = dict[str, tf.Tensor]


class TrainingPass(NamedTuple):
    """What training differentiates.

    Attributes:
        params: float tensor `[B, num_sites, params_size]`.
        weights: None, or float32 `[B, num_sites]`: what the log-probability of each site counts for; None: 1 each.
    """

    params: tf.Tensor
    weights: tf.Tensor | None = None


class AutoregressiveNetwork(keras.layers.Layer, abc.ABC):
    """A network that gives each site a parameter vector from the sites before it in an order.

    It may be an ensemble of `num_members` that share weights and differ in masks or orders.

    Args:
        event_shape: shape of one event, without the batch.
        site_shape: shape of the value of one site: `()` or the trailing axes of the event.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None.

    Attributes:
        num_sites: int. Number of sites.
        params_size: int. Length of a parameter vector.
        num_members: int. Members of the ensemble that inference averages.
        orders: int32 array `[num_members or 1, num_sites]`: the order of each member; one row if they share it.
        any_order: bool. Whether `call`, `start` accept an order of their own.
        members_are_orders: bool. Whether members differ in their orders alone, and `with_orders` gives others.
        way_out: str. What to do where the observed sites do not come first in the order.
        steps_per_stage: int. Steps between two calls of `start_stage`; the last stage may be shorter. Default: all, one stage.
        stages_differ: bool. Whether the shapes of the state differ between stages, so that a loop is written for each.
    """

    any_order: bool = False
    members_are_orders: bool = False
    stages_differ: bool = False
    num_members: int = 1
    way_out: str = (
        "Make the model with an `order` that puts them first, or with order='random' and num_masks=None, which allows any "
        "pattern."
    )

    def __init__(
        self,
        event_shape: tuple[int, ...],
        site_shape: tuple[int, ...] = (),
        conditional_shape: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.event_shape = tuple(event_shape)
        self.site_shape = tuple(site_shape)
        self.conditional_shape = conditional_shape
        self.num_sites = num_sites(self.event_shape, self.site_shape)
        self.orders: NDArray[np.int32] = np.arange(self.num_sites, dtype=np.int32)[None]

    @property
    @abc.abstractmethod
    def params_size(self) -> int:
        """Length of a parameter vector."""

    @abc.abstractmethod
    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        """One pass for all sites.

        Args:
            x: float tensor `[B, *event_shape]`.
            conditional_input: None, or a tensor `[B, *conditional_shape]` or a dict of them.
            member: int or int32 scalar. Member of the ensemble.
            order: None, or an int32 tensor `[num_sites]` if `any_order`.
            training: bool or None.

        Returns:
            float tensor `[B, num_sites, params_size]`.
        """

    def training_pass(
        self, x: Any, conditional_input: Any, seed: tf.Tensor, observed: tf.Tensor | None = None
    ) -> TrainingPass:
        """The pass that training differentiates.

        Args:
            x: float tensor `[B, *event_shape]`, 0 where it is not observed.
            conditional_input: as in `call`.
            seed: int32 `[2]`; decides all that is random in the pass.
            observed: None, or bool `[B, num_sites]`, if `any_order`: the rest gets weight 0 and is not looked at.
        """
        return TrainingPass(self(x, conditional_input, training=True))

    @property
    def awaits_data(self) -> bool:
        """Whether `initialize` is to see a batch before training, and has seen none."""
        return False

    def initialize(self, x: Any, conditional_input: Any = None) -> None:
        """Chooses initial weights by a batch, where a model does so.

        Args:
            x: float tensor `[B, *event_shape]`.
            conditional_input: as in `call`.

        Raises:
            ValueError: If the model's initial weights do not depend on data.
        """
        raise ValueError(f"Expected a model whose initial weights depend on data; {type(self).__name__}'s do not.")

    def connectivity(self, member: int = 0) -> NDArray[np.bool_]:
        """Which sites depend on which, `[num_sites, num_sites]`: `[i, j]` is True if the parameters of j depend on i."""
        steps = np.argsort(self.orders[min(member, len(self.orders) - 1)])
        return steps[:, None] < steps[None, :]

    def with_orders(self, orders: Any) -> "AutoregressiveNetwork":
        """A network that shares the weights and has a member for each of other orders.

        Args:
            orders: int K, or ints `[K, num_sites]`; see `tfar.Autoregressive.with_orders`.

        Raises:
            ValueError: Unless `members_are_orders`.
        """
        raise ValueError(
            f"Expected a network of which members are orders; {type(self).__name__} has weights or masks for its own alone."
        )

    @property
    def steps_per_stage(self) -> int:
        """Number of steps of a stage: what `start_stage` computes for all of them at once, such as the steps of a row."""
        return self.num_sites

    def step_weights(self) -> Weights:
        """Tensors that every step uses and that a loop computes once; see `step`."""
        return {}

    @abc.abstractmethod
    def start(
        self,
        batch_size: int | tf.Tensor,
        conditional_input: Any = None,
        length: int | None = None,
        order: Any = None,
        member: Any = None,
    ) -> State:
        """Returns the state before the first step: a flat dict of batch-first tensors.

        Args:
            batch_size: int or int32 scalar, B.
            conditional_input: as in `call`.
            length: None, or the number of sites of an event whose shape holds None.
            order: None for the members' own, or int32 `[B, num_sites]`: an order for each row, if `any_order`.
            member: None for the first, or int32 `[B]`: the member of the ensemble that each row uses.
        """

    def start_stage(
        self, state: State, stage: int | tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> State:
        """Computes what the steps of a stage share, before the first of them: step `stage * steps_per_stage`.

        Args:
            state: what `start` or the step before returned.
            stage: int32 scalar, from 0; an int if `stages_differ`.
            x_previous: as the first step of the stage takes it: the value decided by the last step of the stage before.
            weights: what `step_weights` returned, or None to compute it here.

        Returns:
            The new state, with the same names, and with the same shapes unless `stages_differ`.
        """
        return state

    @abc.abstractmethod
    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        """Decides nothing itself: gives the parameters of the site that step `index` decides.

        Args:
            state: what `start` or the step before returned.
            index: int32 scalar, from 0.
            x_previous: float tensor `[B, *site_shape]`: the value decided by the step before; ignored at step 0.
            weights: what `step_weights` returned, or None to compute it here.

        Returns:
            Parameters `[B, params_size]` and the new state.
        """

    def sites_at(self, state: State, index: tf.Tensor) -> tf.Tensor:
        """The site that step `index` decides: int32, a scalar if the rows share it, else `[B]`."""
        if "order" in state:
            return state["order"][:, index]
        return tf.gather(tf.constant(self.orders[0]), index)

    def row_orders(self, member: tf.Tensor) -> tf.Tensor:
        """The order of each row: int32 `[B, num_sites]` for members `[B]`."""
        orders = tf.constant(self.orders)
        return tf.gather(orders, member if len(self.orders) > 1 else tf.zeros_like(member))

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Any]:
        """What `tf.train.Checkpoint` follows: all layers, as Keras hides from it those that are held in lists."""
        children = super()._trackable_children(save_type, **kwargs)
        layers = self._flatten_layers(include_self=False) if save_type == "checkpoint" else []
        return {**children, **{f"layer_{i}": layer for i, layer in enumerate(layers)}}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "event_shape": list(self.event_shape),
            "site_shape": list(self.site_shape),
            "conditional_shape": shape_config(self.conditional_shape),
        }


def num_sites(event_shape: tuple[int, ...], site_shape: tuple[int, ...]) -> int:
    """Number of sites of an event whose trailing axes are those of a site.

    Raises:
        ValueError: If the event does not end with `site_shape` or holds an axis below 1.
    """
    if any(not isinstance(n, int | np.integer) or n < 1 for n in event_shape):
        raise ValueError(f"Expected the axes of `event_shape` to be ints of at least 1; received {event_shape}.")
    lead = len(event_shape) - len(site_shape)
    if lead < 0 or event_shape[lead:] != site_shape:
        raise ValueError(
            f"Expected `event_shape` to end with the head's site shape {site_shape}; received {event_shape}."
        )
    return int(np.prod(event_shape[:lead], dtype=np.int64))


def shape_config(conditional_shape: Any) -> Any:
    """A conditional shape, or a dict of them, as plain lists for a configuration."""
    if conditional_shape is None:
        return None
    if isinstance(conditional_shape, Mapping):
        return {name: list(shape) for name, shape in conditional_shape.items()}
    return list(conditional_shape)


def flatten_condition(conditional_input: Any, conditional_shape: Any) -> tf.Tensor:
    """Joins a conditional input, or a dict of them in the order of their names, into features `[B, F]`."""
    if isinstance(conditional_shape, Mapping):
        parts = [(conditional_input[name], conditional_shape[name]) for name in sorted(conditional_shape)]
    else:
        parts = [(conditional_input, conditional_shape)]
    flat = [tf.reshape(tf.cast(part, tf.float32), [-1, int(np.prod(shape, dtype=int))]) for part, shape in parts]
    return flat[0] if len(flat) == 1 else tf.concat(flat, axis=-1)


def condition_state(conditional_input: Any) -> State:
    """A conditional input as entries of a state, for networks that need it at every step."""
    if isinstance(conditional_input, Mapping):
        return {f"conditional_{name}": value for name, value in conditional_input.items()}
    return {} if conditional_input is None else {"conditional_input": conditional_input}


def condition_of_state(state: State, conditional_shape: Any) -> Any:
    """The inverse of `condition_state`."""
    if isinstance(conditional_shape, Mapping):
        return {name: state[f"conditional_{name}"] for name in conditional_shape}
    return state.get("conditional_input")


def condition_size(conditional_shape: Any) -> int:
    """Number of features that `flatten_condition` gives; 0 without a condition."""
    if conditional_shape is None:
        return 0
    shapes = conditional_shape.values() if isinstance(conditional_shape, Mapping) else [conditional_shape]
    return int(sum(np.prod(shape, dtype=int) for shape in shapes))
