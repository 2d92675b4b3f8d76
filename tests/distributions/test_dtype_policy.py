"""Global dtype policies: those that hold, and an early error for the others."""

import copy

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.registry import Case
from tfar.distributions.dtype_policy import check_dtype_policy

REFUSED = ("float16", "bfloat16", "float64")


@pytest.mark.parametrize("policy", REFUSED)
def test_refused_policies(policy, dtype_policy):
    dtype_policy(policy)
    with pytest.raises(ValueError, match=f"received {policy}"):
        check_dtype_policy()


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_supported_policies(policy, dtype_policy):
    dtype_policy(policy)
    check_dtype_policy()
    dist = tfar.MADE([4], [8], jit_compile=False)
    assert all(variable.dtype == tf.float32 for variable in dist.variables)
    log_prob = dist.log_prob(np.eye(4))
    assert log_prob.dtype == tf.float32 and np.isfinite(log_prob).all()


def test_outliers_under_the_mixed_policies(dtype_policy):
    """float16 ends at 65504, so that its hidden units overflow; bfloat16 has the range of float32."""
    x = np.array([[0.5, v, 0.5] for v in (1e5, 1e18, 3e38, -3e38)], np.float32)
    for policy, holds in (("mixed_bfloat16", True), ("mixed_float16", False)):
        dtype_policy(policy)
        log_prob = np.asarray(tfar.MADE([3], [8], head=tfar.heads.NormalMixture(2), jit_compile=False).log_prob(x))
        assert not np.isposinf(log_prob).any()
        assert np.isnan(log_prob).any() != holds


def test_no_model_is_made_under_another_policy(case: Case, dtype_policy):
    for policy in REFUSED:
        dtype_policy(policy)
        with pytest.raises(ValueError, match=f"global dtype policies .* received {policy}"):
            case.make()


def test_the_policy_of_a_model_survives_its_configuration_and_copies(dtype_policy):
    full = tfar.MADE([4], [8], jit_compile=False)
    dtype_policy("mixed_bfloat16")
    half = tfar.MADE([4], [8], jit_compile=False)
    prior = tfar.Factorized([2], tfar.heads.Normal(), jit_compile=False)
    restored = tfar.MADE.from_config(full.get_config())
    assert restored.network.hidden_layers[0].compute_dtype == "float32"
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    dtype_policy("float32")
    for copied in (tfar.MADE.from_config(half.get_config()), copy.deepcopy(half)):
        assert copied.network.hidden_layers[0].compute_dtype == "bfloat16"
        assert copied.get_config() == half.get_config()
    assert keras.config.dtype_policy().name == "float32"
    assert tfar.Factorized.from_config(prior.get_config()).network.compute_dtype == "bfloat16"
    np.testing.assert_array_equal(copied.log_prob(np.eye(4)), half.log_prob(np.eye(4)))
    assert "dtype_policy" not in full.get_config()


def test_training_computes_in_the_policy_of_the_distribution_whatever_the_global_one(dtype_policy):
    """float16 has no number between 4000 and 4004, and needs scaled losses."""
    dtype_policy("mixed_float16")
    head = tfar.heads.Standardized(tfar.heads.NormalMixture(1), [2], [4000.0] * 2, [1.0] * 2)
    model = tfar.training.DensityModel(tfar.MADE([2], [4], head=head, jit_compile=False))
    rows = np.array([[4000.5, 4001.3], [3999.2, 4000.0]], np.float32)
    np.testing.assert_array_equal(model(rows), model.dist.log_prob(rows))
    dtype_policy("float32")
    other = tfar.training.DensityModel(model.dist)
    for compiled in (model, other):
        compiled.compile("sgd", jit_compile=False)
        assert isinstance(compiled.optimizer, keras.optimizers.LossScaleOptimizer)
    other.compile("sgd", jit_compile=False, auto_scale_loss=False)
    assert isinstance(other.optimizer, keras.optimizers.SGD)
