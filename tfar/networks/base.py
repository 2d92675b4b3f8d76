"""Base class of networks, which compute a parameter vector for each site from earlier sites only."""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import configuration, private
from tfar.networks import schedule
from tfar.networks.conditions import State
from tfar.networks.inputs import seeded_initializer

Weights = dict[str, tf.Tensor]


class TrainingPass(NamedTuple):
    """The result of a pass that training differentiates.

    Attributes:
        params: float tensor `[B, num_sites, params_size]`.
        weights: float32 `[B, num_sites]`, the weight of each site's log-probability in the loss, or None for weights of
            1.
    """

    params: tf.Tensor
    weights: tf.Tensor | None = None


class AutoregressiveNetwork(keras.layers.Layer, abc.ABC):
    """Computes a parameter vector for each site from the sites of earlier steps.

    The network may be an ensemble of `num_members` networks that share weights and differ in their masks.

    Args:
        event_shape: shape of one event, without the batch. The first axis may be None for events of any length.
        site_shape: shape of the value of one site: `()` or the trailing axes of the event.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None. Its first axes may be None.

    Attributes:
        num_sites: int, or None if the length of an event is not fixed.
        params_size: int. Length of a parameter vector.
        num_members: int. Number of members of the ensemble that inference averages over.
        step_of_site: int32 array `[num_members or 1, num_sites]`. The step that decides each site; one row if all
            members use the same order. Sites with equal numbers are decided together. None if `num_sites` is None: the
            order is then the raster order, with `sites_per_step` sites per step.
        sites_per_step: int. Sites that each step decides if `num_sites` is None.
        stages: tuple of ints. Number of steps of a stage, for nested loops from the outermost to the innermost. With
            `(W,)` each row of an image of width W is a stage; with `(H * W, W)` each frame is a stage and each row is a
            stage within it. `start_stage` is called before the first step of each stage.
        any_order: bool. Whether `call` and `start` accept an `order`.
        any_order_hint: str. Part of an error message: what the user can do if the observed sites do not come first in
            the order.
        streams: bool. Whether `step` accepts an index for each row, so that rows of a batch may be at different positions.
        num_condition_values: int, K, if a conditional input consists of whole numbers 0 .. K - 1, such as words; None for
            real numbers.
        compiles_training: bool. Whether XLA makes a training step on a CPU faster; convolutions are faster without it.
    """

    params_size: int
    kernel_initializer: keras.initializers.Initializer
    seed: int
    num_members: int = 1
    sites_per_step: int = 1
    stages: tuple[int, ...] = ()
    any_order: bool = False
    streams: bool = False
    num_condition_values: int | None = None
    _num_added: int = 0
    compiles_training: bool = True
    any_order_hint: str = (
        "Make the model with an `order` that puts them first, or use a model for any order: OrderlessNADE, AnyOrderTransformer, "
        "or MADE with order='random' and num_masks=None."
    )

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Records the arguments of the constructor, which are the configuration."""
        network = super().__new__(cls, *args, **kwargs)
        object.__setattr__(network, "_arguments", configuration.noted_arguments(cls, args, kwargs))
        return network

    def __init__(
        self,
        event_shape: tuple[int | None, ...],
        site_shape: tuple[int, ...] = (),
        conditional_shape: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.event_shape: tuple[Any, ...] = tuple(event_shape)
        self.site_shape = tuple(site_shape)
        self.conditional_shape = conditional_shape
        self.num_sites: Any = schedule.num_sites(self.event_shape, self.site_shape)
        self.step_of_site = None if self.num_sites is None else np.arange(self.num_sites)[None]

    @property
    def step_of_site(self) -> Any:
        """The step that decides each site; see the class."""
        return self._step_of_site

    @step_of_site.setter
    def step_of_site(self, steps: Any) -> None:
        self._step_of_site = None if steps is None else schedule.check_schedule(steps, self.num_sites)

    @property
    def orders(self) -> Any:
        """The sites in the order of the steps, int32 `[num_members or 1, num_sites]`; None if the length is not fixed."""
        return None if self.step_of_site is None else schedule.order_of(self.step_of_site)

    def _seeded(self, salt: int) -> keras.initializers.Initializer:
        """Returns `kernel_initializer` with a seed that is a function of the seed of the network and of `salt`."""
        return seeded_initializer(self.kernel_initializer, self.seed, salt)

    def _dense(self, name: str, units: int, salt: int, **kwargs: Any) -> keras.layers.Dense:
        shared = {"kernel_initializer": self._seeded(salt), "dtype": self.dtype_policy}
        return keras.layers.Dense(units, name=name, **shared, **kwargs)

    def _add(self, kind: Callable[..., Any], inputs: int, *args: Any, **kwargs: Any) -> Any:
        """Creates a layer for a number of input channels, whose initializer has a different seed for each layer."""
        layer = kind(*args, kernel_initializer=self._seeded(self._num_added), dtype=self.dtype_policy, **kwargs)
        layer.in_channels, self._num_added = inputs, self._num_added + 1
        return layer

    def _sites(self, x: Any) -> tf.Tensor:
        """Returns the values of an event by site, `[B, num_sites, *site_shape]`."""
        return tf.reshape(x, [-1, self.num_sites, *self.site_shape])

    def _params_of_sites(self, outputs: Any) -> tf.Tensor:
        """Returns outputs of a user's network as parameters `[B, num_sites, params_size]`."""
        outputs, expected = tf.convert_to_tensor(outputs), self.num_sites * self.params_size
        if outputs.shape[1:].num_elements() not in (None, expected):
            raise ValueError(
                f"Expected the network to give {self.num_sites} sites x {self.params_size} parameters = {expected} numbers "
                f"a row; received shape {outputs.shape}."
            )
        return tf.reshape(outputs, [-1, self.num_sites, self.params_size])

    # In parallel -----------------------------------------------------------------------------------------------------

    @private.message_first
    def __call__(self, x: Any, conditional_input: Any = None, *args: Any, **kwargs: Any) -> tf.Tensor:
        """Checks that the inputs are those of `call`, and calls it."""
        if not tf.TensorShape(x.shape[1:]).is_compatible_with(self.event_shape):
            shape = ", ".join(["B", *("T" if size is None else str(size) for size in self.event_shape)])
            raise ValueError(f"Expected `x` of shape [{shape}]; received {list(x.shape)}.")
        if conditional_input is None and self.conditional_shape is not None:
            raise ValueError(f"Expected a `conditional_input` of shape {self.conditional_shape} a row; received None.")
        return super().__call__(x, conditional_input, *args, **kwargs)

    @abc.abstractmethod
    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        """Computes the parameters of all sites in one pass.

        Args:
            x: float tensor `[B, *event_shape]`.
            conditional_input: None, or a tensor `[B, *conditional_shape]` or a dict of them.
            member: int or int32 scalar. Member of the ensemble.
            order: None, or if `any_order` an int32 tensor `[num_sites]`, or `[B, num_sites]` with an order for each row.
            training: bool or None.

        Returns:
            float tensor `[B, num_sites, params_size]`.
        """

    def training_pass(
        self, x: Any, conditional_input: Any, seed: tf.Tensor, observed: tf.Tensor | None = None
    ) -> TrainingPass:
        """Computes a pass for training. Networks with random masks, orders or dropout override this method.

        Args:
            x: float tensor `[B, *event_shape]`, 0 where it is not observed.
            conditional_input: as in `call`.
            seed: int32 `[2]`. Determines all randomness of the pass.
            observed: None, or bool `[B, num_sites]`. A network that takes any pattern of observed sites gives the others the
                weight 0 and does not use their values. In other networks the observed sites come first in the order, and
                weights of None stand for 1 at the observed sites.
        """
        return TrainingPass(self(x, conditional_input, training=True))

    @property
    def awaits_data(self) -> bool:
        """Whether `initialize` should be called with data before training and has not been called yet."""
        return False

    def initialize(self, x: Any, conditional_input: Any = None) -> None:
        """Sets data-dependent initial weights.

        Args:
            x: float tensor `[B, *event_shape]`.
            conditional_input: as in `call`.

        Raises:
            ValueError: If the initial weights of the network do not depend on data.
        """
        raise ValueError(f"Expected a network with data-dependent initial weights; received a {type(self).__name__}.")

    def params_given(self, x: tf.Tensor, known: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """Computes the parameters of every site given only the known sites, in one pass, if `any_order`.

        Args:
            x: float tensor `[B, *event_shape]`; values that are not known are 0.
            known: bool `[B, num_sites]`.
            conditional_input: as in `call`.

        Returns:
            float tensor `[B, num_sites, params_size]`. The parameters of a known site are conditioned on the known
            sites before it, or are undefined.
        """
        raise NotImplementedError(f"{type(self).__name__} has no pass given any known sites.")

    # Conditions ------------------------------------------------------------------------------------------------------

    def covered_steps(self, conditional_input: Any) -> Any:
        """Returns the number of steps for which a conditional input has values: an int or int32 scalar; None for all.

        Networks with a condition that varies over events of any length override this method.
        """
        return None

    def uncovered_message(self, covered: int, num_steps: int) -> str:
        """Returns what is wrong with a conditional input for fewer steps than an event has."""
        return f"Expected a conditional input for all {num_steps} steps; received one for {covered}."

    # Influences ------------------------------------------------------------------------------------------------------

    def influences(self, sites: Any = None, member: int = 0, order: Any = None, num_sites: Any = None) -> NDArray:
        """Returns the sites that parameters can depend on through the connections of the network.

        Args:
            sites: ints. The sites for whose parameters to return the dependences. Default: all.
            member: int. Member of the ensemble.
            order: None for the order of the member, or if `any_order` ints `[num_sites]`.
            num_sites: int. Number of sites of an event, required if it is not fixed.

        Returns:
            bool array `[len(sites), num_sites]`. Entry `[i, j]` is True if the parameters of `sites[i]` depend on site j.
            By default, these are all sites of earlier steps.
        """
        if order is not None:
            steps = np.argsort(order)
        elif self.step_of_site is None:
            steps = np.arange(num_sites) // self.sites_per_step
        else:
            steps = self.step_of_site[min(member, len(self.step_of_site) - 1)]
        own = steps if sites is None else steps[np.asarray(sites, int)]
        return steps[None, :] < own[:, None]

    def largest_sums(self) -> dict[str, NDArray[np.float64]]:
        """Returns a bound on the absolute value of every sum that a unit computes, in any order of its terms.

        It holds for all events whose inputs are in [0, 1], as those of bits and of one-hot classes are, and for all conditional
        inputs in [0, 1].

        Returns:
            float64 `[units]` for each layer, by its name.

        Raises:
            ValueError: If the network has no such bound, because of its layers or of its inputs.
        """
        raise ValueError(
            f"Expected a network of sums and ReLU, such as that of MADE; {type(self).__name__} gives no bound on its sums."
        )

    # In steps --------------------------------------------------------------------------------------------------------

    def step_weights(self) -> Weights:
        """Returns tensors that every step uses, computed once before a loop; see `step`."""
        return {}

    @abc.abstractmethod
    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        """Returns the state before the first step: a flat dict of tensors whose first axis is the batch.

        Args:
            batch_size: int or int32 scalar, B.
            conditional_input: as in `call`.
            order: None for the orders of the members, or if `any_order` int32 `[B, num_sites]`, an order for each row.
            member: None for the first member, or int32 `[B]`, the member of the ensemble for each row.
        """

    def start_stage(
        self, level: int, state: State, number: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> State:
        """Computes values that all steps of a stage share, before the first of them.

        Args:
            level: int. Index into `stages`.
            state: the state after the previous step.
            number: int32 scalar. The stage begins at step `number * stages[level]`.
            x_previous: the `x_previous` of the first step of the stage.
            weights: the result of `step_weights`, or None to compute it here.

        Returns:
            The new state, with the same names and shapes.
        """
        return state

    @abc.abstractmethod
    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        """Computes the parameters of the sites that step `index` decides.

        Args:
            state: the state after the previous step.
            index: int32 scalar, from 0; int32 `[B]` if `streams`. If the group of a step differs in size from the
                previous one, `index` is a constant, so that the size is static; see `schedule.sites_of_step`.
            x_previous: float tensor `[B, G, *site_shape]`. The values that the previous step decided, in raster order,
                encoded by the head. Step 0 ignores it.
            weights: the result of `step_weights`, or None to compute it here.

        Returns:
            Parameters `[B, G, params_size]`, of the G sites of the step in raster order, and the new state.
        """

    def prefill(self, state: State, x_prefix: tf.Tensor, length: tf.Tensor) -> State:
        """Returns the state after `length` steps whose values are known, from which step `length` continues.

        Args:
            state: the result of `start`.
            x_prefix: float tensor `[B, num_steps, G, *site_shape]`: the values of the steps. Those from `length - 1` on
                are ignored, because step `length` takes the values of step `length - 1` as `x_previous`.
            length: int32 scalar, 0 or more, and a multiple of `stages[0]` if the network has stages; int32 `[B]` if
                `streams`, which only networks that override `prefill` allow.

        Raises:
            ValueError: If the network has stages and does not override `prefill`.

        The default implementation takes the steps one after the other. A network that can compute the state in one pass
        overrides it, and `complete` then processes the observed prefix in that pass.
        """
        if self.stages:
            raise ValueError(
                f"Expected a network without stages or with a `prefill` of its own; {type(self).__name__} has stages of "
                f"{self.stages} steps."
            )
        weights = self.step_weights()

        def body(index: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
            x_previous = tf.gather(x_prefix, tf.maximum(index - 1, 0), axis=1)
            return index + 1, self.step(state, index, x_previous, weights)[1]

        return tf.while_loop(lambda index, _: index < length, body, (tf.constant(0), state))[1]

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Any]:
        """Lists all layers for `tf.train.Checkpoint`, because Keras hides layers in lists from it."""
        children = super()._trackable_children(save_type, **kwargs)
        layers = private.layers_of(self) if save_type == "checkpoint" else []
        return {**children, **{f"layer_{i}": layer for i, layer in enumerate(layers)}}

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        own = {name: configuration.serialized(value) for name, value in self._arguments.items()}
        return {**super().get_config(), **own} if configuration.accepts_others(type(self)) else own

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Creates a network from a configuration, with new weights."""
        return cls(**{name: configuration.deserialized(value) for name, value in config.items()})
