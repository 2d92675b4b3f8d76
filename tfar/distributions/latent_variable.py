"""The distribution of a prior, an encoder and a decoder, with bounds of its log-probability and draws."""

from typing import Any, NoReturn

import keras
import tensorflow as tf

from tfar.distributions.autoregressive import Autoregressive
from tfar.distributions.base import Rows, without_autograph
from tfar.distributions.latent_draws import LatentDraws
from tfar.heads.base import check_positive_int, is_number
from tfar.laws import AutoregressiveLaw, LatentVariableLaw


@keras.saving.register_keras_serializable("tfar")
class LatentVariable(LatentDraws):
    """Distribution of events with a latent variable: a prior, an encoder and an autoregressive decoder.

        p(x) = E_{z ~ p(z)} p(x | z)
        elbo(x) = E_{z ~ q(z | x)} [log p(x | z) + log p(z) - log q(z | x)] <= log p(x)

    Its log-probability has no closed form. `elbo` and `importance_log_prob` are lower bounds of it in expectation, and
    training maximises `elbo`. A sample is a latent from the prior and an event given the latent.

    Args:
        prior: distribution p(z) of the latent, without a condition. It may be a `LatentVariable`: a hierarchy of latents, whose
            bounds are those of all levels.
        encoder: distribution q(z | x) of the latent, whose condition is an event.
        decoder: distribution p(x | z) of events, whose condition is a latent.
        kl_weight: float, or a function of the training step such as `tfar.laws.LinearAnnealing`: the weight of the KL term in
            the training loss.
        gradient_estimator: how gradients reach the encoder. "reparameterized" differentiates the draw of the latent.
            "score_function" is unbiased for any encoder, with a large variance. "vimco", or `tfar.laws.VIMCO(num_samples)`,
            trains the importance-weighted bound of several latents. "half" is the estimator of DARN for bits, and
            "enumerate" is exact for latents of at most 12 bits. Default: "reparameterized" if the head of the encoder is
            reparameterised, else "score_function".
        free_bits: float. Least KL divergence of each entry of the latent in the training loss, in nats, on average over the
            rows of a batch: an entry below it costs nothing more, so that training does not switch it off. It needs normal
            latents, whose prior has independent entries.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If the shapes of events, latents and conditions do not fit, the estimator does not apply to the encoder, or
            free bits do not apply to the latent.

    Example:
        >>> prior = tfar.Factorized([2], tfar.heads.Normal(), trainable=False)  # standard normals
        >>> network = keras.Sequential([keras.Input([4]), keras.layers.Dense(4)])
        >>> encoder = tfar.Factorized([2], tfar.heads.Normal(), network=network, conditional_shape=[4])
        >>> decoder = tfar.MADE([4], [8], conditional_shape=[2])
        >>> dist = tfar.LatentVariable(prior, encoder, decoder)
        >>> dist.elbo(dist.sample(3, seed=1), seed=2).shape
        TensorShape([3])

    References:
        Kingma and Welling. Auto-encoding variational Bayes. ICLR 2014. https://arxiv.org/abs/1312.6114
        Burda, Grosse and Salakhutdinov. Importance weighted autoencoders. ICLR 2016. https://arxiv.org/abs/1509.00519
        Kingma et al. Improved variational inference with inverse autoregressive flow. NIPS 2016, appendix C.8 (free bits).
        https://arxiv.org/abs/1606.04934
    """

    _score_name = "importance_log_prob"

    def __init__(
        self,
        prior: "Autoregressive | LatentVariable",
        encoder: Autoregressive,
        decoder: Autoregressive,
        *,
        kl_weight: Any = 1.0,
        gradient_estimator: Any = None,
        free_bits: float = 0.0,
        jit_compile: bool = True,
        name: str = "LatentVariable",
    ) -> None:
        _check_shapes(prior, encoder, decoder)
        if not callable(kl_weight) and not is_number(kl_weight):
            raise ValueError(f"Expected `kl_weight` to be a number or a function of the step; received {kl_weight!r}.")
        self.prior, self.encoder, self.decoder = prior, encoder, decoder
        how = {"kl_weight": kl_weight, "gradient_estimator": gradient_estimator, "free_bits": free_bits}
        law = LatentVariableLaw(prior.law, encoder.law, decoder.law, **how)
        parts = {"prior": prior, "encoder": encoder, "decoder": decoder}
        layers = {f"{part}_{name}": layer for part, dist in parts.items() for name, layer in dist.layers.items()}
        super().__init__(law, layers, tuple(decoder.event_shape.as_list()), None, jit_compile, name)

    @property
    def _event_law(self) -> AutoregressiveLaw:
        return self.decoder.law

    @property
    def latent_shape(self) -> tf.TensorShape:
        """Shape of a latent."""
        return self.prior.event_shape

    @property
    def num_latents(self) -> int:
        """Number of entries of the latents, of all levels."""
        return self._law.num_latents

    def initialize(self, value: Any, conditional_input: Any = None, *, observed: None = None) -> None:
        """Sets data-dependent initial weights of the decoder, given latents of the prior.

        Args:
            value: `[B, *event_shape]`.
            conditional_input, observed: not used; present for a common signature of all models.

        Raises:
            ValueError: As `tfar.Autoregressive.initialize` does.
        """
        value = self._checked_value(value)
        self.decoder.initialize(value, self.prior.sample(len(value), seed=0))

    def _flat_rows(
        self, value: Any, conditional_input: Any = None, observed: Any = None, site_weight: Any = None
    ) -> Rows:
        given = {"conditional_input": conditional_input, "observed": observed, "site_weight": site_weight}
        for name, argument in given.items():
            if argument is not None:
                raise ValueError(f"Expected no `{name}` for a {type(self).__name__}; received one.")
        return super()._flat_rows(value)

    # Bounds ----------------------------------------------------------------------------------------------------------

    @without_autograph
    def elbo(self, value: Any, seed: Any = None) -> tf.Tensor:
        """Returns an estimate of the evidence lower bound of each event in nats, with one latent.

        Args:
            value: numbers `[*lead, *event_shape]`.
            seed: seed as accepted by `tfar.random.as_seed`; determines the latents.

        Returns:
            float32 `[*lead]`. Its expectation over seeds is at most the log-probability.

        Raises:
            ValueError: If a shape does not fit; in eager mode also if a value is outside the support.
        """
        return self._bound("elbo", value, seed)

    @without_autograph
    def importance_log_prob(self, value: Any, num_samples: int = 100, seed: Any = None) -> tf.Tensor:
        """Returns an importance-weighted estimate of the log-probability of each event in nats.

            log (1 / S) sum_s p(x | z_s) p(z_s) / q(z_s | x),    z_s ~ q(z | x)

        Args:
            value: numbers `[*lead, *event_shape]`.
            num_samples: int, S. Number of latents for each event. The expectation increases to the log-probability with
                S.
            seed: seed as accepted by `tfar.random.as_seed`.

        Returns:
            float32 `[*lead]`.

        Raises:
            ValueError: As `elbo` does.
        """
        count = check_positive_int("num_samples", num_samples)
        return self._bound("importance_log_prob", value, seed, num_samples=count)

    @without_autograph
    def encode(self, value: Any) -> Autoregressive:
        """Returns the distribution q(z | x) of the latent of each event: the encoder with the events as its condition.

        Args:
            value: numbers `[*batch, *event_shape]`.

        Returns:
            A distribution with batch shape `[*batch]` over latents.
        """
        return self.encoder.given(self._checked_value(value))

    @without_autograph
    def decode(self, latent: Any) -> Autoregressive:
        """Returns the distribution p(x | z) of events given latents: the decoder with the latents as its condition.

        Args:
            latent: numbers `[*batch, *latent_shape]`.

        Returns:
            A distribution with batch shape `[*batch]` over events, which has `log_prob`, `sample` and `complete`.

        Raises:
            ValueError: If the shape does not fit.
        """
        return self.decoder.given(latent)

    @without_autograph
    def evaluate(
        self,
        value: Any,
        conditional_input: Any = None,
        *,
        observed: Any = None,
        site_weight: Any = None,
        seed: Any = 0,
        num_samples: int = 0,
    ) -> dict[str, tf.Tensor]:
        """Returns the terms of the bound of each event in nats, with the KL weight 1 and without dropout.

        Args:
            value: numbers `[*lead, *event_shape]`.
            conditional_input, observed, site_weight: None; present for a common signature of all models.
            seed: seed as accepted by `tfar.random.as_seed`; determines the latents.
            num_samples: int. Number of latents of an importance-weighted bound in addition, 0 for none.

        Returns:
            A dict of float32 `[*lead]`: `elbo`, and its terms `reconstruction`, -log p(x | z), and `kl`,
            log q(z | x) - log p(z), so that elbo = -reconstruction - kl. With `num_samples` also `importance_log_prob`, and
            `importance_standard_error`, the standard error of that estimate. `latent_mean` `[*lead, num_latents]` is the mean of
            each entry of the latent given the event (and given the drawn entries before it, if the encoder is not factorised).

        Raises:
            ValueError: As `elbo` does.
        """
        given = self._flat_rows(value, conditional_input, observed, site_weight)
        count = check_positive_int("num_samples", num_samples, lowest=0)
        return self._call("evaluate", [given.x], given, seed=seed, count=given.count, num_samples=count)

    def _bound(self, name: str, value: Any, seed: Any, **arguments: Any) -> tf.Tensor:
        given = self._flat_rows(value)
        return self._call(name, [given.x], given, seed=seed, count=given.count, **arguments)

    def log_prob(self, value: Any, name: str = "log_prob", **kwargs: Any) -> NoReturn:
        """Has no closed form, because it is an integral over latents.

        `elbo(x, seed)` is a lower bound of it in expectation, and `importance_log_prob(x, num_samples, seed)` a tighter one.

        Args:
            value: numbers `[*lead, *event_shape]`.
            name: not used.
            **kwargs: not used.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no closed form of its log_prob. `elbo(x, seed)` is a lower bound of it, and "
            "`importance_log_prob(x, num_samples, seed)` a tighter one."
        )


def _check_shapes(prior: Any, encoder: Any, decoder: Any) -> None:
    for name, part in (("prior", prior), ("encoder", encoder), ("decoder", decoder)):
        kinds = (Autoregressive, LatentVariable) if name == "prior" else (Autoregressive,)
        if not isinstance(part, kinds):
            names = " or ".join(f"tfar.{kind.__name__}" for kind in kinds)
            raise ValueError(f"Expected `{name}` to be a {names}; received {type(part).__name__}.")
        if part.bound_condition is not None:
            raise ValueError(f"Expected `{name}` without a bound condition; received one on which `given` was called.")
    event, latent = tuple(decoder.event_shape.as_list()), tuple(prior.event_shape.as_list())
    found = {
        "the condition of the prior": (None, prior.conditional_shape),
        "events of the encoder": (latent, tuple(encoder.event_shape.as_list())),
        "the condition of the encoder": (event, encoder.conditional_shape),
        "the condition of the decoder": (latent, decoder.conditional_shape),
    }
    for name, (expected, received) in found.items():
        if received != expected:
            raise ValueError(f"Expected {name} to have shape {expected}; received {received}.")
