"""One step of training, evaluation and prediction."""

import math
from typing import Any

import keras
import tensorflow as tf

from tfar import private
from tfar.training import forms
from tfar.training.latents import ActiveUnits

METRICS = ("loss", "nll", "bits_per_dim")
# Of a model with a latent variable.
LATENT_METRICS = ("loss", "neg_elbo", "reconstruction", "kl", "active_units")
FALLING = {*METRICS, *LATENT_METRICS[:-1]}


class Steps(private.Built):
    """The steps of a `DensityModel`, which sets `dist`, `seed` and `validation_draws`."""

    dist: Any
    seed: int
    validation_draws: int

    def _make_metrics(self) -> None:
        count = self.dist.num_latents
        active = [ActiveUnits(count)] if count else []
        self._names = LATENT_METRICS if count else METRICS
        means = self._names[1 : len(self._names) - len(active)]
        self._trackers = [*map(keras.metrics.Mean, means), *active]

    @private.message_first
    def __call__(self, *args: Any, **kwargs: Any) -> tf.Tensor:
        return super().__call__(*args, **kwargs)

    def call(self, inputs: Any, training: bool | None = None) -> tf.Tensor:
        """Returns `log_prob [B]` of a batch in any form of the data; a lower bound of it, of a model with a bound."""
        return -self._loss_of(self._scores(forms.unpack(inputs)))

    def train_step(self, data: Any) -> dict[str, Any]:
        batch = forms.unpack(data)
        number = private.num_batches(self.optimizer)
        count = tf.cast(tf.shape(batch.value)[0], tf.float32)
        batch = forms.zero_weightless(self._with_a_row(batch))
        with tf.GradientTape() as tape:
            losses = self.dist.training_loss(
                batch.value,
                batch.conditional_input,
                seed=tf.stack([tf.constant(self.seed), number]),
                step=tf.cast(tf.convert_to_tensor(self.optimizer.iterations), tf.int32),
                **batch.keywords,
            )
            total = tf.reduce_sum(_weighted(losses, batch.sample_weight))
            weight = count if batch.sample_weight is None else tf.reduce_sum(batch.sample_weight)
            sums = self._global_sum(tf.stop_gradient(tf.stack([total, count, weight])))
            loss = total / sums[1]
            if self.losses:
                loss += tf.add_n(self.losses) / self._num_replicas
            scaled = self.optimizer.scale_loss(loss)
        variables = self.trainable_weights
        gradients = tape.gradient(scaled, variables)
        is_finite = tf.math.is_finite(sums[0])  # Else one bad row would make every weight NaN.
        gradients = [None if g is None else tf.where(is_finite, g, tf.zeros_like(g)) for g in gradients]
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        # Every replica reports the mean over all replicas, as Keras takes the plain mean of what they return.
        tracker = self._metric("loss")
        tracker.update_state(tf.math.divide_no_nan(sums[0], sums[2]), sample_weight=sums[2])
        return {"loss": tracker.result()}

    def test_step(self, data: Any) -> dict[str, Any]:
        batch = self._with_a_row(forms.unpack(data))
        scores = self._scores(batch, self.validation_draws, self._rows_before)
        losses = self._loss_of(scores)
        weight = tf.ones_like(losses) if batch.sample_weight is None else batch.sample_weight
        reported = {"loss": (losses, weight)}
        if self.dist.num_latents:
            reported["neg_elbo"] = (losses, weight)
            reported |= {name: (scores[name], weight) for name in ("reconstruction", "kl")}
        else:
            dimensions = forms.observed_dimensions(batch, self.dist)
            bits = tf.math.divide_no_nan(losses, dimensions * math.log(2.0))
            reported["nll"] = (losses, weight)
            reported["bits_per_dim"] = (bits, tf.where(dimensions > 0.0, weight, tf.zeros_like(weight)))
        for name, (values, weights) in reported.items():
            values = tf.where(tf.equal(weights, 0.0), tf.zeros_like(values), values)  # a row of weight zero may be NaN
            self._metric(name).update_state(values, sample_weight=weights)
        if self.dist.num_latents:
            self._metric("active_units").update_state(scores["latent_mean"], sample_weight=weight)
        return {name: self._metric(name).result() for name in self._names}

    def predict_step(self, data: Any) -> tf.Tensor:
        batch = forms.unpack(data)
        count = tf.shape(batch.value)[0]
        scores = self._scores(self._with_a_row(batch), first_row=self._rows_before)
        if self.dist.num_latents:
            self._metric("active_units").count_rows(count)
        return -self._loss_of(scores)[:count]

    @property
    def _rows_before(self) -> Any:
        """Number of rows in earlier batches. It is part of the seed, so that each row has latents of its own."""
        return self._metric("active_units").num_rows if self.dist.num_latents else 0

    def _scores(self, batch: forms.Batch, draws: int = 0, first_row: Any = 0) -> dict[str, tf.Tensor]:
        """Returns what evaluation reports of each row, in nats."""
        if draws:
            seeds = [tf.constant([-1, draw]) for draw in range(draws)]  # No step of training has these seeds.
            losses = [
                self.dist.training_loss(batch.value, batch.conditional_input, seed=seed, **batch.keywords)
                for seed in seeds
            ]
            return {"nll": tf.add_n(losses) / draws}
        seed = {"seed": tf.stack([0, first_row])} if self.dist.num_latents else {}
        return self.dist.evaluate(batch.value, batch.conditional_input, **batch.keywords, **seed)

    @property
    def score_name(self) -> str:
        """Name of the metric that trainings are compared by: "nll", or "neg_elbo" with a latent variable."""
        return "neg_elbo" if self.dist.num_latents else "nll"

    def _loss_of(self, scores: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns the negative log-probability of each row, or the negative bound with the KL weight 1."""
        return -scores["elbo"] if self.dist.num_latents else scores["nll"]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The metrics that are reported. Keras sums them over replicas only if `test_step` returns exactly these."""
        return [metric for metric in super().metrics if metric.name in self._names]

    def _metric(self, name: str) -> keras.metrics.Metric:
        return next(metric for metric in self.metrics if metric.name == name)

    @property
    def _num_replicas(self) -> int:
        return self.distribute_strategy.num_replicas_in_sync

    def _with_a_row(self, batch: forms.Batch) -> forms.Batch:
        return forms.with_a_row(batch) if self._num_replicas > 1 else batch

    def _global_sum(self, values: tf.Tensor) -> tf.Tensor:
        if self._num_replicas == 1:
            return values
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)


def _weighted(losses: tf.Tensor, weight: tf.Tensor | None) -> tf.Tensor:
    """Losses times weights, where a weight of zero gives zero even for a loss that is NaN."""
    if weight is None:
        return losses
    return tf.where(tf.equal(weight, 0.0), tf.zeros_like(losses), losses) * weight
