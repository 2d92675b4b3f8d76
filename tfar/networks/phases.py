"""Networks whose steps are of several kinds, each taken by a part of the network."""

import abc

import tensorflow as tf

from tfar.networks.base import AutoregressiveNetwork, Weights
from tfar.networks.conditions import State


class Phase(abc.ABC):
    """Consecutive steps of one kind, which decide groups of one size.

    A phase has a state of its own, which `start` makes from the state of the network. `start_stage` and `step` are those of
    `AutoregressiveNetwork`, with steps and stages that are numbered from the start of the phase. A phase whose sites are all
    observed is skipped: only `finish` is called.

    Attributes:
        num_steps: int. Number of steps.
        group_size: int. Number of sites that a step decides.
        stages: tuple of ints. As in `AutoregressiveNetwork`.
    """

    num_steps: int
    group_size: int
    stages: tuple[int, ...] = ()

    @abc.abstractmethod
    def start(self, state: State, weights: Weights) -> State:
        """Returns the state before the first step of the phase, given the state of the network before the phase."""

    def start_stage(
        self, level: int, state: State, number: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> State:
        """See `AutoregressiveNetwork.start_stage`."""
        return state

    @abc.abstractmethod
    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        """See `AutoregressiveNetwork.step`."""

    @abc.abstractmethod
    def finish(self, state: State, values: tf.Tensor) -> State:
        """Returns the state of the network after the phase.

        Args:
            state: the state of the network before the phase.
            values: float tensor `[B, num_steps, group_size, *site_shape]`. What the phase decided, encoded by the head.
        """


class PhasedNetwork(AutoregressiveNetwork, abc.ABC):
    """Network whose schedule is a sequence of phases. `start` returns the state before the first phase."""

    @property
    @abc.abstractmethod
    def phases(self) -> tuple[Phase, ...]:
        """The phases in the order of their steps."""

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        raise NotImplementedError(f"{type(self).__name__} takes its steps in `phases`.")
