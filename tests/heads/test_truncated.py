"""Heads and models restricted to their most probable classes: against sorted probabilities in NumPy, and by enumeration."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tests.registry import randomize
from tfar import heads, testing
from tfar.heads.tempered import Tempered
from tfar.heads.truncated import Truncated
from tfar.laws.ensemble import Ensemble

RNG = np.random.default_rng(0)
HEADS = {
    "bernoulli": heads.Bernoulli,
    "categorical": lambda: heads.Categorical(6),
    "dense softmax": lambda: heads.DenseSoftmax(6, units=3, counts=[9, 1, 2, 8, 1, 3]),
    "tree softmax": lambda: heads.TreeSoftmax(6, units=3),
    "ordinal": lambda: heads.Ordinal(5),
    "absorbing": lambda: heads.Absorbing(heads.Categorical(6)),
}
CHANGES = [(2, None), (None, 0.6), (4, 0.6), (1, None), (None, 1e-6), (100, 0.999), (3, 1.0)]


def truncated(probs: np.ndarray, top_k: int | None, top_p: float | None) -> np.ndarray:
    """The probabilities of one site after sorting, cutting and dividing by their sum."""
    order = sorted(range(len(probs)), key=lambda k: (-probs[k], k))[:top_k]
    limit, kept, total = (top_p or 1.0) * sum(probs[k] for k in order), [], 0.0
    for k in order:
        if top_p is not None and total >= limit:
            break
        kept.append(k)
        total += probs[k]
    found = np.zeros(len(probs))
    found[kept] = probs[kept] / total
    return found


def params_of(head: heads.Head, count: int = 30) -> np.ndarray:
    params = RNG.normal(0.0, 2.0, [count, head.params_size]).astype(np.float32)
    if isinstance(head, heads.Absorbing):
        params[:, -1] = np.arange(count) % 3 == 0
    return params


@pytest.mark.parametrize(("top_k", "top_p"), CHANGES)
@pytest.mark.parametrize("name", HEADS)
def test_probabilities_are_those_of_the_first_classes(name, top_k, top_p):
    head = HEADS[name]()
    params, cut = params_of(head), Truncated(head, top_k, top_p)
    probs = np.asarray(head.probs(params), np.float64)
    expected = np.stack([truncated(row, top_k, top_p) for row in probs])
    np.testing.assert_allclose(cut.probs(params), expected, rtol=1e-5)
    values = np.arange(probs.shape[1]) + head.support().low
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(cut.log_prob(params[:, None], values), np.log(expected), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(cut.cdf(params[:, None], values), np.cumsum(expected, axis=1), atol=1e-5)
    np.testing.assert_allclose(cut.distribution(params).mean(), expected @ values, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_draws_invert_the_distribution_function_and_noise_inverts_draws(name):
    head = HEADS[name]()
    params, cut = params_of(head), Truncated(head, 4, 0.9)
    cdf = np.cumsum(np.asarray(cut.probs(params), np.float64), axis=1)
    noise = RNG.uniform(0.01, 0.99, [30, head.noise_size]).astype(np.float32)
    x = np.asarray(cut.sample(params, noise))
    clear = np.abs(cdf - noise[:, :1]).min(axis=1) > 1e-5
    expected = head.support().low + (cdf <= noise[:, :1]).sum(axis=1)
    np.testing.assert_array_equal(x[clear], expected[clear])
    found = cut.noise(params, x, RNG.uniform(size=noise.shape))
    np.testing.assert_array_equal(cut.sample(params, found), x)


@pytest.mark.parametrize(("top_k", "top_p", "kept"), [(2, None, 2), (None, 0.3, 2), (None, 0.1, 1), (3, 0.7, 3)])
def test_of_equal_probabilities_the_lower_classes_come_first(top_k, top_p, kept):
    probs = Truncated(heads.Categorical(4), top_k, top_p).probs(np.zeros([1, 4]))[0]
    np.testing.assert_allclose(probs, (np.arange(4) < kept) / kept)


def test_the_gradient_is_that_of_the_kept_classes():
    params = tf.constant([[0.5, -1.0, 1.0, 0.2]])
    with tf.GradientTape() as tape:
        tape.watch(params)
        log_prob = Truncated(heads.Categorical(4), 2).log_prob(params, [0.0])
    softmax = np.exp([0.5, 1.0]) / np.exp([0.5, 1.0]).sum()
    np.testing.assert_allclose(tape.gradient(log_prob, params), [[1.0 - softmax[0], 0, -softmax[1], 0]], atol=1e-6)


def test_sites_keep_their_heads():
    columns = heads.PerSite([heads.Bernoulli(), heads.Categorical(3)])
    params = RNG.normal(size=[2, 3]).astype(np.float32)
    found = Truncated(columns, 2).probs(params, [0, 1])
    np.testing.assert_allclose(found[0, :2], heads.Bernoulli().probs(params[0, :1]), rtol=1e-6)
    expected = truncated(np.asarray(heads.Categorical(3).probs(params[1]), np.float64), 2, None)
    np.testing.assert_allclose(found[1], expected, rtol=1e-5)


# Models --------------------------------------------------------------------------------------------------------------


def small(**kwargs):
    return randomize(tfar.MADE([3], [8], head=heads.Categorical(4), **{"jit_compile": False, **kwargs}))


def test_the_temperature_comes_first_then_the_number_and_then_the_share():
    dist, events = small(), np.float32(list(itertools.product(range(4), repeat=3)))
    logits = np.asarray(dist.network(events), np.float64) / 1.7
    probs = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = np.array([[truncated(site, 3, 0.8) for site in row] for row in probs])
    chosen = np.take_along_axis(expected, events.astype(int)[..., None], -1)[..., 0].prod(-1)
    changes = {"with_temperature": 1.7, "with_top_k": 3, "with_top_p": 0.8}
    for names in itertools.permutations(changes):
        copy = dist
        for name in names:
            copy = getattr(copy, name)(changes[name])
        np.testing.assert_allclose(tf.exp(copy.log_prob(events)), chosen, rtol=1e-4)
        assert (copy.temperature, copy.top_k, round(copy.top_p, 6)) == (1.7, 3, 0.8)
    assert 0 < (chosen == 0.0).sum() < len(chosen) and chosen.sum() == pytest.approx(1.0)
    unchanged = copy.with_temperature(1.0).with_top_k(None).with_top_p(1.0)
    np.testing.assert_allclose(unchanged.log_prob(events), dist.log_prob(events), rtol=1e-6)


MODELS = {
    "one order": lambda: small().with_top_k(2),
    "orders": lambda: small(order="random", num_masks=2).with_top_p(0.7),
    "any order": lambda: small(order="random", num_masks=None, num_eval_masks=2).with_top_k(3).with_top_p(0.9),
    "text that ends": lambda: randomize(
        tfar.DocNADE(4, 3, max_length=3, length="eos", tree="balanced", jit_compile=False)
    ).with_top_k(2),
}


@pytest.mark.parametrize("name", few_by_default(MODELS, count=1, in_ci=3))
def test_a_model_is_normalised_and_its_samples_follow_it(name):
    dist = MODELS[name]()
    testing.check_normalized(dist)
    testing.check_samples(dist, num_samples=2000, seed=3)
    testing.check_samplers_agree(dist, num_samples=50, seed=4)


@pytest.mark.parametrize("name", few_by_default(["orders", "any order"], in_ci=1))
def test_an_event_of_members_that_cannot_draw_it_has_shares(name):
    dist, events = MODELS[name](), np.float32(list(itertools.product(range(4), repeat=3)))
    log_prob, shares = np.asarray(dist.log_prob(events)), np.asarray(dist.site_log_probs(events))
    assert np.isneginf(log_prob).any() and np.isfinite(log_prob).any()
    np.testing.assert_allclose(shares.sum(-1), log_prob, rtol=1e-4, atol=1e-5)


def test_a_member_that_cannot_draw_a_row_is_not_selected():
    never = -np.inf
    scores = tf.constant([[never, never, -3.0], [-5.0, never, never], [never, -900.0, never]])
    ensemble, noise = Ensemble(lambda k: k, 3), tf.constant(np.linspace(0.01, 0.99, 20), tf.float32)
    for row, expected in zip(scores, (2, 0, 1), strict=True):
        chosen = ensemble.select_posterior(lambda k, row=row: tf.fill([20], tf.gather(row, k)), noise)
        assert (chosen.numpy() == expected).all()


@pytest.mark.slow(ci=True)
def test_a_copy_survives_configuration_files_and_copies(tmp_path):
    dist = small(conditional_shape=[2]).with_temperature(0.9).with_top_k(3).with_top_p(0.8)
    assert "top_k=3 top_p=0.8" in repr(dist)
    tfar.training.DensityModel(dist).save(tmp_path / "copy.keras")
    bound = dist.given(np.ones(2, np.float32)).copy(name="other")
    for other in (tfar.load(tmp_path / "copy.keras").given(np.ones(2, np.float32)), bound):
        assert (other.temperature, other.top_k, other.top_p) == (dist.temperature, 3, dist.top_p)
        np.testing.assert_array_equal(other.sample(9, seed=1), bound.sample(9, seed=1))
    again = type(dist).from_config(dist.get_config())
    assert (again.top_k, again.top_p) == (3, dist.top_p)


def test_copies_of_other_shares_use_the_same_compiled_functions(monkeypatch):
    dist = small()
    dist.with_top_k(2).with_top_p(0.5).sample(3, seed=1)
    monkeypatch.setattr(tf, "function", lambda *args, **kwargs: pytest.fail("Something was compiled again."))
    dist.with_top_k(2).with_top_p(0.9).sample(3, seed=1)


def test_what_cannot_be_restricted_is_refused():
    for value in (0, -1, 1.5, True, "5"):
        with pytest.raises(ValueError, match="Expected `top_k` to be an int of at least 1"):
            small().with_top_k(value)
    for value in (0.0, -0.1, 1.01, np.nan, True, "0.9", None):
        with pytest.raises(ValueError, match="Expected `top_p` to be a number above 0 and at most 1"):
            small().with_top_p(value)
    for dist in (
        tfar.RNADE([2], 4, head=heads.NormalMixture(2), loc=0.0, jit_compile=False),
        tfar.PixelCNNPlusPlus([2, 2, 3], num_blocks=1, num_levels=1, filters=4, num_components=2, jit_compile=False),
    ):
        for change in (lambda d: d.with_top_k(2), lambda d: d.with_top_p(0.5)):
            with pytest.raises(ValueError, match="Expected a head of scalar sites with finitely many values"):
                change(dist)


def test_a_head_without_probabilities_is_refused():
    class Own(heads.Bernoulli):
        _probs = heads.Head._probs

    with pytest.raises(ValueError, match="a head that defines `probs`; Own does not"):
        tfar.MADE([2], [4], head=Own(), jit_compile=False).with_top_k(1)


def test_a_tempered_head_keeps_the_end_of_a_sequence():
    head = heads.Absorbing(heads.Categorical(3))
    for wrapped in (Tempered(head, 0.5), Truncated(head, 2)):
        assert wrapped.in_event_support([[1.0, 0.0, 2.0]]).numpy().tolist() == [[True, True, False]]
