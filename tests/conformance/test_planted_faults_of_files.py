"""Planted faults of exports, files, modes, arguments and the registry, each found by the test that should find it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import tfar
from tests import test_registry
from tests.conformance import read_files, test_exports, test_files, test_latent_models, test_modes, test_shell
from tests.conformance.facts import Facts
from tests.conformance.stub import STUB
from tests.parameters import few_by_default
from tests.registry import BY_NAME, Case
from tfar.distributions import Autoregressive, rows
from tfar.laws import AutoregressiveLaw, LatentVariableLaw, autoregressive, ensemble
from tfar.networks import AutoregressiveNetwork
from tfar.training import DensityModel

CASE: Case = BY_NAME["MADE-bernoulli"]
Outputs = dict[str, np.ndarray]


def fresh(case: Case, jit_compile: bool | None = None) -> Any:
    """As the fixture `distributions`, without what others have traced."""
    return case.make() if jit_compile is None else case.make().copy(jit_compile=jit_compile)


def stub() -> Any:
    return STUB.make().copy(jit_compile=False)


# Exports -------------------------------------------------------------------------------------------------------------


class Served(test_exports.Exports):
    """Exports that are not written: what a runtime gives is what the signatures give, with a fault."""

    def __init__(self, folder: Path) -> None:
        super().__init__(CASE, folder)
        self.right = {f"{name}/{batch}": self._eager(name, self.batches[batch]) for name, batch in self.runs}
        self.served: Outputs = dict(self.right)

    def outputs(self, runtime: str) -> Outputs:
        return self.served

    def with_input(self, name: str, **changed: Callable[[np.ndarray], np.ndarray]) -> Outputs:
        """What a signature gives for other inputs."""
        good = self.batches["good"]
        return {f"{name}/good": self._eager(name, {**good, **{key: f(good[key]) for key, f in changed.items()}})}


@pytest.fixture(scope="module")
def served(tmp_path_factory: Any) -> Served:
    return Served(tmp_path_factory.mktemp("served"))


TESTS = test_exports.TestExports()
EQUAL = TESTS.test_every_signature_gives_what_the_distribution_gives
EXPORT_FAULTS: dict[str, tuple[Any, Callable[[Served], Outputs]]] = {
    "samples of another seed": (EQUAL, lambda served: served.with_input("sample", seed=lambda s: s + 1)),
    "mirrored noise": (EQUAL, lambda served: served.with_input("sample_from_noise", noise=lambda u: 1.0 - u)),
    "completions of another seed": (EQUAL, lambda served: served.with_input("complete", seed=lambda s: s + 1)),
    "completions of a part alone": (EQUAL, lambda served: served.with_input("complete", observed=lambda o: 0.0 * o)),
    "a score that is off": (EQUAL, lambda served: {"log_prob/good": served.right["log_prob/good"] + 0.01}),
    "a score of all of a part": (
        EQUAL,
        lambda served: {"observed_log_prob/good": served.right["log_prob/good"]},
    ),
    "a signature that fails": (EQUAL, lambda served: {"error/complete": np.array("no kernel")}),
    "a bad row that spreads": (
        TESTS.test_a_bad_value_makes_its_own_row_nan,
        lambda served: {"site_log_probs/bad": np.full_like(served.right["site_log_probs/bad"], np.nan)},
    ),
    "a bad row that stays finite": (
        TESTS.test_a_bad_value_makes_its_own_row_nan,
        lambda served: {"serving_default/bad": served.right["serving_default/good"]},
    ),
    "rows that see their neighbours": (
        TESTS.test_a_row_does_not_depend_on_its_neighbours,
        lambda served: {"log_prob/single": served.right["log_prob/good"][:1]},
    ),
    "a completion that draws all": (
        TESTS.test_a_completion_keeps_what_is_observed,
        lambda served: {"complete/good": 1.0 - served.right["complete/good"]},
    ),
}


@pytest.mark.parametrize("fault", EXPORT_FAULTS)
def test_a_fault_of_an_export_is_found(served: Served, fault: str) -> None:
    check, wrong = EXPORT_FAULTS[fault]
    served.served = dict(served.right)
    check(served, CASE, "cpp")
    served.served = {**served.right, **wrong(served)}
    with pytest.raises(AssertionError):
        check(served, CASE, "cpp")


@pytest.mark.parametrize("rows", [-1, 1])
def test_a_signature_of_a_fixed_batch_is_found(served: Served, rows: int, tmp_path: Path) -> None:
    model = saved_model_pb2.SavedModel()
    definitions = model.meta_graphs.add().signature_def
    for name, part in served.signatures.items():
        for dims in (definitions[name].inputs["x"].tensor_shape.dim, definitions[name].outputs["y"].tensor_shape.dim):
            dims.add().size = rows if name == "sample" else -1
            dims.add().size = len(part.inputs)
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    served.path = tmp_path
    if rows == -1:
        test_exports.test_the_batch_is_the_first_axis_of_every_input_and_output(served, CASE)
        return
    with pytest.raises(AssertionError):
        test_exports.test_the_batch_is_the_first_axis_of_every_input_and_output(served, CASE)


# Files ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["keras", "checkpoint"])
def test_a_file_that_lost_a_weight_is_found(kind: str) -> None:
    prefix = f"{CASE.name}/{kind}"
    test_files.test_read_in_a_fresh_process(CASE, fresh, read_files.results(fresh(CASE), CASE, prefix), kind)
    read = fresh(CASE)
    read.network.output_layer.bias.assign(tf.zeros_like(read.network.output_layer.bias))
    with pytest.raises(AssertionError):
        test_files.test_read_in_a_fresh_process(CASE, fresh, read_files.results(read, CASE, prefix), kind)


def test_a_checkpoint_without_the_layers_in_lists_is_found(tmp_path: Path) -> None:
    children = keras.layers.Layer._trackable_children
    hidden = mock.patch.object(AutoregressiveNetwork, "_trackable_children", children)
    with hidden, pytest.raises(AssertionError):
        test_files.test_checkpoints_hold_every_variable(CASE, tmp_path)


def test_a_reader_that_starts_from_the_weights_of_the_file_is_found() -> None:
    with mock.patch("tests.conformance.test_files.randomize", lambda dist, **_: dist), pytest.raises(AssertionError):
        test_files.test_the_reader_starts_from_other_weights(CASE, fresh)


# Modes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("position", "mode"), enumerate(["eager", "graph", "XLA", "without XLA", "vectorized_map"], start=1)
)
def test_a_mode_that_scores_otherwise_is_found(position: int, mode: str) -> None:
    """Every mode traces the score once, in the order of the test; one of the traces is off."""
    right, traces = AutoregressiveLaw.log_prob, iter(range(100))

    def wrong(self: Any, *args: Any) -> tf.Tensor:
        return right(self, *args) + (0.01 if next(traces) == position else 0.0)

    with mock.patch.object(AutoregressiveLaw, "log_prob", wrong), pytest.raises(AssertionError, match=rf"\n{mode}\n"):
        test_modes.test_log_prob_agrees(CASE, fresh)


@pytest.mark.parametrize(("position", "mode"), few_by_default([(1, "graph"), (2, "XLA")]))
def test_a_mode_that_draws_otherwise_is_found(position: int, mode: str) -> None:
    right, traces = AutoregressiveLaw.sample, iter(range(100))

    def wrong(self: Any, *args: Any, **kwargs: Any) -> tf.Tensor:
        values = right(self, *args, **kwargs)
        return values[::-1] if next(traces) == position else values

    with mock.patch.object(AutoregressiveLaw, "sample", wrong), pytest.raises(AssertionError, match=mode):
        test_modes.test_samples_agree(CASE, fresh)


@pytest.mark.slow(ci=True)
def test_a_loss_that_each_replica_averages_for_itself_is_found() -> None:
    with mock.patch.object(DensityModel, "_global_sum", lambda self, values: values), pytest.raises(AssertionError):
        test_modes.test_two_replicas_equal_one_device(CASE)


@pytest.mark.slow(ci=True)
def test_a_compiled_train_step_that_differs_is_found() -> None:
    right, traces = AutoregressiveLaw.training_loss, iter(range(100))

    def wrong(self: Any, *args: Any) -> tf.Tensor:
        return right(self, *args) * (1.1 if next(traces) else 1.0)

    with mock.patch.object(AutoregressiveLaw, "training_loss", wrong), pytest.raises(AssertionError):
        test_modes.test_a_compiled_train_step_equals_an_uncompiled_one(CASE)


def test_scores_in_half_precision_are_found(dtype_policy: Any) -> None:
    right = AutoregressiveLaw.log_prob
    wrong = lambda self, *args: tf.cast(right(self, *args), tf.float16)  # noqa: E731
    with mock.patch.object(AutoregressiveLaw, "log_prob", wrong), pytest.raises(AssertionError):
        test_modes.test_half_precision_scores_in_float32(CASE, dtype_policy, "mixed_float16")


# Shell ---------------------------------------------------------------------------------------------------------------


def half_of_prefixes(self: AutoregressiveLaw, observed: tf.Tensor, shift: int) -> tf.Tensor:
    """Whether what is observed is decided no later than `shift` steps after the first step that is not."""
    steps = tf.constant(self.network.step_of_site[0])
    first_missing = tf.reduce_min(tf.where(observed, tf.shape(observed)[1], steps), axis=-1)
    return tf.reduce_max(tf.where(observed, steps, -1), axis=-1) <= first_missing + shift


@pytest.mark.parametrize("shift", [-1, 1])
def test_prefixes_off_by_a_step_are_found(shift: int) -> None:
    wrong = lambda self, observed: half_of_prefixes(self, observed, shift)  # noqa: E731
    with mock.patch.object(AutoregressiveLaw, "_is_prefix", wrong), pytest.raises(AssertionError):
        test_shell.test_the_law_allows_prefixes_alone([0, 0, 1, 1, 2], Facts(STUB))


def test_shares_that_are_gathered_by_the_order_are_found() -> None:
    """The order of the stub is not its own inverse."""
    facts = Facts(STUB)
    with mock.patch.object(ensemble, "inverted", lambda order: order), pytest.raises(AssertionError):
        test_shell.test_shares_of_sites_are_conditionals_of_the_enumerated_law(
            facts, facts.dist.copy(jit_compile=False)
        )


@pytest.mark.parametrize("fault", few_by_default(["finite", "all rows"]))
def test_bad_rows_that_stay_finite_or_spread_are_found(fault: str) -> None:
    def wrong(valid: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        return values if fault == "finite" else tf.where(tf.reduce_all(valid), values, tf.constant(float("nan")))

    with mock.patch.object(autoregressive, "nan_unless", wrong), pytest.raises(AssertionError):
        test_shell.test_bad_rows_are_nan_alone_in_a_graph(stub(), jit_compile=False)


def test_bad_values_without_an_error_are_found() -> None:
    unchecked = mock.patch("tfar.distributions.base.refuse_bad_rows", lambda *args, **kwargs: None)
    with unchecked, pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        test_shell.test_bad_values_are_errors_eagerly(stub())


@pytest.mark.parametrize(
    "check",
    [
        test_shell.test_bad_shapes_are_errors,
        test_shell.test_bad_dtypes_are_errors,
        test_shell.test_bad_conditions_are_errors,
        test_shell.test_bad_orders_methods_and_seeds_are_errors,
    ],
    ids=lambda check: check.__name__,
)
def test_a_distribution_that_takes_anything_is_found(check: Any) -> None:
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        check(mock.Mock(num_sites=4))


def test_a_cast_that_loses_values_is_found() -> None:
    right = Autoregressive.log_prob

    def wrong(self: Autoregressive, value: Any, **kwargs: Any) -> tf.Tensor:
        value = np.asarray(value)
        return right(self, value if value.dtype.kind == "f" else np.zeros_like(value), **kwargs)

    with mock.patch.object(Autoregressive, "log_prob", wrong), pytest.raises(AssertionError):
        test_shell.test_integers_and_booleans_are_cast(stub())


def test_a_score_of_what_is_not_observed_is_found() -> None:
    right = Autoregressive.log_prob

    def wrong(self: Autoregressive, value: Any, observed: Any = None, **kwargs: Any) -> tf.Tensor:
        return right(self, value, **kwargs)

    with mock.patch.object(Autoregressive, "log_prob", wrong), pytest.raises((AssertionError, ValueError)):
        test_shell.test_bad_values_that_are_not_observed_do_not_matter(stub())


def test_rows_in_another_order_of_axes_are_found() -> None:
    def wrong(values: tf.Tensor, lead: Any) -> tf.Tensor:
        trailing = list(range(values.shape.rank - 1))
        turned = tf.reshape(values, [*lead[::-1], *values.shape[1:]])
        return tf.transpose(turned, [*reversed(range(len(lead))), *(len(lead) + axis for axis in trailing)])

    with mock.patch.object(rows, "unflatten", wrong), pytest.raises(AssertionError):
        test_shell.test_leading_axes(stub(), (2, 3))


def test_seeds_of_rows_that_depend_on_their_number_are_found() -> None:
    right = tfar.random.row_seeds
    wrong = lambda seed, num_rows, first=0: right(seed, num_rows, first + num_rows)  # noqa: E731
    with mock.patch.object(tfar.random, "row_seeds", wrong), pytest.raises(AssertionError):
        test_shell.test_a_row_of_a_sample_depends_on_its_seed_and_condition_alone(stub())


# Registry ------------------------------------------------------------------------------------------------------------


def test_a_distribution_without_a_case_is_found() -> None:
    with mock.patch.object(test_registry, "CASES", []), pytest.raises(AssertionError, match="add a Case of MADE"):
        test_registry.test_every_public_distribution_has_a_main_case("MADE")


def test_a_public_distribution_that_is_not_autoregressive_is_found() -> None:
    class Tree(tfar.distributions.base.Shell):
        """No subclass of Autoregressive."""

    with mock.patch.object(tfar.distributions, "Tree", Tree, create=True):
        names = mock.patch.object(tfar.distributions, "__all__", [*tfar.distributions.__all__, "Tree"])
        with names, pytest.raises(AssertionError, match="add a Case of Tree"):
            for name in test_registry.public_distributions():
                test_registry.test_every_public_distribution_has_a_main_case(name)


# Latent variables ----------------------------------------------------------------------------------------------------

LATENT = BY_NAME["LatentVariable-bits"]
LATENT_FAULTS: dict[str, tuple[Any, str, Callable[[Any], Any]]] = {
    "a bound without the prior": (
        test_latent_models.test_bounds_rise_to_the_log_probability,
        "elbo",
        lambda right: lambda self, seeds, x: right(self, seeds, x) - self.prior.log_prob(self.encode(seeds, x)),
    ),
    "a bound of one sample for many": (
        test_latent_models.test_bounds_rise_to_the_log_probability,
        "importance_log_prob",
        lambda right: lambda self, seeds, x, count: self.elbo(seeds, x),
    ),
    "samples of one latent": (
        test_latent_models.test_samples_follow_the_enumerated_marginal,
        "sample",
        lambda right: lambda self, seeds: self.decoder.sample(seeds, tf.ones([len(seeds), 2])),
    ),
    "an encoder that does not learn": (
        test_latent_models.test_every_variable_gets_a_gradient,
        "training_loss",
        lambda right: lambda self, x, *args: -self.decoder.log_prob(x, tf.ones([len(x), 2])),
    ),
}


@pytest.mark.parametrize("fault", few_by_default(LATENT_FAULTS))
def test_a_fault_of_a_latent_variable_model_is_found(fault: str) -> None:
    check, name, wrong = LATENT_FAULTS[fault]
    right = getattr(LatentVariableLaw, name)
    with mock.patch.object(LatentVariableLaw, name, wrong(right)), pytest.raises(AssertionError):
        check(LATENT)
