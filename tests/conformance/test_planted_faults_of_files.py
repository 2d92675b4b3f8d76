"""Planted faults, continued: exports, files, arguments and the seeds of rows."""

from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import tfar
from tests.conformance import read_files, test_exports, test_files, test_values, test_ways
from tests.conformance.test_planted_faults_of_modes import CASE, fresh
from tfar.distributions import Autoregressive
from tfar.networks import AutoregressiveNetwork

Outputs = dict[str, np.ndarray]

# Exports -------------------------------------------------------------------------------------------------------------


class Served(test_exports.Exports):
    """Exports that are not written: what a runtime gives is what the signatures give, with a fault."""

    def __init__(self, folder: Path) -> None:
        super().__init__(CASE, folder)
        self.right = {f"{name}/{batch}": self.expected(name, batch) for name, batch in self.runs}
        self.served: Outputs = dict(self.right)

    def outputs(self, runtime: str) -> Outputs:
        return self.served


@pytest.fixture(scope="module")
def served(tmp_path_factory: Any) -> Served:
    return Served(tmp_path_factory.mktemp("served"))


def of_other_seeds(served: Served) -> Outputs:
    good = served.batches["good"]
    return {"sample/good": served._eager("sample", {**good, "seed": good["seed"] + 1})}


def of_mirrored_noise(served: Served) -> Outputs:
    good = served.batches["good"]
    return {"sample_from_noise/good": served._eager("sample_from_noise", {**good, "noise": 1.0 - good["noise"]})}


TESTS = test_exports.TestExports()
EXPORT_FAULTS = {
    "another seed": (TESTS.test_every_signature_gives_what_the_distribution_gives, of_other_seeds),
    "mirrored noise": (TESTS.test_every_signature_gives_what_the_distribution_gives, of_mirrored_noise),
    "a signature that fails": (
        TESTS.test_every_signature_gives_what_the_distribution_gives,
        lambda served: {"error/complete": np.array("no kernel")},
    ),
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


@pytest.mark.parametrize("name", ["serving_default", "log_prob"])
def test_a_served_score_that_is_not_log_prob_is_found(served: Served, name: str) -> None:
    served.served = dict(served.right)
    test_exports.test_what_is_served_as_the_score_is_log_prob(served, CASE)
    served.served = {**served.right, f"{name}/good": served.right[f"{name}/good"] + 0.01}
    with pytest.raises(AssertionError):
        test_exports.test_what_is_served_as_the_score_is_log_prob(served, CASE)


@pytest.mark.parametrize("wrong", [of_other_seeds, of_mirrored_noise])
def test_served_samples_that_are_not_those_of_the_distribution_are_found(served: Served, wrong: Any) -> None:
    served.served = dict(served.right)
    test_exports.test_the_distribution_itself_samples_what_is_served(served, CASE)
    served.served = {**served.right, **wrong(served)}
    with pytest.raises(AssertionError):
        test_exports.test_the_distribution_itself_samples_what_is_served(served, CASE)


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
        test_files.test_checkpoints_hold_every_variable(CASE, fresh, tmp_path)


def test_a_reader_that_starts_from_the_weights_of_the_file_is_found() -> None:
    with mock.patch("tests.registry.randomize", lambda dist, **_: dist), pytest.raises(AssertionError):
        test_files.test_the_reader_starts_from_other_weights(CASE, fresh)


# Arguments and seeds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "check",
    [
        test_values.test_bad_shapes_are_errors,
        test_values.test_bad_dtypes_are_errors,
        test_values.test_bad_conditions_are_errors,
        test_values.test_bad_orders_methods_and_seeds_are_errors,
    ],
    ids=lambda check: check.__name__,
)
def test_a_distribution_that_takes_anything_is_found(check: Any) -> None:
    lenient = mock.Mock(num_sites=fresh(CASE).num_sites)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        check(CASE, lambda case, jit_compile: lenient)


def test_a_cast_that_loses_values_is_found() -> None:
    right = Autoregressive.log_prob

    def wrong(self: Autoregressive, value: Any, **kwargs: Any) -> tf.Tensor:
        value = np.asarray(value)
        return right(self, value if value.dtype.kind == "f" else np.zeros_like(value), **kwargs)

    with mock.patch.object(Autoregressive, "log_prob", wrong), pytest.raises(AssertionError):
        test_values.test_integers_and_booleans_are_cast(CASE, fresh)


def test_what_is_not_observed_but_scored_is_found() -> None:
    right = Autoregressive.log_prob

    def wrong(self: Autoregressive, value: Any, observed: Any = None, **kwargs: Any) -> tf.Tensor:
        return right(self, value, **kwargs)

    with mock.patch.object(Autoregressive, "log_prob", wrong), pytest.raises((AssertionError, ValueError)):
        test_values.test_bad_values_that_are_not_observed_do_not_matter(CASE, fresh)


def test_seeds_of_rows_that_depend_on_their_number_are_found() -> None:
    right = tfar.random.row_seeds

    def wrong(seed: Any, num_rows: Any, first: Any = 0) -> tf.Tensor:
        return right(seed, num_rows, first + num_rows)

    test_ways.test_rows_of_a_sample_come_from_row_seeds(CASE, fresh)
    with mock.patch.object(tfar.random, "row_seeds", wrong), pytest.raises(AssertionError):
        test_ways.test_rows_of_a_sample_come_from_row_seeds(CASE, fresh)
