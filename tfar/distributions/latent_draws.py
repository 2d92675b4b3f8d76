"""Draws of distributions with a latent variable that are conditional on events: completions and interpolations."""

from typing import Any, NoReturn

import tensorflow as tf

from tfar import private, random
from tfar.distributions.autoregressive import Autoregressive
from tfar.distributions.base import without_autograph
from tfar.distributions.model import Model
from tfar.heads.base import check_positive_int


class LatentDraws(Model):
    """Distribution with a latent variable that completes events, and finds events between two others."""

    encoder: Autoregressive
    decoder: Autoregressive

    @without_autograph
    def complete_approximately(
        self, value: Any, observed: Any, num_samples: int | None = None, seed: Any = None, *, num_latents: int = 100
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws the unobserved sites given the observed ones by sampling-importance-resampling of the latent.

        A latent is chosen among draws of the prior with the weights p(x_o | z) of the observed part x_o, and gives a
        completion x'. The latent of the result is chosen among draws of the encoder given x', with the weights
        p(x_o | z) p(z) / q(z | x'). The draws follow p(x | x_o) in the limit of many latents. An effective sample size near
        1, of at most `num_latents`, says that one latent outweighs all others, so that the draws are far from that limit.

        Args:
            value: `[*lead, *event_shape]`. Values that are not observed are ignored.
            observed: bools that broadcast to the shape of `value`: a pattern that the decoder allows, such as the first
                sites in raster order.
            num_samples: None for one completion, or the number of completions of each event.
            seed: seed as accepted by `tfar.random.as_seed`.
            num_latents: int. Number of latents among which each of the two is chosen.

        Returns:
            float32 `[*lead, *event_shape]`, or `[num_samples, *lead, *event_shape]`; and the effective sample size of the weights
            of each completion, `[*lead]` or `[num_samples, *lead]`.

        Raises:
            ValueError: If a number is out of range, or the order of the decoder does not allow the pattern; the message
                explains what to do.
        """
        count = check_positive_int("num_latents", num_latents)
        if num_samples is not None:
            num_samples = check_positive_int("num_samples", num_samples)
        given = super()._flat_rows(value, None, observed).repeated(num_samples)
        inputs = [given.x, given.observed]
        with private.without_recording():
            return self._call("complete_approximately", inputs, given, seed=seed, count=given.count, num_latents=count)

    def complete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Is not possible exactly, because the distribution of the latent given a part of an event has no closed form.

        `complete_approximately(x, observed)` resamples the latent. `dist.decode(z).complete(x, observed)` is exact given z.

        Args:
            args, kwargs: not used.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            f"{type(self).__name__} cannot complete events exactly, as the latent given a part of an event has no closed form. "
            "`complete_approximately(x, observed)` draws by sampling-importance-resampling of the latent, and returns its "
            "effective sample size. `dist.decode(z).complete(x, observed)` is exact given a latent z."
        )

    @without_autograph
    def interpolate(
        self, first: Any, second: Any, num_steps: int = 8, seed: Any = None, *, temperature: float = 1.0
    ) -> tf.Tensor:
        """Draws events on the line between the latents of two events.

            x_k ~ p(x | z_k),    z_k = (1 - t_k) E[z | first] + t_k E[z | second],    t_k = k / (num_steps - 1)

        All events of a line are drawn from the same noise, so that they differ by their latents alone.

        Args:
            first, second: numbers `[*lead, *event_shape]`.
            num_steps: int of at least 2, K. Number of events of a line, with the reconstructions of both events at its ends.
            seed: seed as accepted by `tfar.random.as_seed`.
            temperature: float above 0, that of the decoder; see `tfar.Autoregressive.with_temperature`. Near 0, each site is
                the most probable value given the sites before it.

        Returns:
            float32 `[K, *lead, *event_shape]`.

        Raises:
            ValueError: If a shape does not fit, a number is out of range, a value is outside the support, or latents are
                discrete.

        References:
            Bowman et al. Generating sentences from a continuous space. CoNLL 2016, section 5.3.
            https://arxiv.org/abs/1511.06349
        """
        if self.encoder.head.discrete:
            raise ValueError(
                f"Expected real latents, between which there is a line; those of {type(self.encoder.head).__name__} are discrete."
            )
        count, seed = check_positive_int("num_steps", num_steps, lowest=2), random.as_seed(seed)
        decoder = self.decoder if temperature == 1.0 else self.decoder.with_temperature(temperature)
        ends = [self._latent_mean(value) for value in (first, second)]
        shares = [step / (count - 1) for step in range(count)]
        latents = [(1.0 - share) * ends[0] + share * ends[1] for share in shares]
        return tf.stack([decoder.given(latent).sample(seed=seed) for latent in latents])

    def _latent_mean(self, value: Any) -> tf.Tensor:
        """Returns the mean of q(z | x) of each event, `[*lead, *latent_shape]`."""
        mean, shape = self.evaluate(value, seed=0)["latent_mean"], self.encoder.event_shape
        own = mean[..., : shape.num_elements()]
        return tf.reshape(own, tf.concat([tf.shape(own)[:-1], shape.as_list()], 0))
