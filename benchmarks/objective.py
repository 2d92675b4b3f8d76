"""A model whose validation figure is its training objective under fixed draws, where log_prob takes many passes."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

import tfar


class ObjectiveModel(tfar.training.DensityModel):
    """As `DensityModel`, except that `nll` of evaluation is the mean training objective of the same draws every time.

    Args:
        dist: the distribution.
        num_draws: int. Draws for each row.
        **kwargs: those of `DensityModel`.
    """

    def __init__(self, dist: Any, num_draws: int = 8, **kwargs: Any) -> None:
        super().__init__(dist, **kwargs)
        self.num_draws = num_draws

    def test_step(self, data: Any) -> dict[str, Any]:
        value, condition, observed, _ = self._unpack(data)
        draws = [
            self.dist.training_loss(value, condition, observed=observed, seed=tf.constant([-1, draw]))
            for draw in range(self.num_draws)
        ]
        losses = tf.add_n(draws) / self.num_draws
        self._loss_tracker.update_state(losses)
        self._nll.update_state(losses)
        return {"loss": self._loss_tracker.result(), "nll": self._nll.result()}
