"""A network whose steps come in stages: what the steps of a row share is computed when the row starts."""

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tfar import random, samplers
from tfar.networks import AutoregressiveNetwork

ROWS, COLUMNS = 3, 4


class RowsNetwork(AutoregressiveNetwork):
    """Logit of a site: its own bias, twice the sum of the rows above, and less the sum of what is left of it.

    The last row lacks some of its sites. With `unrolled` a loop is written for each row, and the state holds its number.
    """

    def __init__(self, missing: int = 0, stale: bool = False, unrolled: bool = False) -> None:
        super().__init__((ROWS * COLUMNS - missing,))
        self.stale, self.stages_differ = stale, unrolled

    @property
    def params_size(self) -> int:
        return 1

    @property
    def steps_per_stage(self) -> int:
        return COLUMNS

    def build(self, input_shape=None):
        self.bias = self.add_weight(name="bias", shape=(self.num_sites,), initializer="random_normal")
        self.built = True

    def call(self, x, conditional_input=None, member=0, order=None, training=None):
        missing = ROWS * COLUMNS - self.num_sites
        x = tf.reshape(tf.pad(x, [[0, 0], [0, missing]]), [-1, ROWS, COLUMNS])
        above = tf.cumsum(tf.reduce_sum(x, 2), 1, exclusive=True)[..., None]
        logits = 2.0 * above - tf.cumsum(x, 2, exclusive=True)
        return (tf.reshape(logits, [-1, ROWS * COLUMNS])[:, : self.num_sites] + self.bias)[..., None]

    def step_weights(self):
        return {"bias": tf.convert_to_tensor(self.bias)}

    def start(self, batch_size, conditional_input=None, length=None, order=None, member=None):
        return {name: tf.zeros([batch_size]) for name in ("above", "left")}

    def start_stage(self, state, stage, x_previous, weights=None):
        row = state["left"] + tf.where(stage > 0, 0.0 if self.stale else x_previous, 0.0)
        new = {"above": state["above"] + row, "left": tf.zeros_like(row)}
        if self.stages_differ:  # a state of another shape in each stage
            new["number"] = tf.ones([tf.shape(row)[0], stage])
        return new

    def step(self, state, index, x_previous, weights=None):
        weights = self.step_weights() if weights is None else weights
        left = state["left"] + tf.where(index % COLUMNS > 0, x_previous, 0.0)
        logits = 2.0 * state["above"] - left + weights["bias"][index]
        return logits[:, None], {**state, "left": left}


def make(**kwargs):
    return tfar.Autoregressive(RowsNetwork(**kwargs), tfar.heads.Bernoulli())


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("kwargs", [{}, {"missing": 2}, {"missing": 2, "unrolled": True}], ids=str)
def test_a_walk_in_stages_equals_whole_passes(kwargs, jit_compile):
    dist = make(**kwargs)
    noise = dist.law.uniform_noise(random.row_seeds(1, 40))
    walk = tf.function(lambda: samplers.walk(dist.network, dist.head, noise), jit_compile=jit_compile)
    naive = samplers.naive(dist.network, dist.head, noise)
    np.testing.assert_array_equal(walk().sites, naive)


@pytest.mark.parametrize("unrolled", [False, True])
def test_a_walk_in_stages_keeps_and_scores_what_is_observed(unrolled):
    dist = make(unrolled=unrolled)
    noise = dist.law.uniform_noise(random.row_seeds(1, 40))
    naive = samplers.naive(dist.network, dist.head, noise)
    observed = tf.tile(np.arange(ROWS * COLUMNS)[None] < 6, [40, 1])
    given = samplers.walk(dist.network, dist.head, noise, given=1.0 - naive, observed=observed)
    np.testing.assert_array_equal(given.sites[:, :6], 1.0 - naive[:, :6])
    scores = dist.head.log_prob(dist.network(given.sites), given.sites)
    np.testing.assert_allclose(given.log_prob, tf.reduce_sum(scores[:, :6], 1), rtol=1e-5)


@pytest.mark.parametrize("unrolled", [False, True])
def test_the_check_of_steps_follows_the_stages(unrolled):
    tfar.testing.check_steps(make(missing=2, unrolled=unrolled))
    with pytest.raises(tfar.testing.CheckError, match="step 4"):
        tfar.testing.check_steps(make(stale=True, unrolled=unrolled))
