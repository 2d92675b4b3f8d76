"""The distribution of a prior, an encoder and a decoder, with bounds of its log-probability and draws."""

from typing import Any, NoReturn

import keras
import tensorflow as tf

from tfar import private, random
from tfar.distributions import rows
from tfar.distributions.autoregressive import Autoregressive
from tfar.distributions.base import Shell
from tfar.distributions.refusals import refuse_bad_rows
from tfar.heads.base import check_positive_int
from tfar.laws import LatentVariableLaw
from tfar.laws.samplers import METHODS

_without_autograph = tf.autograph.experimental.do_not_convert


@keras.saving.register_keras_serializable("tfar")
class LatentVariable(Shell):
    """Distribution of events with a latent variable: a prior, an encoder and an autoregressive decoder.

        p(x) = E_{z ~ p(z)} p(x | z)
        elbo(x) = E_{z ~ q(z | x)} [log p(x | z) + log p(z) - log q(z | x)] <= log p(x)

    Its log-probability has no closed form. `elbo` and `importance_log_prob` are lower bounds of it in expectation, and
    training maximises `elbo`.

    Args:
        prior: distribution p(z) of the latent, without a condition.
        encoder: distribution q(z | x) of the latent, whose condition is an event.
        decoder: distribution p(x | z) of events, whose condition is a latent.
        kl_weight: float, or a function of the training step such as `tfar.laws.LinearAnnealing`: the weight of the KL term in
            the training loss.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If the shapes of events, latents and conditions do not fit.

    Example:
        >>> prior = tfar.Factorized([2], tfar.heads.NormalMixture(1), trainable=False)
        >>> network = keras.Sequential([keras.Input([4]), keras.layers.Dense(6)])
        >>> encoder = tfar.Factorized([2], tfar.heads.NormalMixture(1), network=network, conditional_shape=[4])
        >>> decoder = tfar.MADE([4], [8], conditional_shape=[2])
        >>> dist = tfar.LatentVariable(prior, encoder, decoder)
        >>> dist.elbo(dist.sample(3, seed=1), seed=2).shape
        TensorShape([3])

    References:
        Kingma and Welling. Auto-encoding variational Bayes. ICLR 2014. https://arxiv.org/abs/1312.6114
        Burda, Grosse and Salakhutdinov. Importance weighted autoencoders. ICLR 2016. https://arxiv.org/abs/1509.00519
    """

    _score_name = "importance_log_prob"

    def __init__(
        self,
        prior: Autoregressive,
        encoder: Autoregressive,
        decoder: Autoregressive,
        *,
        kl_weight: Any = 1.0,
        jit_compile: bool = True,
        name: str = "LatentVariable",
    ) -> None:
        _check_shapes(prior, encoder, decoder)
        if not callable(kl_weight) and (isinstance(kl_weight, bool) or not isinstance(kl_weight, int | float)):
            raise ValueError(f"Expected `kl_weight` to be a number or a function of the step; received {kl_weight!r}.")
        self.prior, self.encoder, self.decoder = prior, encoder, decoder
        law = LatentVariableLaw(prior.law, encoder.law, decoder.law, kl_weight=kl_weight)
        layers = {
            f"{part}_{kind}": getattr(dist, kind)
            for part, dist in (("prior", prior), ("encoder", encoder), ("decoder", decoder))
            for kind in ("network", "head")
        }
        super().__init__(law, layers, tuple(decoder.event_shape.as_list()), None, jit_compile, name)

    @property
    def num_sites(self) -> Any:
        """Number of sites of an event."""
        return self.decoder.num_sites

    @property
    def head(self) -> Any:
        """The head of the decoder."""
        return self.decoder.head

    @property
    def latent_shape(self) -> tf.TensorShape:
        """Shape of a latent."""
        return self.prior.event_shape

    # Initial weights -------------------------------------------------------------------------------------------------

    @property
    def awaits_data(self) -> bool:
        """Whether the decoder awaits data; see `tfar.Autoregressive.awaits_data`."""
        return self.decoder.awaits_data

    def initialize(self, value: Any, conditional_input: Any = None) -> None:
        """Sets data-dependent initial weights of the decoder, given latents of the prior."""
        value = self._checked_value(value)
        self.decoder.initialize(value, self.prior.sample(len(value), seed=0))

    # Training data ---------------------------------------------------------------------------------------------------

    @_without_autograph
    def valid_rows(self, value: Any, conditional_input: Any = None, *, observed: Any = None) -> tf.Tensor:
        """Returns whether the values of each row are in the support, bool `[B]`.

        Args:
            value, conditional_input, observed: as in `training_loss`.
        """
        self._refuse(conditional_input=conditional_input, observed=observed)
        return tf.logical_not(tf.math.is_nan(self._law.bad_row_marks(self._flat_value(value)[0])))

    @_without_autograph
    def check_rows(
        self, value: Any, conditional_input: Any = None, *, observed: Any = None, first_row: int = 0
    ) -> None:
        """Raises ValueError if a row is invalid (see `valid_rows`); the message names the row and the site.

        Args:
            value, conditional_input, observed: as in `training_loss`.
            first_row: int. Number of the first row in the message.
        """
        self._refuse(conditional_input=conditional_input, observed=observed)
        x, _ = self._flat_value(value)
        refuse_bad_rows(self.decoder.law, self._law.bad_row_marks(x), x, first_row=first_row)

    # Bounds ----------------------------------------------------------------------------------------------------------

    @_without_autograph
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

    @_without_autograph
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

    @_without_autograph
    def encode(self, value: Any) -> Autoregressive:
        """Returns the distribution q(z | x) of the latent of each event: the encoder with the events as its condition.

        Args:
            value: numbers `[*batch, *event_shape]`.

        Returns:
            A distribution with batch shape `[*batch]` over latents.
        """
        return self.encoder.given(self._checked_value(value))

    def _bound(self, name: str, value: Any, seed: Any, **arguments: Any) -> tf.Tensor:
        x, lead = self._flat_value(value)
        count = len(x) if tf.executing_eagerly() else tf.shape(x)[0]
        result = self._run(name, [x], seed=seed, count=count, **arguments)
        if tf.executing_eagerly():
            refuse_bad_rows(self.decoder.law, result, x)
        return rows.unflatten(result, lead)

    def _flat_value(self, value: Any) -> tuple[tf.Tensor, Any]:
        items = [(self._checked_value(value), len(self._shape))]
        lead = rows.lead_shape(items)
        return rows.flatten(items, lead)[0], lead

    @_without_autograph
    def training_loss(
        self,
        value: Any,
        conditional_input: Any = None,
        *,
        observed: Any = None,
        site_weight: Any = None,
        seed: Any = None,
        step: Any = 0,
    ) -> tf.Tensor:
        """Returns the training loss: the negative bound, with the KL term weighted by `kl_weight(step)`.

        Args:
            value: `[B, *event_shape]`.
            conditional_input, observed, site_weight: None; present for a common signature of all models.
            seed: seed as accepted by `tfar.random.as_seed`; determines all randomness of the loss.
            step: int or int32 scalar. Number of the training step.

        Returns:
            float32 `[B]`, NaN for a row outside the support.

        Raises:
            ValueError: If a shape does not fit, or an unsupported argument is given.
        """
        self._refuse(conditional_input=conditional_input, observed=observed, site_weight=site_weight)
        x, lead = self._flat_value(value)
        return rows.unflatten(self._law.training_loss(x, None, random.as_seed(seed), step), lead)

    @_without_autograph
    def evaluate(
        self,
        value: Any,
        conditional_input: Any = None,
        *,
        observed: Any = None,
        site_weight: Any = None,
        seed: Any = 0,
    ) -> dict[str, tf.Tensor]:
        """Returns the metrics of each row, `{"elbo": [B]}` in nats, with the KL weight 1 and without dropout."""
        self._refuse(conditional_input=conditional_input, observed=observed, site_weight=site_weight)
        return {"elbo": self.elbo(value, seed)}

    def _refuse(self, **given: Any) -> None:
        for name, value in given.items():
            if value is not None:
                raise ValueError(f"Expected no `{name}` for a {type(self).__name__}; received one.")

    # Draws -----------------------------------------------------------------------------------------------------------

    @_without_autograph
    def sample(
        self, sample_shape: Any = (), seed: Any = None, name: str = "sample", *, method: str = "ancestral"
    ) -> tf.Tensor:
        """Draws a latent from the prior and an event given the latent.

        Args:
            sample_shape: int or ints.
            seed: seed as accepted by `tfar.random.as_seed`.
            name: not used; present for compatibility with TFP.
            method: see `tfar.Autoregressive.sample`.

        Returns:
            float32 `[*sample_shape, *event_shape]`.
        """
        return self._draw(sample_shape, seed, method=method)

    def _sample_n(
        self, n: Any, seed: Any = None, conditional_input: Any = None, method: str = "ancestral"
    ) -> tf.Tensor:
        if method not in METHODS:
            raise ValueError(f"Expected `method` to be one of {METHODS}; received {method!r}.")
        count, condition, lead = self._rows_of_samples(n, conditional_input)
        with private.without_recording():
            result = self._run("sample", [condition], seed=seed, count=count, method=method)
        return rows.unflatten(result, lead)

    def complete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises an error, because the latent given a part of an event has no closed form."""
        raise NotImplementedError(
            f"{type(self).__name__} cannot complete events exactly, as the latent given a part of an event has no closed form. "
            "Complete given a latent: `dist.decoder.complete(x, observed, conditional_input=z)`."
        )

    def _log_prob(self, value: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(
            f"{type(self).__name__} has no closed form of its log_prob. `elbo(x, seed)` is a lower bound of it, and "
            "`importance_log_prob(x, num_samples, seed)` a tighter one."
        )


def _check_shapes(prior: Any, encoder: Any, decoder: Any) -> None:
    for name, part in (("prior", prior), ("encoder", encoder), ("decoder", decoder)):
        if not isinstance(part, Autoregressive):
            raise ValueError(f"Expected `{name}` to be a tfar.Autoregressive; received {type(part).__name__}.")
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
