"""What training reports of a latent variable: the number of active units, and a warning if the posterior collapses."""

import warnings
from typing import Any

import keras
import tensorflow as tf

ACTIVE_VARIANCE = 0.01
# Epochs in a row without an active unit before the warning, as an encoder may start later than the decoder.
PATIENCE = 2

# Rows that are evaluated at once where there are no validation data.
BATCH_SIZE = 100


class ActiveUnits(keras.metrics.Metric):
    """Number of entries of the latent whose posterior mean differs between events: Var_x(E[z | x]) > 0.01.

    Args:
        num_latents: int. Number of entries of the latent.
        name: str.

    References:
        Burda, Grosse and Salakhutdinov. Importance weighted autoencoders. ICLR 2016, section 5.2. https://arxiv.org/abs/1509.00519
    """

    def __init__(self, num_latents: int, name: str = "active_units", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.rows = self.add_variable((), "zeros", dtype="int32", name="rows")
        self.count = self.add_variable((), "zeros", name="count")
        self.total = self.add_variable((num_latents,), "zeros", name="total")
        self.squares = self.add_variable((num_latents,), "zeros", name="squares")

    @property
    def num_rows(self) -> tf.Tensor:
        """Number of events since the last reset, an int32 scalar."""
        return tf.convert_to_tensor(self.rows)

    def count_rows(self, num_rows: Any) -> None:
        """Adds a number of events to `num_rows`, but not to the moments of the latents."""
        self.rows.assign_add(num_rows)

    def update_state(self, means: Any, sample_weight: Any) -> None:
        """Adds posterior means `[B, num_latents]` of events with weights `[B]`; those of weight zero may be NaN."""
        weight = tf.convert_to_tensor(sample_weight)[:, None]
        means = tf.where(tf.equal(weight, 0.0), tf.zeros_like(means), means)
        self.count_rows(tf.shape(means)[0])
        self.count.assign_add(tf.reduce_sum(weight))
        self.total.assign_add(tf.reduce_sum(weight * means, axis=0))
        self.squares.assign_add(tf.reduce_sum(weight * tf.square(means), axis=0))

    def result(self) -> tf.Tensor:
        """Returns the number of active units, a float32 scalar."""
        mean, square = (
            tf.math.divide_no_nan(tf.convert_to_tensor(total), tf.convert_to_tensor(self.count))
            for total in (self.total, self.squares)
        )
        return tf.reduce_sum(tf.cast(square - tf.square(mean) > ACTIVE_VARIANCE, tf.float32))


class PosteriorCheck(keras.callbacks.Callback):
    """Warns if no unit of the latent is active at the end of two epochs in a row, or of the last one.

    Args:
        rows: None, or arrays on which the terms of the bound are reported after every epoch, where there
            are no validation data to report them on.
    """

    def __init__(self, rows: Any = None) -> None:
        super().__init__()
        self.rows, self.num_collapsed, self.has_warned, self.kl = rows, 0, False, 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        self.num_collapsed, self.has_warned = 0, False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = {} if logs is None else logs
        if self.rows is not None:
            found = self.model.evaluate(self.rows, batch_size=BATCH_SIZE, verbose=0, return_dict=True)
            logs.update({name: value for name, value in found.items() if name != "loss"})
        prefix = "val_" if "val_active_units" in logs else ""
        if f"{prefix}active_units" not in logs:
            return
        self.num_collapsed = self.num_collapsed + 1 if logs[f"{prefix}active_units"] < 1.0 else 0
        self.kl = float(logs[f"{prefix}kl"])
        if self.num_collapsed >= PATIENCE:
            self._warn()

    def on_train_end(self, logs: Any = None) -> None:
        if self.num_collapsed:
            self._warn()

    def _warn(self) -> None:
        if self.has_warned:
            return
        self.has_warned = True
        warnings.warn(
            f"The posterior has collapsed: no unit of the latent depends on the event (KL {self.kl:.3g} nats), so the decoder "
            "ignores the latent. Raise the weight of the KL term from near 0 over more steps, as "
            "`kl_weight=tfar.laws.LinearAnnealing(num_steps, start=0.001)` does, or give the decoder fewer layers, smaller "
            "kernels or, of texts, fewer of the words before (`word_keep_rate`). `free_bits` keep entries of a normal latent "
            "active.",
            stacklevel=2,
        )
