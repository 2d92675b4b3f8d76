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


def test_no_model_is_made_under_another_policy(case: Case, dtype_policy):
    for policy in REFUSED:
        dtype_policy(policy)
        with pytest.raises(ValueError, match=f"global dtype policies .* received {policy}"):
            case.make()
