"""Networks with stages: what the steps of a stage share is computed when the stage begins."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tfar.networks import AutoregressiveNetwork

FRAMES, ROWS, COLUMNS = 2, 3, 4


class RowsNetwork(AutoregressiveNetwork):
    """A stage per row. The logit of a site is its bias, plus twice the sum of the rows above, less the sum to its left.

    The last row lacks `missing` sites.
    """

    def __init__(self, missing: int = 0, stale: bool = False) -> None:
        super().__init__((ROWS * COLUMNS - missing,))
        self.stages, self.stale = (COLUMNS,), stale

    @property
    def params_size(self) -> int:
        return 1

    def build(self, input_shape: Any = None) -> None:
        self.bias = self.add_weight(name="bias", shape=(self.num_sites,), initializer="random_normal")
        self.built = True

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        missing = ROWS * COLUMNS - self.num_sites
        x = tf.reshape(tf.pad(x, [[0, 0], [0, missing]]), [-1, ROWS, COLUMNS])
        above = tf.cumsum(tf.reduce_sum(x, 2), 1, exclusive=True)[..., None]
        logits = 2.0 * above - tf.cumsum(x, 2, exclusive=True)
        return (tf.reshape(logits, [-1, ROWS * COLUMNS])[:, : self.num_sites] + self.bias)[..., None]

    def step_weights(self) -> dict[str, tf.Tensor]:
        return {"bias": tf.convert_to_tensor(self.bias)}

    def start(
        self, batch_size: Any, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> dict[str, tf.Tensor]:
        return {name: tf.zeros([batch_size]) for name in ("above", "left")}

    def start_stage(self, level: int, state: Any, number: Any, x_previous: Any, weights: Any = None) -> Any:
        row = state["left"] + tf.where(number > 0, 0.0 if self.stale else x_previous[:, 0], 0.0)
        return {"above": state["above"] + row, "left": tf.zeros_like(row)}

    def step(self, state: Any, index: Any, x_previous: Any, weights: Any = None) -> tuple[tf.Tensor, Any]:
        weights = self.step_weights() if weights is None else weights
        left = state["left"] + tf.where(index % COLUMNS > 0, x_previous[:, 0], 0.0)
        logits = 2.0 * state["above"] - left + weights["bias"][index]
        return logits[:, None, None], {**state, "left": left}


class FramesNetwork(RowsNetwork):
    """Nested stages, of frames and of rows. The sums of the frames before count three times."""

    def __init__(self, swapped: bool = False) -> None:
        AutoregressiveNetwork.__init__(self, (FRAMES, ROWS, COLUMNS))
        self.stages, self.stale, self.swapped = (ROWS * COLUMNS, COLUMNS), False, swapped

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        x = tf.reshape(x, [-1, FRAMES, ROWS, COLUMNS])
        before = tf.cumsum(tf.reduce_sum(x, [2, 3]), 1, exclusive=True)[..., None, None]
        above = tf.cumsum(tf.reduce_sum(x, 3), 2, exclusive=True)[..., None]
        logits = 3.0 * before + 2.0 * above - tf.cumsum(x, 3, exclusive=True)
        return (tf.reshape(logits, [-1, self.num_sites]) + self.bias)[..., None]

    def start(
        self, batch_size: Any, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> dict[str, tf.Tensor]:
        return {name: tf.zeros([batch_size]) for name in ("before", "above", "left")}

    def start_stage(self, level: int, state: Any, number: Any, x_previous: Any, weights: Any = None) -> Any:
        if level == (1 if self.swapped else 0):
            frame = state["above"] + state["left"] + tf.where(number > 0, x_previous[:, 0], 0.0)
            zeros = tf.zeros_like(frame)
            return {"before": state["before"] + frame, "above": zeros, "left": zeros}
        is_first_row = tf.equal(number % ROWS, 0)  # the stage of the frame has taken `x_previous` in
        row = state["left"] + tf.where(is_first_row, 0.0, x_previous[:, 0])
        return {**state, "above": state["above"] + row, "left": tf.zeros_like(row)}

    def step(self, state: Any, index: Any, x_previous: Any, weights: Any = None) -> tuple[tf.Tensor, Any]:
        params, new = super().step(state, index, x_previous, weights)
        return params + 3.0 * state["before"][:, None, None], new


NETWORKS = {"rows": RowsNetwork, "last-row-short": lambda: RowsNetwork(missing=2), "frames": FramesNetwork}
EACH = pytest.mark.parametrize("network", NETWORKS)


def make(network: str | AutoregressiveNetwork, **kwargs: Any) -> tfar.Autoregressive:
    network = NETWORKS[network]() if isinstance(network, str) else network
    return tfar.Autoregressive(network, tfar.heads.Bernoulli(), **kwargs)


@EACH
@pytest.mark.parametrize("jit_compile", few_by_default([True, False]))
def test_steps_in_stages_draw_as_whole_passes_do(network: str, jit_compile: bool) -> None:
    dist = make(network, jit_compile=jit_compile)
    found, naive = (dist.sample(40, seed=1, method=method) for method in ("ancestral", "naive"))
    np.testing.assert_array_equal(found, naive)


@EACH
def test_completing_in_stages_keeps_what_is_observed(network: str) -> None:
    """The draws of the other sites follow from the same noise as those of whole passes."""
    dist = make(network, jit_compile=False)
    observed = (np.arange(dist.num_sites) < 6).reshape(dist.event_shape)
    value = 1.0 - np.asarray(dist.sample(40, seed=1))
    found = np.asarray(dist.complete(value, observed, seed=2)).reshape(40, -1)
    np.testing.assert_array_equal(found[:, :6], value.reshape(40, -1)[:, :6])
    noise = dist.law.uniform_noise(tfar.random.row_seeds(2, 40))
    for site in range(6, dist.num_sites):
        params = dist.network(found.reshape(40, *dist.event_shape))
        draws = dist.head.sample(params, noise)
        np.testing.assert_array_equal(found[:, site], draws[:, site])


@EACH
def test_the_steps_in_stages_give_the_parameters_of_a_pass(network: str) -> None:
    tfar.testing.check_steps(make(network))


@pytest.mark.parametrize(
    ("faulty", "message"),
    [(RowsNetwork(stale=True), "step 4"), (FramesNetwork(swapped=True), "step 4")],
    ids=["rows", "frames"],
)
def test_the_check_of_steps_finds_a_faulty_stage(faulty: AutoregressiveNetwork, message: str) -> None:
    with pytest.raises(tfar.testing.CheckError, match=message):
        tfar.testing.check_steps(make(faulty))
