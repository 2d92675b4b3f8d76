"""Planted faults, continued: modes of execution, leading axes, replicas, gradients and the registry."""

from typing import Any
from unittest import mock

import pytest
import tensorflow as tf

from tests import test_registry
from tests.conformance import test_training, test_ways
from tests.parameters import few_by_default
from tests.registry import CASES, Case
from tfar.distributions import rows
from tfar.distributions.density import Density
from tfar.layers import MaskedDense
from tfar.training import DensityModel

CASE: Case = next(case for case in CASES if case.name == "MADE-bernoulli")


def fresh(case: Case, jit_compile: bool | None = None) -> Any:
    """As the fixture `distributions`, without what others have traced."""
    return case.make() if jit_compile is None else case.make().copy(jit_compile=jit_compile)


@pytest.mark.parametrize(
    ("position", "mode"), enumerate(["eager", "graph", "XLA", "without XLA", "vectorized_map"], start=1)
)
def test_a_mode_that_scores_otherwise_is_found(position: int, mode: str) -> None:
    """Every mode traces the score once, in the order of the test; one of the traces is off."""
    right, traces = Density.log_prob, iter(range(100))

    def wrong(self: Density, x: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        return right(self, x, conditional_input) + (0.01 if next(traces) == position else 0.0)

    with mock.patch.object(Density, "log_prob", wrong), pytest.raises(AssertionError, match=rf"\n{mode}\n"):
        test_ways.test_log_prob_eager_graph_xla_and_vectorized_map_agree(CASE, fresh)


@pytest.mark.parametrize("position", few_by_default([1, 2]))
def test_a_mode_that_draws_otherwise_is_found(position: int) -> None:
    right, traces = Density.sample, iter(range(100))

    def wrong(self: Density, seeds: tf.Tensor, *args: Any, **kwargs: Any) -> tf.Tensor:
        values = right(self, seeds, *args, **kwargs)
        return values[::-1] if next(traces) == position else values

    with mock.patch.object(Density, "sample", wrong), pytest.raises(AssertionError):
        test_ways.test_samples_eager_graph_and_xla_agree(CASE, fresh)


def test_rows_in_another_order_of_axes_are_found() -> None:
    def wrong(values: tf.Tensor, lead: Any) -> tf.Tensor:
        trailing = list(range(values.shape.rank - 1))
        turned = tf.reshape(values, [*lead[::-1], *values.shape[1:]])
        return tf.transpose(turned, [*reversed(range(len(lead))), *(len(lead) + axis for axis in trailing)])

    with mock.patch.object(rows, "unflatten", wrong), pytest.raises(AssertionError):
        test_ways.test_leading_axes(CASE, fresh, (2, 3))


@pytest.mark.slow(ci=True)
def test_a_loss_that_each_replica_averages_for_itself_is_found() -> None:
    with mock.patch.object(DensityModel, "_global_sum", lambda self, values: values), pytest.raises(AssertionError):
        test_training.test_mirrored_strategy_equals_one_device(CASE)


def test_a_compiled_train_step_that_differs_is_found() -> None:
    right, traces = Density.training_loss, iter(range(100))

    def wrong(self: Density, *args: Any) -> tf.Tensor:
        return right(self, *args) * (1.1 if next(traces) else 1.0)

    with mock.patch.object(Density, "training_loss", wrong), pytest.raises(AssertionError):
        test_ways.test_train_step_compiled_equals_uncompiled(CASE)


def test_a_weight_that_does_not_learn_is_found() -> None:
    right = MaskedDense.call

    def wrong(self: Any, inputs: Any, in_degrees: Any = None, out_degrees: Any = None, training: Any = None) -> Any:
        outputs = right(self, inputs, in_degrees, out_degrees, training)
        return tf.stop_gradient(outputs) if self.name == "direct" else outputs

    with mock.patch.object(MaskedDense, "call", wrong), pytest.raises(AssertionError, match="direct"):
        test_training.test_every_weight_gets_a_gradient(CASE, fresh)


def test_a_false_gradient_is_found() -> None:
    right = Density.log_prob

    def wrong(self: Density, *args: Any) -> tf.Tensor:
        total = right(self, *args)
        return 0.5 * total + tf.stop_gradient(0.5 * total)

    with mock.patch.object(Density, "log_prob", wrong), pytest.raises(AssertionError, match="Not equal"):
        test_training.test_log_prob_has_its_true_gradient(CASE)


def test_scores_in_half_precision_are_found(dtype_policy: Any) -> None:
    right = Density.log_prob

    def wrong(self: Density, *args: Any) -> tf.Tensor:
        return tf.cast(right(self, *args), tf.float16)

    with mock.patch.object(Density, "log_prob", wrong), pytest.raises(AssertionError):
        test_training.test_mixed_precision_scores_in_float32(CASE, fresh, dtype_policy, "mixed_float16")


def test_a_distribution_without_a_case_is_found() -> None:
    with mock.patch.object(test_registry, "CASES", []), pytest.raises(AssertionError, match="add a Case of MADE"):
        test_registry.test_every_public_distribution_has_a_main_case("MADE")
