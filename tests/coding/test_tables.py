"""The probabilities of classes against decimal arithmetic of 60 digits."""

import decimal

import numpy as np

from tfar.coding.tables import class_probs, weights_by_distance


def test_the_weights_are_those_of_the_exponential():
    with decimal.localcontext(prec=60):
        expected = [
            int((2**30 * (decimal.Decimal(-k) / 256).exp()).to_integral_value(decimal.ROUND_HALF_EVEN))
            for k in range(len(weights_by_distance()))
        ]
    np.testing.assert_array_equal(weights_by_distance(), np.array(expected, np.float64))
    assert expected[0] == 2**30 and expected[-1] == 0 and expected[-2] == 1


def test_probabilities_are_a_softmax():
    logits = np.random.default_rng(0).normal(0.0, 3.0, [50, 7]).astype(np.float32)
    logits[0] = [0.0, -1e6, 1e6, 0.0, 0.0, 0.0, 0.0]
    exact = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    exact /= exact.sum(axis=1, keepdims=True)
    probs = class_probs(logits)
    assert probs.dtype == np.float32
    np.testing.assert_allclose(
        probs, exact, rtol=2.0**-8, atol=2.0**-30
    )  # logits are rounded to 2**-8, and so off by 2**-9
    on_grid = np.round(logits * 256) / 256
    exact = np.exp(on_grid.astype(np.float64) - on_grid.max(axis=1, keepdims=True))
    exact /= exact.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(class_probs(on_grid.astype(np.float32)), exact, rtol=1e-6, atol=2.0**-30)
