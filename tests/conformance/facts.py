"""What the assertions about a model read: each fact is computed once, by eager operations of the law."""

from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

import tfar
from tests.registry import Case
from tfar.testing import support

NUM_DRAWS, NUM_COMPARED, SEED = 8000, 400, 5
NUM_ROWS = 3


class Facts:
    """Facts about one case, under the condition of one row where many events are scored or drawn.

    Args:
        case: the case.
        dist: None to make its distribution, or another one, such as a faulty one.

    Attributes:
        x, condition: a few events with a condition each.
    """

    def __init__(self, case: Case, dist: Any = None) -> None:
        self.case, self.dist = case, case.make() if dist is None else dist
        self.law = self.dist.law
        self.x, self.condition = case.values(NUM_ROWS, seed=1), case.condition(NUM_ROWS, seed=1)

    def rows_of(self, condition: Any, row: int, num_rows: int) -> Any:
        """One row of a condition for many rows."""
        return support.take(condition, np.full(num_rows, row))

    @cached_property
    def log_prob(self) -> np.ndarray:
        """Of `x`, `[B]`."""
        return np.asarray(self.law.log_prob(tf.constant(self.x), self.condition))

    # Many events under one condition ---------------------------------------------------------------------------------

    @cached_property
    def can_be_summed(self) -> bool:
        """Whether all events can be enumerated, or the density integrated on a grid."""
        dims = int(np.prod(self.case.event_shape))
        return dims <= 2 if self.case.support is None else self.case.support**dims <= 2**12

    @cached_property
    def events(self) -> np.ndarray:
        """All events."""
        return support.enumerate_events(self.dist)

    @cached_property
    def probs(self) -> np.ndarray:
        """Of all events, float64."""
        return np.exp(support.log_probs(self.dist, self.events, None, SEED))

    @cached_property
    def grid(self) -> support.Grid:
        """The density of real numbers."""
        return support.grid_density(self.dist, None, SEED)

    @cached_property
    def one_condition(self) -> Any:
        """The condition of `probs`, `grid` and `draws`, for one row."""
        return support.take(support.one_condition(self.dist, None, 1, SEED), 0)

    def conditions(self, num_rows: int) -> Any:
        """The same for many rows."""
        return support.one_condition(self.dist, None, num_rows, SEED)

    @cached_property
    def draws(self) -> np.ndarray:
        """Samples by steps."""
        return support.draws(self.dist, NUM_DRAWS, SEED, "ancestral", None)

    @cached_property
    def draws_by_method(self) -> dict[str, np.ndarray]:
        """The first samples, by each method."""
        others = {
            method: support.draws(self.dist, NUM_COMPARED, SEED, method, None) for method in ("naive", "fixed_point")
        }
        return {**others, "ancestral": self.draws[:NUM_COMPARED]}

    @cached_property
    def noise(self) -> np.ndarray:
        """Noise of the first samples, as `noise` inverts it."""
        x, seeds = tf.constant(self.draws[:NUM_COMPARED]), tfar.random.row_seeds(SEED + 1, NUM_COMPARED)
        return np.asarray(self.law.noise(x, seeds, self.conditions(NUM_COMPARED)))

    # Scores and losses as functions of the weights -------------------------------------------------------------------

    def totals(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The sums of the log-probabilities and of the training losses of `x`."""
        x, condition = tf.constant(self.x), self.condition
        loss = self.law.training_loss(x, condition, tf.constant([1, 2]))
        return tf.reduce_sum(self.law.log_prob(x, condition)), tf.reduce_sum(loss)

    @cached_property
    def totals_in_graph(self) -> Any:
        """The same as a graph, which is fast for many weights."""
        return tf.function(self.totals, autograph=False)

    @cached_property
    def gradients(self) -> list[list[np.ndarray]]:
        """Of both totals with respect to each trainable variable; 0 where there is none."""
        variables = self.dist.trainable_variables
        with tf.GradientTape(persistent=True) as tape:
            totals = self.totals()
        return [
            [
                np.asarray(tf.convert_to_tensor(g), np.float64)
                for g in tape.gradient(t, variables, unconnected_gradients="zero")
            ]
            for t in totals
        ]

    def losses(self, row: int) -> np.ndarray:
        """Training losses of one event, as many as its random choices need, which a model may make for a row or for a batch."""
        batches = [self._losses_of_batch(row, 500, seed) for seed in range(4)]
        if all(np.ptp(batch) == 0.0 for batch in batches) and np.ptp(batches) > 0.0:
            batches = [self._losses_of_batch(row, 1, seed) for seed in range(200)]
        return np.concatenate(batches).astype(np.float64)

    def _losses_of_batch(self, row: int, num_rows: int, seed: int) -> np.ndarray:
        x = tf.constant(np.repeat(self.x[row : row + 1], num_rows, axis=0))
        condition = self.rows_of(self.condition, row, num_rows)
        return np.asarray(self.law.training_loss(x, condition, tfar.random.as_seed(seed)))
