"""A network whose steps come in stages: what the steps of a row share is computed when the row starts."""

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tfar import random, samplers
from tfar.networks import AutoregressiveNetwork

ROWS, COLUMNS = 3, 4


class RowsNetwork(AutoregressiveNetwork):
    """Logit of a site: its own bias, twice the sum of the rows above, and less the sum of what is left of it."""

    def __init__(self, steps_per_stage: int = COLUMNS, stale: bool = False) -> None:
        super().__init__((ROWS, COLUMNS))
        self._steps_per_stage, self.stale = steps_per_stage, stale

    @property
    def params_size(self) -> int:
        return 1

    @property
    def steps_per_stage(self) -> int:
        return self._steps_per_stage

    def build(self, input_shape=None):
        self.bias = self.add_weight(name="bias", shape=(self.num_sites,), initializer="random_normal")
        self.built = True

    def call(self, x, conditional_input=None, member=0, order=None, training=None):
        x = tf.reshape(x, [-1, ROWS, COLUMNS])
        above = tf.cumsum(tf.reduce_sum(x, 2), 1, exclusive=True)[..., None]
        logits = 2.0 * above - tf.cumsum(x, 2, exclusive=True)
        return (tf.reshape(logits, [-1, self.num_sites]) + self.bias)[..., None]

    def step_weights(self):
        return {"bias": tf.convert_to_tensor(self.bias)}

    def start(self, batch_size, conditional_input=None, length=None, order=None, member=None):
        return {name: tf.zeros([batch_size]) for name in ("above", "left")}

    def start_stage(self, state, stage, x_previous, weights=None):
        row = state["left"] + tf.where(stage > 0, 0.0 if self.stale else x_previous, 0.0)
        return {"above": state["above"] + row, "left": tf.zeros_like(row)}

    def step(self, state, index, x_previous, weights=None):
        weights = self.step_weights() if weights is None else weights
        left = state["left"] + tf.where(index % COLUMNS > 0, x_previous, 0.0)
        logits = 2.0 * state["above"] - left + weights["bias"][index]
        return logits[:, None], {**state, "left": left}


def make(**kwargs):
    return tfar.Autoregressive(RowsNetwork(**kwargs), tfar.heads.Bernoulli())


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_walk_in_stages_equals_whole_passes(jit_compile):
    dist = make()
    noise = dist.density.noise(random.row_seeds(1, 40))
    walk = tf.function(lambda: samplers.walk(dist.network, dist.head, noise), jit_compile=jit_compile)
    naive = samplers.naive(dist.network, dist.head, noise)
    np.testing.assert_array_equal(walk().sites, naive)
    observed = np.arange(ROWS * COLUMNS) < 6
    given = samplers.walk(dist.network, dist.head, noise, given=1.0 - naive, observed=tf.tile(observed[None], [40, 1]))
    np.testing.assert_array_equal(given.sites[:, :6], 1.0 - naive[:, :6])
    scores = dist.head.log_prob(dist.network(given.sites), given.sites)
    np.testing.assert_allclose(given.log_prob, tf.reduce_sum(scores[:, :6], 1), rtol=1e-5)


def test_the_check_of_steps_follows_the_stages():
    tfar.testing.check_steps(make())
    with pytest.raises(tfar.testing.CheckError, match="step 4"):
        tfar.testing.check_steps(make(stale=True))


def test_stages_must_divide_the_sites():
    with pytest.raises(ValueError, match="Expected `steps_per_stage` to divide 12 sites; received 5"):
        make(steps_per_stage=5).copy(jit_compile=False).sample(2, seed=1)
