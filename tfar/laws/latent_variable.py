"""The latent-variable law, which consists of a prior over a latent, an encoder and an autoregressive decoder."""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfar import random
from tfar.heads.numerics import logaddexp
from tfar.laws.autoregressive import AutoregressiveLaw
from tfar.laws.free_bits import checked_free_bits
from tfar.laws.gradient_estimators import as_estimator
from tfar.laws.latent_signatures import latent_signatures
from tfar.laws.resampling import resampled
from tfar.laws.signature import Signature


class LatentVariableLaw:
    """Law of events with a latent variable.

        p(x) = E_{z ~ p(z)} p(x | z)
        elbo(x) = E_{z ~ q(z | x)} [log p(x | z) + log p(z) - log q(z | x)] <= log p(x)

    Like `AutoregressiveLaw`, it works on flat batches in plain operations. Its log-probability is intractable; `elbo`
    and `importance_log_prob` are lower bounds of it in expectation.

    Args:
        prior: the law p(z), which may have a latent variable itself: then the bounds are those of both levels.
        encoder: the law q(z | x), whose condition is an event.
        decoder: the law p(x | z), whose condition is a latent.
        kl_weight: float, or a function of the training step: the weight of log q(z | x) - log p(z) in the training loss.
        gradient_estimator: what `training_loss` estimates its gradient with; see `as_estimator`.
        free_bits: float. Least KL divergence of each entry of the latent in the training loss; see `floored_divergence`.

    Raises:
        ValueError: If the estimator does not apply to the encoder, or free bits do not apply to the parts.
    """

    options: dict[str, Any] = {}
    static_options: dict[str, Any] = {}
    config: dict[str, Any] = {}

    def __init__(
        self,
        prior: "AutoregressiveLaw | LatentVariableLaw",
        encoder: AutoregressiveLaw,
        decoder: AutoregressiveLaw,
        *,
        kl_weight: float | Callable[[Any], Any] = 1.0,
        gradient_estimator: Any = None,
        free_bits: float = 0.0,
    ) -> None:
        self.prior, self.encoder, self.decoder, self.kl_weight = prior, encoder, decoder, kl_weight
        self.gradient_estimator = as_estimator(gradient_estimator, self)
        self.free_bits = checked_free_bits(free_bits, self)

    @property
    def num_latents(self) -> int:
        """Number of entries of the latents, of all levels."""
        above = self.prior.num_latents if isinstance(self.prior, LatentVariableLaw) else 0
        return math.prod(self.encoder.network.event_shape) + above

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
        z = self.encode(seeds, x)
        return self.decoder.log_prob(x, z) - self._divergence(seeds, z, x)

    def _divergence(self, seeds: tf.Tensor, z: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns `log q(z | x) - log p(z)`, `[B]`; a prior with a latent variable has its bound in place of log p(z)."""
        if isinstance(self.prior, LatentVariableLaw):
            log_prior = self.prior.elbo(_seeds_of_prior(seeds), z)
        else:
            log_prior = self.prior.log_prob(z)
        return self.encoder.log_prob(z, x) - log_prior

    def prior_loss(self, z: tf.Tensor, seed: tf.Tensor, step: Any = 0) -> tf.Tensor:
        """Returns `-log p(z)` in the training loss, `[B]`: the training loss of a prior that has a latent variable."""
        if isinstance(self.prior, LatentVariableLaw):
            return self.prior.training_loss(z, None, _seeds_of_prior(seed[None])[0], step)
        return -self.prior.log_prob(z)

    def latent_moments(self, seeds: tf.Tensor, z: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns mean and standard deviation under q(z | x) of each entry of a latent, both `[B, *latent_shape]`.

        An encoder that is not factorised gives the moments of an entry given the entries of `z` before it. `seeds` are
        those with which `encode` drew `z`.
        """
        member = self.encoder.members.drawn(self.encoder.member_noise(seeds))
        values = member.values(z)
        conditional = member.head.distribution(member.params(z, x), member.sites(tf.shape(values)[1]))
        return member.event(conditional.mean()), member.event(conditional.stddev())

    def importance_log_prob(self, seeds: tf.Tensor, x: tf.Tensor, num_samples: int) -> tf.Tensor:
        """Returns the importance-weighted bound of the log-probability of each row, `[B]`.

            log (1 / S) sum_s p(x | z_s) p(z_s) / q(z_s | x),    z_s ~ q(z | x)

        Its expectation increases to log p(x) with the number of samples S.

        References:
            Burda, Grosse and Salakhutdinov. Importance weighted autoencoders. ICLR 2016. https://arxiv.org/abs/1509.00519
        """

        return self.importance_estimate(seeds, x, num_samples)[0]

    def importance_estimate(self, seeds: tf.Tensor, x: tf.Tensor, num_samples: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns `importance_log_prob` and its standard error, both `[B]`; the error of one sample is NaN.

        The error is that of the logarithm of a mean by the delta method, from the variance of the weights w_s:

            error^2 = S / (S - 1) (sum_s w_s^2 / (sum_s w_s)^2 - 1 / S)
        """

        def one(number: Any) -> tf.Tensor:
            return self.elbo(random.derived_seeds(seeds, number, random.Stream.IMPORTANCE), x)

        def body(s: tf.Tensor, total: tf.Tensor, squares: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            log_weight = one(s)
            return s + 1, logaddexp(total, log_weight), logaddexp(squares, 2.0 * log_weight)

        first = one(0)
        _, total, squares = tf.while_loop(
            lambda s, *_: s < num_samples,
            body,
            (tf.constant(1), first, 2.0 * first),
            maximum_iterations=num_samples - 1,
        )
        excess = tf.maximum(tf.exp(squares - 2.0 * total) - 1.0 / num_samples, 0.0)
        factor = num_samples / (num_samples - 1) if num_samples > 1 else math.nan
        return total - math.log(num_samples), tf.sqrt(factor * excess)

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

        With free bits, `floored_divergence` replaces log q(z | x) - log p(z). The gradient estimator determines how gradients
        reach the encoder, and with "vimco" the bound is that of several latents.

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
        num_samples: int = 0,
    ) -> dict[str, tf.Tensor]:
        """Returns the metrics of each row in nats, with the KL weight 1 and without dropout; see `tfar.LatentVariable`."""
        z = self.encode(seeds, x)
        reconstruction, divergence = -self.decoder.log_prob(x, z), self._divergence(seeds, z, x)
        mean = self.latent_moments(seeds, z, x)[0]
        mean = tf.reshape(mean, [tf.shape(x)[0], math.prod(mean.shape[1:])])
        if isinstance(self.prior, LatentVariableLaw):
            mean = tf.concat([mean, self.prior.evaluate(_seeds_of_prior(seeds), z)["latent_mean"]], axis=-1)
        metrics = {"elbo": -reconstruction - divergence, "kl": divergence, "reconstruction": reconstruction}
        metrics["latent_mean"] = mean
        if num_samples:
            bound, error = self.importance_estimate(seeds, x, num_samples)
            metrics |= {"importance_log_prob": bound, "importance_standard_error": error}
        return metrics

    # Exports ---------------------------------------------------------------------------------------------------------

    def signatures(self, dist: Any) -> dict[str, Signature]:
        """Returns the signatures of an exported model by name, the default one first; see `AutoregressiveLaw.signatures`."""
        return latent_signatures(dist)

    # Draws -----------------------------------------------------------------------------------------------------------

    def sample(
        self, seeds: tf.Tensor, conditional_input: Any = None, length: Any = None, method: str = "ancestral"
    ) -> tf.Tensor:
        """Draws a latent from the prior and an event given the latent for each seed, `[B, *event_shape]`."""
        return self.decoder.sample(seeds, self.draw_latent(seeds), length, method)

    def draw_latent(self, seeds: tf.Tensor) -> tf.Tensor:
        """Draws a latent from the prior for each seed, `[B, *latent_shape]`."""
        if isinstance(self.prior, LatentVariableLaw):
            return self.prior.sample(_seeds_of_prior(seeds))
        noise = self.prior.uniform_noise(seeds, stream=random.Stream.LATENT)
        return self.prior.sample_from_noise(noise, None, self.prior.member_noise(seeds))

    def complete_approximately(
        self, seeds: tf.Tensor, x: tf.Tensor, observed: tf.Tensor, num_latents: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws the unobserved sites given the observed ones by sampling-importance-resampling of the latent.

        A first latent is resampled from draws z_s of the prior with the weights p(x_o | z_s) of the observed part, and
        gives a completion x'. The second is resampled from draws of the encoder given x', with the weights

            p(x_o | z_s) p(z_s) / q(z_s | x'),    z_s ~ q(z | x')

        and gives the result. Its distribution tends to p(x | x_o) as the number of latents grows.

        Args:
            seeds: int32 `[B, 2]`.
            x: float32 `[B, *event_shape]`.
            observed: bool `[B, N]`, a pattern that the decoder allows.
            num_latents: int. Number of latents of each of the two steps.

        Returns:
            `[B, *event_shape]`, and the effective sample size of the second step, `[B]`.
        """

        def of_prior(own: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            z = self.draw_latent(own)
            return z, self.decoder.log_prob(x, z, observed)

        def of_encoder(own: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            z = self.encode(own, guess)
            return z, self.decoder.log_prob(x, z, observed) - self._divergence(own, z, guess)

        first, second = (random.derived_seeds(seeds, step, random.Stream.RESAMPLING) for step in (0, 1))
        guess = self.decoder.complete(first, x, observed, resampled(first, of_prior, num_latents)[0])
        z, effective_size = resampled(second, of_encoder, num_latents)
        return self.decoder.complete(second, x, observed, z), effective_size

    def bad_row_marks(
        self, x: tf.Tensor, conditional_input: Any = None, observed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns `[B]`: NaN for rows with values outside the support or a pattern that the decoder does not allow, else 0."""
        return self.decoder.bad_row_marks(x, observed=observed)


def _seeds_of_prior(seeds: tf.Tensor) -> tf.Tensor:
    return random.derived_seeds(seeds, 0, random.Stream.PRIOR)
