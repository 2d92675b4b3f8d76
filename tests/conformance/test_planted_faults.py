"""Every assertion about models rejects a planted fault: an assertion that cannot fail proves nothing."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.cases import made
from tests.conformance import test_models as models
from tests.conformance.facts import Facts
from tests.conformance.planting import (
    Both,
    averaged,
    change,
    declares,
    draws_all_and_overwrites,
    half_stopped,
    law,
    loss,
    of_inputs,
    of_member,
    one_row_for_all,
    params,
    reads_first,
    rolled,
    sampled,
    scaled_quantile,
    seeing,
    stepping,
    stops_early,
)
from tests.parameters import few_by_default
from tests.registry import BY_NAME
from tfar import networks
from tfar.heads import Bernoulli, Categorical, LaplaceMixture, NormalMixture
from tfar.laws import samplers
from tfar.laws.ensemble import Ensemble
from tfar.layers import CausalAttention
from tfar.networks import (
    AnyOrderTransformerNetwork,
    MADENetwork,
    NADENetwork,
    OrderlessNADENetwork,
    any_order_transformer,
    orderless,
)

INFLUENCES = models.test_influences_equal_the_connectivity_of_the_case
BITS, MASKS, TRANSFORMER = "MADE-bernoulli", "MADE-masks-3-random-orders", "AnyOrderTransformer-bernoulli"
FAULTS: dict[str, tuple[Callable[[Facts], None], str, Callable[[], Any]]] = {
    # Dependences
    "a leak": (INFLUENCES, BITS, lambda: params(lambda p, x: p + 0.1 * x[..., None])),
    "a leak into one site": (
        INFLUENCES,
        BITS,
        lambda: params(lambda p, x: p + tf.one_hot(1, 5)[:, None] * 0.1 * x[:, 3:4, None]),
    ),
    "a leak of one member": (
        INFLUENCES,
        MASKS,
        lambda: of_member(2, lambda p, x: p + 0.1 * x[..., None]),
    ),
    "a leak in another order alone": (
        INFLUENCES,
        "OrderlessNADE-bernoulli",
        lambda: change(orderless, "inverted", lambda right: lambda order: tf.range(5)),
    ),
    "a dead connection": (
        INFLUENCES,
        BITS,
        lambda: of_inputs(lambda x, c: (x * np.float32([0, 1, 1, 1, 1]), c)),
    ),
    "a factorised network that declares no dependence": (
        INFLUENCES,
        BITS,
        lambda: Both(of_inputs(lambda x, c: (0.0 * x, c)), declares(np.zeros_like)),
    ),
    "a dependence that is not declared": (
        INFLUENCES,
        BITS,
        lambda: declares(lambda found: found & (np.arange(5) != 1)),
    ),
    "rows that see their mean": (
        INFLUENCES,
        BITS,
        lambda: params(lambda p, x: p - 0.01 * tf.reduce_mean(p, axis=0, keepdims=True)),
    ),
    "the condition of the first row for all": (
        INFLUENCES,
        "MADE-conditional",
        lambda: of_inputs(one_row_for_all(0)),
    ),
    "the condition of the last row for all": (
        INFLUENCES,
        "MADE-conditional",
        lambda: of_inputs(one_row_for_all(-1)),
    ),
    # Probabilities
    "another equation": (models.test_log_prob_equals_the_paper, BITS, lambda: params(lambda p, x: 1.001 * p)),
    "a leak that is not normalised": (models.test_normalized, BITS, lambda: params(lambda p, x: p + x[..., None])),
    "a density of another mass": (
        models.test_normalized,
        "RNADE-normals",
        lambda: change(NormalMixture, "_standard_log_prob", lambda right: lambda self, z: right(self, z) + 0.01),
    ),
    "an ensemble without log K": (
        models.test_normalized,
        MASKS,
        lambda: averaged(lambda s: tf.reduce_logsumexp(s, axis=0)),
    ),
    "an ensemble by the mean of logs": (
        models.test_normalized,
        MASKS,
        lambda: averaged(lambda s: tf.reduce_mean(s, axis=0)),
    ),
    "shares that lack the mixture": (
        models.test_site_log_probs_sum_to_log_prob,
        MASKS,
        lambda: change(Ensemble, "site_log_probs", lambda right: lambda self, *a: self.member(0).site_log_probs(*a)),
    ),
    # Draws
    "a biased draw": (
        models.test_samples_follow_log_prob,
        BITS,
        lambda: change(
            Bernoulli,
            "_sample",
            lambda right: lambda self, p, u, *a: tf.cast(u[..., 0] >= 0.95 * tf.sigmoid(-p[..., 0]), tf.float32),
        ),
    ),
    "draws outside the support": (
        models.test_samples_follow_log_prob,
        "MADE-categorical-one-hot",
        lambda: sampled(Categorical, lambda x: x + 0.5),
    ),
    "normal draws of another scale": (
        models.test_samples_follow_log_prob,
        "RNADE-normals",
        lambda: scaled_quantile(NormalMixture),
    ),
    "Laplace draws of another scale": (
        models.test_samples_follow_log_prob,
        "MADE-laplaces-one-site",
        lambda: scaled_quantile(LaplaceMixture),
    ),
    "a member that is drawn too often": (
        models.test_samples_follow_log_prob,
        MASKS,
        lambda: change(Ensemble, "select", lambda right: lambda self, noise: tf.zeros(tf.shape(noise), tf.int32)),
    ),
    "another value fed back than drawn": (
        models.test_samples_follow_log_prob,
        "MADE-categorical-scaled",
        lambda: stepping(lambda state, index, x: (state, index, x + 0.4)),
    ),
    "completions that ignore what is observed": (
        models.test_completions_follow_log_prob,
        BITS,
        lambda: change(samplers, "ancestral", draws_all_and_overwrites),
    ),
    "completions of another member": (
        models.test_completions_follow_log_prob,
        "strong",
        lambda: change(Ensemble, "select_posterior", lambda right: lambda self, score, noise: self.select(noise)),
    ),
    # Ways
    "a step off by one": (
        models.test_steps_and_prefill_equal_the_pass,
        BITS,
        lambda: stepping(lambda state, index, x: (state, tf.maximum(index - 1, 0), x)),
    ),
    "a step without the last value": (
        models.test_steps_and_prefill_equal_the_pass,
        "NADE-bernoulli",
        lambda: stepping(lambda state, index, x: (state, index, 0.0 * x), NADENetwork),
    ),
    "a prefix off by one": (
        models.test_steps_and_prefill_equal_the_pass,
        "OrderlessNADE-bernoulli",
        lambda: change(
            networks.AutoregressiveNetwork,
            "prefill",
            lambda right: lambda self, state, x, length: right(self, state, x, tf.maximum(length - 1, 0)),
        ),
    ),
    "noise of the site before": (
        models.test_samplers_agree,
        BITS,
        lambda: change(samplers, "naive", lambda right: lambda m, noise, *a: right(m, tf.roll(noise, 1, 1), *a)),
    ),
    "a fixed point that stops early": (
        models.test_samplers_agree,
        BITS,
        lambda: change(samplers, "fixed_point", stops_early),
    ),
    "noise that ignores the value": (
        models.test_noise_inverts_sampling,
        BITS,
        lambda: change(Bernoulli, "_noise", lambda right: lambda self, p, x, uniform, *a: uniform),
    ),
    "noise that is not uniform": (
        models.test_noise_inverts_sampling,
        BITS,
        lambda: change(Bernoulli, "_noise", lambda right: lambda self, p, x, u, *a: right(self, p, x, 0.5 * u, *a)),
    ),
    # Training
    "a loss that is no likelihood": (
        models.test_training_loss_has_its_expectation,
        BITS,
        lambda: loss(lambda value, x: tf.reduce_sum((x - 0.5) ** 2, axis=-1)),
    ),
    "a loss of one member": (
        models.test_training_loss_has_its_expectation,
        "MADE-masks-3",
        lambda: change(MADENetwork, "training_pass", lambda right: networks.AutoregressiveNetwork.training_pass),
    ),
    "a loss without the weights of the paper": (
        models.test_training_loss_has_its_expectation,
        "OrderlessNADE-bernoulli",
        lambda: change(
            orderless, "draw_known", lambda right: lambda *a: (right(*a)[0], tf.cast(right(*a)[1] > 0.0, tf.float32))
        ),
    ),
    "a loss of random masks of another scale": (
        models.test_training_loss_is_that_of_log_prob_if_masks_do_not_matter,
        "MADE-agnostic",
        lambda: loss(lambda value, x: 1.01 * value),
    ),
    "a gradient of half the size": (
        models.test_gradients_are_true_and_reach_every_variable,
        BITS,
        lambda: law("log_prob", half_stopped),
    ),
    "a loss whose gradient is another one": (
        models.test_gradients_are_true_and_reach_every_variable,
        BITS,
        lambda: loss(lambda value, x: value + 0.1 * (value - tf.stop_gradient(value))),
    ),
    "a variable without a gradient": (
        models.test_gradients_are_true_and_reach_every_variable,
        "OrderlessNADE-bernoulli",
        lambda: change(
            OrderlessNADENetwork, "_first_activations", lambda right: lambda *a: tf.stop_gradient(right(*a))
        ),
    ),
    # Attention
    "attention that sees the next step": (
        INFLUENCES,
        TRANSFORMER,
        lambda: change(
            CausalAttention, "call", lambda right: lambda self, x, attention_mask: right(self, x, seeing(x, 1))
        ),
    ),
    "attention without the last step": (
        models.test_log_prob_equals_the_paper,
        TRANSFORMER,
        lambda: change(
            CausalAttention, "call", lambda right: lambda self, x, attention_mask: right(self, x, seeing(x, -1))
        ),
    ),
    "an embedding of the site beside": (
        models.test_log_prob_equals_the_paper,
        TRANSFORMER,
        lambda: change(AnyOrderTransformerNetwork, "step_weights", rolled("previous")),
    ),
    "a prediction of the site beside": (
        models.test_log_prob_equals_the_paper,
        TRANSFORMER,
        lambda: change(AnyOrderTransformerNetwork, "step_weights", rolled("sites")),
    ),
    "a cache that is read before it is written": (
        models.test_steps_and_prefill_equal_the_pass,
        TRANSFORMER,
        lambda: change(CausalAttention, "step", reads_first),
    ),
    "a prefix whose caches are filled a step late": (
        models.test_steps_and_prefill_equal_the_pass,
        TRANSFORMER,
        lambda: change(
            CausalAttention, "fill", lambda right: lambda self, x: [tf.roll(part, 1, 2) for part in right(self, x)]
        ),
    ),
    "an order in place of its inverse": (
        models.test_log_prob_equals_the_paper,
        TRANSFORMER,
        lambda: change(any_order_transformer, "_inverse", lambda right: lambda order: order),
    ),
    "training in one order alone": (
        models.test_training_loss_has_its_expectation,
        TRANSFORMER,
        lambda: change(
            any_order_transformer,
            "draw_orders",
            lambda right: lambda kind, seeds, order, *a: tf.tile(order[None], [tf.shape(seeds)[0], 1]),
        ),
    ),
}


CASES = {**BY_NAME, "strong": made("masks-3-strong", num_masks=3, scale=2.5)}


@functools.cache
def require_without_fault(check: Callable[[Facts], None], name: str) -> None:
    """Otherwise an assertion that always fails would pass for one that finds the fault."""
    check(Facts(CASES[name]))


@pytest.mark.parametrize("fault", few_by_default(FAULTS, count=len(FAULTS) // 2))
def test_a_fault_is_found(fault: str) -> None:
    check, name, plant = FAULTS[fault]
    require_without_fault(check, name)
    with plant(), pytest.raises(AssertionError):
        check(Facts(CASES[name]))


def test_every_assertion_about_models_has_a_fault() -> None:
    checks = {check for name, check in vars(models).items() if name.startswith("test_")}
    assert {check for check, *_ in FAULTS.values()} == checks
