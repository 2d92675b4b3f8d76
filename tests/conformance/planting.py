"""How faults are planted: changes of networks, laws, samplers and oracles that a test should notice."""

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf

from tfar.laws import AutoregressiveLaw
from tfar.laws.ensemble import Ensemble
from tfar.networks import (
    MADENetwork,
)

Change = Callable[[Any], Callable[..., Any]]


def change(owner: Any, name: str, wrong: Change) -> Any:
    """Replaces an attribute of a class or module by `wrong(right)`."""
    return mock.patch.object(owner, name, wrong(getattr(owner, name)))


def params(wrong: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], owner: Any = MADENetwork) -> Any:
    """Replaces the parameters of a pass by `wrong(params [B, N, P], x [B, N])`."""

    def planted(right: Any) -> Any:
        def call(self: Any, x: Any, *args: Any, **kwargs: Any) -> tf.Tensor:
            found = right(self, x, *args, **kwargs)
            return wrong(found, tf.reshape(x, [-1, self.num_sites]))

        return call

    return change(owner, "call", planted)


def of_member(number: int, wrong: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> Any:
    """Replaces the parameters of one member alone."""

    def planted(right: Any) -> Any:
        def call(self: Any, x: Any, condition: Any = None, member: Any = 0, **kwargs: Any) -> tf.Tensor:
            found = right(self, x, condition, member=member, **kwargs)
            return tf.where(tf.equal(member, number), wrong(found, x), found)

        return call

    return change(MADENetwork, "call", planted)


def of_inputs(wrong: Callable[[Any, Any], tuple[Any, Any]]) -> Any:
    """Gives the pass other values and conditions, `wrong(x, condition)`."""

    def planted(right: Any) -> Any:
        def call(self: Any, x: Any, condition: Any = None, **kwargs: Any) -> tf.Tensor:
            return right(self, *wrong(x, condition), **kwargs)

        return call

    return change(MADENetwork, "call", planted)


def one_row_for_all(row: int) -> Any:
    return lambda x, c: (x, tf.repeat(tf.gather(c, [row % len(c)]), len(c), axis=0))


def stepping(wrong: Callable[..., Any], owner: Any = MADENetwork) -> Any:
    """Calls a step with other arguments, `wrong(state, index, x_previous)`."""

    def planted(right: Any) -> Any:
        def step(self: Any, state: Any, index: Any, x_previous: Any, weights: Any = None) -> Any:
            return right(self, *wrong(state, index, x_previous), weights)

        return step

    return change(owner, "step", planted)


def sampled(owner: Any, wrong: Callable[[tf.Tensor], tf.Tensor]) -> Any:
    return change(owner, "_sample", lambda right: lambda self, *args: wrong(right(self, *args)))


def scaled_quantile(owner: Any) -> Any:
    return change(owner, "_standard_quantile", lambda right: staticmethod(lambda p: 1.1 * right(p)))


def averaged(wrong: Callable[[tf.Tensor], tf.Tensor]) -> Any:
    """Another mean over the members of an ensemble, of scores `[members, ...]`."""

    def planted(right: Any) -> Any:
        return lambda self, score: wrong(tf.stack([score(self.member(k)) for k in range(self.num_members)]))

    return change(Ensemble, "log_mean_exp", planted)


def stops_early(right: Any) -> Any:
    def fixed_point(member: Any, noise: Any, condition: Any = None) -> Any:
        values, passes = right(member, noise, condition)
        first = member.conditional.sample(
            member.params(tf.zeros([len(noise), *member.network.event_shape]), condition), noise
        )
        return tf.where(tf.range(len(noise))[:, None] % 7 == 0, first, values), passes

    return fixed_point


def draws_all_and_overwrites(right: Any) -> Any:
    def ancestral(member: Any, noise: Any, condition: Any = None, given: Any = None, observed: Any = None) -> tf.Tensor:
        values = right(member, noise, condition)
        return values if given is None else tf.where(observed, given, values)

    return ancestral


def law(name: str, wrong: Change) -> Any:
    return change(AutoregressiveLaw, name, wrong)


def loss(wrong: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> Any:
    """Replaces the training loss `[B]` by `wrong(loss, x)`."""
    return law("training_loss", lambda right: lambda self, x, *args: wrong(right(self, x, *args), x))


def half_stopped(right: Any) -> Any:
    def log_prob(self: Any, *args: Any) -> tf.Tensor:
        return 0.5 * right(self, *args) + tf.stop_gradient(0.5 * right(self, *args))

    return log_prob


def declares(wrong: Callable[[np.ndarray], np.ndarray]) -> Any:
    def planted(right: Any) -> Any:
        def influences(self: Any, sites: Any = None, *args: Any, **kwargs: Any) -> np.ndarray:
            found = wrong(right(self, None, *args, **kwargs))
            return found if sites is None else found[sites]

        return influences

    return change(MADENetwork, "influences", planted)


def seeing(x: tf.Tensor, offset: int) -> tf.Tensor:
    """A causal mask that is off by a number of steps; each step sees itself, or at the beginning the first one."""
    steps = np.arange(x.shape[1])
    return tf.constant(steps <= np.maximum(steps + offset, 0)[:, None])


def rolled(name: str) -> Change:
    """Weights of the sites that belong to other sites."""
    return lambda right: lambda self: {**right(self), name: tf.roll(right(self)[name], 1, 0)}


def reads_first(right: Any) -> Any:
    def step(self: Any, cache: Any, x: tf.Tensor, index: tf.Tensor) -> Any:
        query, key, value = tf.split(x, 3, axis=-1)
        return right(self, cache, tf.concat([query, 0.0 * key, 0.0 * value], -1), index)[0], right(
            self, cache, x, index
        )[1]

    return step


class Both:
    """Two faults at once."""

    def __init__(self, *faults: Any) -> None:
        self.faults = faults

    def __enter__(self) -> None:
        for fault in self.faults:
            fault.__enter__()

    def __exit__(self, *error: Any) -> None:
        for fault in reversed(self.faults):
            fault.__exit__(*error)
