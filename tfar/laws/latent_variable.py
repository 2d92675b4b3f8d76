"""The latent-variable law, which consists of a prior over a latent, an encoder and an autoregressive decoder."""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfar import random
from tfar.heads.numerics import logaddexp
from tfar.laws.autoregressive import AutoregressiveLaw
from tfar.laws.gradient_estimators import as_estimator
from tfar.laws.latent_signatures import latent_signatures
from tfar.laws.signature import Signature


class LatentVariableLaw:
    """Law of events with a latent variable.

        p(x) = E_{z ~ p(z)} p(x | z)
        elbo(x) = E_{z ~ q(z | x)} [log p(x | z) + log p(z) - log q(z | x)] <= log p(x)

    Like `AutoregressiveLaw`, it works on flat batches in plain operations. Its log-probability is intractable; `elbo`
    and `importance_log_prob` are lower bounds of it in expectation.

    Args:
        prior: the law p(z).
        encoder: the law q(z | x), whose condition is an event.
        decoder: the law p(x | z), whose condition is a latent.
        kl_weight: float, or a function of the training step: the weight of log q(z | x) - log p(z) in the training loss.
        gradient_estimator: what `training_loss` estimates its gradient with; see `as_estimator`.

    Raises:
        ValueError: If the estimator does not apply to the encoder.
    """

    options: dict[str, Any] = {}
    static_options: dict[str, Any] = {}
    config: dict[str, Any] = {}

    def __init__(
        self,
        prior: AutoregressiveLaw,
        encoder: AutoregressiveLaw,
        decoder: AutoregressiveLaw,
        *,
        kl_weight: float | Callable[[Any], Any] = 1.0,
        gradient_estimator: Any = None,
    ) -> None:
        self.prior, self.encoder, self.decoder, self.kl_weight = prior, encoder, decoder, kl_weight
        self.gradient_estimator = as_estimator(gradient_estimator, self)

    def with_options(self) -> "LatentVariableLaw":
        """Returns the law itself, which has no options."""
        return self

    # Bounds ----------------------------------------------------------------------------------------------------------

    def encode(self, seeds: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Draws a latent from q(z | x) for each row, `[B, *latent_shape]`: a function of `seeds [B, 2]` and the row."""
        noise = self.encoder.uniform_noise(seeds, stream=random.Stream.LATENT)
        return self.encoder.sample_from_noise(noise, x, self.encoder.member_noise(seeds))

    def elbo(self, seeds: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns a one-sample estimate of the evidence lower bound of each row in nats, `[B]`."""
        reconstruction, divergence = self._terms(self.encode(seeds, x), x)
        return -reconstruction - divergence

    def _terms(self, z: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the terms of the negative bound for a latent, `-log p(x | z)` and `log q(z | x) - log p(z)`, both `[B]`."""
        return -self.decoder.log_prob(x, z), self.encoder.log_prob(z, x) - self.prior.log_prob(z)

    def importance_log_prob(self, seeds: tf.Tensor, x: tf.Tensor, num_samples: int) -> tf.Tensor:
        """Returns the importance-weighted bound of the log-probability of each row, `[B]`.

            log (1 / S) sum_s p(x | z_s) p(z_s) / q(z_s | x),    z_s ~ q(z | x)

        Its expectation increases to log p(x) with the number of samples S.

        References:
            Burda, Grosse and Salakhutdinov. Importance weighted autoencoders. ICLR 2016. https://arxiv.org/abs/1509.00519
        """

        def one(number: Any) -> tf.Tensor:
            return self.elbo(random.derived_seeds(seeds, number, random.Stream.IMPORTANCE), x)

        _, total = tf.while_loop(
            lambda s, _: s < num_samples,
            lambda s, total: (s + 1, logaddexp(total, one(s))),
            (tf.constant(1), one(0)),
            maximum_iterations=num_samples - 1,
        )
        return total - math.log(num_samples)

    def training_loss(
        self,
        x: tf.Tensor,
        conditional_input: Any,
        seed: tf.Tensor,
        step: Any = 0,
        observed: tf.Tensor | None = None,
        site_weight: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the training loss, `[B]`: the negative bound with the KL term weighted by `kl_weight(step)`.

            -log p(x | z) + kl_weight (log q(z | x) - log p(z)),    z ~ q(z | x)

        The gradient estimator determines how gradients reach the encoder, and with "vimco" the bound is that of several latents.

        Args:
            x, seed, step: as for `AutoregressiveLaw.training_loss`.
            conditional_input: None.
            observed: None, because unobserved values would have to be integrated out.
            site_weight: None, or weights as for the decoder.
        """
        return self.gradient_estimator(self, x, seed, step, site_weight)

    def kl_weight_at(self, step: Any) -> Any:
        """Returns the weight of the KL term in the training loss at a step, a float or float32 scalar."""
        return self.kl_weight(step) if callable(self.kl_weight) else self.kl_weight

    def evaluate(
        self,
        seeds: tf.Tensor,
        x: tf.Tensor,
        conditional_input: Any = None,
        observed: tf.Tensor | None = None,
        site_weight: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Returns the metrics of each row, `{"elbo": [B]}`, in nats, with the KL weight 1 and without dropout."""
        reconstruction, divergence = self._terms(self.encode(seeds, x), x)
        return {"elbo": -reconstruction - divergence, "kl": divergence, "reconstruction": reconstruction}

    # Exports ---------------------------------------------------------------------------------------------------------

    def signatures(self, dist: Any) -> dict[str, Signature]:
        """Returns the signatures of an exported model by name, the default one first; see `AutoregressiveLaw.signatures`."""
        return latent_signatures(dist)

    # Draws -----------------------------------------------------------------------------------------------------------

    def sample(
        self, seeds: tf.Tensor, conditional_input: Any = None, length: Any = None, method: str = "ancestral"
    ) -> tf.Tensor:
        """Draws a latent from the prior and an event given the latent for each seed, `[B, *event_shape]`."""
        noise = self.prior.uniform_noise(seeds, stream=random.Stream.LATENT)
        z = self.prior.sample_from_noise(noise, None, self.prior.member_noise(seeds))
        return self.decoder.sample(seeds, z, length, method)

    def bad_row_marks(
        self, x: tf.Tensor, conditional_input: Any = None, observed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns `[B]`: NaN for rows outside the support, and 0 for other rows."""
        return self.decoder.bad_row_marks(x)
