"""Global dtype policies: those that hold, and an early error for the others."""

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
