"""Trains a distribution of tfar with the steps of `fit`, for a number of processor seconds."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.cases import Settings


class ModelLearner:
    """Trains a distribution on arrays; see `benchmarks.budget.Learner`.

    Args:
        dist: the distribution.
        arrays: what `DensityModel.fit` takes.
        settings: Settings.
        jit_compile: bool. Whether XLA compiles the update.
    """

    suffix = ".weights.h5"

    def __init__(self, dist: Any, arrays: Mapping[str, Any], settings: Settings, jit_compile: bool = True) -> None:
        import keras
        import tensorflow as tf

        import tfar

        self.dist = dist
        self.model = tfar.training.DensityModel(dist, seed=settings.seed)
        optimizer = keras.optimizers.Adam(settings.learning_rate, global_clipnorm=settings.clip_norm)
        self.model.compile(optimizer=optimizer, jit_compile=jit_compile)
        optimizer.build(self.model.trainable_variables)
        self.batches = tfar.training.Batches(dict(arrays), settings.batch_size, seed=settings.seed)
        self._train_step = tf.function(self.model.train_step, jit_compile=jit_compile)

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        return int(sum(np.prod(v.shape) for v in self.dist.trainable_variables))

    def update(self, step: int, learning_rate: float) -> int:
        """Makes one step of `fit` on the next rows; rows that do not fill a batch wait for another epoch."""
        self.batches.epoch, index = divmod(step, max(1, self.batches.num_rows // self.batches.batch_size))
        batch = self.batches[index]
        self.model.optimizer.learning_rate = learning_rate
        self.model.reset_metrics()
        loss = float(self._train_step(batch)["loss"])
        if not math.isfinite(loss):
            raise ValueError(f"Expected a finite loss. Received: {loss} at update {step}. Try a lower learning rate.")
        return self.num_samples(batch)

    def num_samples(self, batch: Mapping[str, Any]) -> int:
        """Returns the number of samples of a batch whose loss counts: its rows."""
        return len(batch["value"])

    def save(self, path: pathlib.Path) -> None:
        """Writes the weights and the state of the optimizer."""
        self.model.save_weights(path)

    def load(self, path: pathlib.Path) -> None:
        """Reads the weights and the state of the optimizer."""
        self.model.load_weights(path)
