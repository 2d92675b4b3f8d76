"""Head with weights: a mixture of conditional Gaussian scale mixtures of features."""

import math
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfar import random
from tfar.heads import numerics
from tfar.heads.base import Head, check_positive_int
from tfar.heads.mixtures import LIMIT, NormalMixture
from tfar.heads.numerics import is_class, logsumexp, select_class, sum_where
from tfar.heads.support import Support

# Initial standard deviation of the kernel of the locations and of the features, and range of the initial log-precisions.
_LOC_STDDEV, _FEATURE_STDDEV, _LOG_PRECISIONS = 0.01, 0.01, (0.0, 10.0)


class Components(NamedTuple):
    """The conditional of a site as a mixture of C components and S scales of each.

    Attributes:
        logits: `[..., C S]`, the scales of a component side by side.
        loc: `[..., C, M]`.
        log_precision: `[C, S]`, of which exp is the factor of the precision matrix.
        factors: `[C, M, M]` as M rows of entries `[C]` each, on and below the diagonal: the Cholesky factors L.
    """

    logits: tf.Tensor
    loc: tf.Tensor
    log_precision: tf.Tensor
    factors: list[list[tf.Tensor]]


class _Normals(NormalMixture):
    """Mixture of normals whose parameters are logits, locations and the scales themselves."""

    def components(self, params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        logits, loc, scale = tf.split(params, 3, axis=-1)
        return logits, loc, scale


@keras.saving.register_keras_serializable("tfar")
class GaussianScaleMixture(Head):
    """Mixture of conditional Gaussian scale mixtures (MCGSM) of one or several channels, given features of the site.

    The parameter vector holds features h, such as the hidden state of an LSTM, and a location m that all components
    share. The head owns the other weights. With C components c, S scales s, N shared features b_n and M channels:

        p(y | h, m) = sum_{c, s} p(c, s | h) Normal(y; m + A_c^T h + u_c, exp(-alpha_cs) (L_c L_c^T)^-1)
        p(c, s | h) = softmax(eta_cs - 1/2 exp(alpha_cs) sum_n beta_cn^2 (b_n^T h)^2)

    with lower triangular matrices L_c, whose diagonal is the exponential of a weight. The standard deviation of a channel,
    given the later ones, has the factors exp(-alpha_cs / 2) and the inverse of the diagonal entry of L_c; each of them is
    clipped to `min_scale` .. `1 / min_scale`.

    A draw uses 1 + M uniform numbers. The first selects c and s; the others give the channels, the last one first, through
    the normal quantile and back substitution. `cdf`, `interval_prob`, `quantile` and the entropy need one channel. There is
    no `tempered`, because weights of the head determine the scales.

    Args:
        num_components: int, C.
        num_scales: int, S.
        num_features: int, N.
        num_inputs: int. Number of features h; in `tfar.SpatialLSTM` the number of units.
        num_channels: int, M, or None for a scalar site.
        min_scale: float in (0, 1). Bounds the density that a single value can reach.
        seed: int. Determines the initial weights.

    Raises:
        ValueError: If a number is less than 1 or `min_scale` is out of range.

    Example:
        >>> head = GaussianScaleMixture(2, num_scales=3, num_features=4, num_inputs=5)
        >>> head.log_prob(tf.zeros([7, head.params_size]), tf.zeros([7])).shape
        TensorShape([7])

    References:
        Theis, Hosseini and Bethge. Mixtures of conditional Gaussian scale mixtures applied to multiscale image
        representations. PLoS ONE 7, 2012. https://arxiv.org/abs/1109.4389
        Theis and Bethge. Generative image modeling using spatial LSTMs. NIPS 2015, section 2.2, equations 3 and 4.
        https://arxiv.org/abs/1506.03478

    Notes:
        The location m is an extension, through which a model adds a linear prediction; zeros give the head of the paper.
        The authors whiten inputs and outputs first, and draw the initial alpha from -1 .. 1 and A with a deviation of 0.1.
        Here the values are standardised, not whitened, so that the errors of a good prediction are small: the initial
        alpha_cs of a component are spread from 0 to 10, for standard deviations of 1 down to 0.007, and A has a deviation
        of 0.01.
    """

    def __init__(
        self,
        num_components: int = 32,
        num_scales: int = 4,
        num_features: int = 32,
        *,
        num_inputs: int = 64,
        num_channels: int | None = None,
        min_scale: float = 1e-4,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.num_components = check_positive_int("num_components", num_components)
        self.num_scales = check_positive_int("num_scales", num_scales)
        self.num_features = check_positive_int("num_features", num_features)
        self.num_inputs = check_positive_int("num_inputs", num_inputs)
        self.num_channels = None if num_channels is None else check_positive_int("num_channels", num_channels)
        if not 0.0 < min_scale < 1.0:
            raise ValueError(f"Expected `min_scale` in (0, 1); received {min_scale!r}.")
        self.min_scale, self.seed = float(min_scale), check_positive_int("seed", seed, lowest=0)
        self._size = self.num_channels or 1
        self.site_shape = () if self.num_channels is None else (self._size,)
        self.noise_size = 1 + self._size

    @property
    def reparameterized(self) -> bool:
        return self.num_components * self.num_scales == 1  # The choice of a component is not differentiable.

    @property
    def params_size(self) -> int:
        return self.num_inputs + self._size

    def support(self, site: int | None = None) -> Support:
        return Support()

    def encode_inputs(self, x: Any, site: Any = None) -> tf.Tensor:
        return tf.minimum(tf.maximum(tf.cast(x, tf.float32), -LIMIT), LIMIT)

    # Weights ---------------------------------------------------------------------------------------------------------

    def build(self, input_shape: Any = None) -> None:
        """Creates the weights of the head, whose shapes depend only on the configuration."""
        count, size = self.num_components, self._size
        self.loc_kernel = self._weight("loc_kernel", (self.num_inputs, count, size), self._normal(_LOC_STDDEV, 0))
        self.loc_bias = self._weight("loc_bias", (count, size))
        self.features = self._weight("features", (self.num_inputs, self.num_features), self._normal(_FEATURE_STDDEV, 1))
        self.feature_scales = self._weight("feature_scales", (count, self.num_features), self._uniform(0.01, 0.02, 2))
        self.logits = self._weight("logits", (count, self.num_scales))
        self.log_precision = self._weight("log_precision", (count, self.num_scales), self._spread)
        self.log_diagonal = self._weight("log_diagonal", (count, size))
        if size > 1:
            self.off_diagonal = self._weight("off_diagonal", (count, size * (size - 1) // 2))
        self.built = True

    def _weight(self, name: str, shape: tuple[int, ...], initializer: Any = "zeros") -> Any:
        """Creates a weight whose value stays float32 in the calls of layers of mixed precision."""
        return self.add_weight(name=name, shape=shape, initializer=initializer, dtype="float32", autocast=False)

    def _seed_of(self, salt: int) -> int:
        return int(random.numpy_generator(self.seed, random.Stream.INITIAL_WEIGHTS, salt).integers(2**31))

    def _normal(self, stddev: float, salt: int) -> Any:
        return keras.initializers.RandomNormal(0.0, stddev, seed=self._seed_of(salt))

    def _uniform(self, low: float, high: float, salt: int) -> Any:
        return keras.initializers.RandomUniform(low, high, seed=self._seed_of(salt))

    def _spread(self, shape: Any, dtype: Any = None) -> tf.Tensor:
        """Spreads the log-precisions of each component evenly, each at the centre of its share of the range."""
        low, high = _LOG_PRECISIONS
        values = low + (high - low) * (tf.range(shape[-1], dtype=tf.float32) + 0.5) / shape[-1]
        return tf.broadcast_to(values, shape)

    # The mixture -----------------------------------------------------------------------------------------------------

    def components(self, params: tf.Tensor) -> Components:
        """Returns the mixture for parameters `[..., num_inputs + M]`."""
        self._ensure_built()
        h, shared = tf.split(tf.cast(params, tf.float32), [self.num_inputs, self._size], axis=-1)
        h = tf.minimum(tf.maximum(h, -LIMIT), LIMIT)  # so that squares are finite
        log_precision = self._clipped(2.0, self.log_precision)
        energy = tf.tensordot(
            tf.square(tf.tensordot(h, tf.convert_to_tensor(self.features), 1)),
            tf.transpose(tf.square(tf.convert_to_tensor(self.feature_scales))),
            1,
        )
        logits = tf.convert_to_tensor(self.logits) - 0.5 * tf.exp(log_precision) * tf.expand_dims(energy, -1)
        loc = tf.tensordot(h, tf.convert_to_tensor(self.loc_kernel), 1) + tf.convert_to_tensor(self.loc_bias)
        flat = tf.concat([tf.shape(params)[:-1], [self.num_components * self.num_scales]], 0)
        return Components(tf.reshape(logits, flat), loc + tf.expand_dims(shared, -2), log_precision, self._factors())

    def _clipped(self, power: float, weight: Any) -> tf.Tensor:
        """Clips the logarithm of a scale to the power `-power`."""
        bound = -power * math.log(self.min_scale)
        return tf.minimum(tf.maximum(tf.convert_to_tensor(weight), -bound), bound)

    def _factors(self) -> list[list[tf.Tensor]]:
        diagonal = tf.exp(self._clipped(1.0, self.log_diagonal))
        factors = [[diagonal[:, 0]]]
        for row in range(1, self._size):
            first, below = row * (row - 1) // 2, tf.convert_to_tensor(self.off_diagonal)
            factors.append([*(below[:, first + column] for column in range(row)), diagonal[:, row]])
        return factors

    def _vector(self, x: tf.Tensor) -> tf.Tensor:
        return tf.expand_dims(x, -1) if self.num_channels is None else x

    def _standardized(self, parts: Components, x: tf.Tensor) -> list[tf.Tensor]:
        """Returns the M entries of `L_c^T (x - loc_c)`, `[..., C]` each.

        Distances are limited so that their squares are finite.
        """
        distance = tf.minimum(tf.maximum(tf.expand_dims(self._vector(x), -2) - parts.loc, -LIMIT), LIMIT)
        return [
            tf.add_n([parts.factors[row][column] * distance[..., row] for row in range(column, self._size)])
            for column in range(self._size)
        ]

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        return logsumexp(self._joint_log_probs(self.components(params), x))

    def _joint_log_probs(self, parts: Components, x: tf.Tensor) -> tf.Tensor:
        """Returns log p(c, s, x), `[..., C S]`."""
        square = tf.expand_dims(tf.add_n([tf.square(z) for z in self._standardized(parts, x)]), -1)
        log_det = tf.reduce_sum(self._clipped(1.0, self.log_diagonal), axis=-1, keepdims=True)
        log_density = log_det + 0.5 * (self._size * parts.log_precision - tf.exp(parts.log_precision) * square)
        log_density -= 0.5 * self._size * math.log(2.0 * math.pi)
        log_weights = tf.nn.log_softmax(parts.logits)
        flat = tf.concat([tf.shape(log_density)[:-2], [self.num_components * self.num_scales]], 0)
        return log_weights + tf.reshape(log_density, flat)

    # Draws -----------------------------------------------------------------------------------------------------------

    def _sample(self, params: tf.Tensor, noise: tf.Tensor, site: Any) -> tf.Tensor:
        parts = self.components(params)
        chosen, component = self._chosen(select_class(parts.logits, noise[..., 0]))
        scale = tf.exp(-0.5 * sum_where(chosen, tf.reshape(parts.log_precision, [-1])))
        normal = numerics.normal_quantile(noise[..., 1:]) * tf.expand_dims(scale, -1)
        factors = [[sum_where(component, entry) for entry in row] for row in parts.factors]
        distance = _back_substituted(factors, [normal[..., channel] for channel in range(self._size)])
        loc = [sum_where(component, parts.loc[..., channel]) for channel in range(self._size)]
        values = [a + b for a, b in zip(loc, distance, strict=True)]
        return values[0] if self.num_channels is None else tf.stack(values, axis=-1)

    def _noise(self, params: tf.Tensor, x: tf.Tensor, uniform: tf.Tensor, site: Any) -> tf.Tensor:
        parts = self.components(params)
        number = select_class(self._joint_log_probs(parts, x), uniform[..., 0])
        chosen, component = self._chosen(number)
        selects = numerics.point_in(*numerics.class_interval(parts.logits, number), uniform[..., 1])
        root = tf.exp(0.5 * sum_where(chosen, tf.reshape(parts.log_precision, [-1])))
        normal = [root * sum_where(component, z) for z in self._standardized(parts, x)]
        return numerics.open_unit(tf.stack([selects, *map(numerics.normal_cdf, normal)], axis=-1))

    def _chosen(self, number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the one-hot encodings `[..., C S]` of a component and scale and `[..., C]` of the component."""
        component = tf.floor((number + 0.5) / self.num_scales)
        return is_class(number, self.num_components * self.num_scales), is_class(component, self.num_components)

    # Summaries -------------------------------------------------------------------------------------------------------

    def _mean_variance(self, params: tf.Tensor, site: Any) -> tuple[tf.Tensor, tf.Tensor]:
        parts = self.components(params)
        weights = tf.nn.softmax(parts.logits)
        weights = tf.reshape(weights, tf.concat([tf.shape(weights)[:-1], [self.num_components, self.num_scales]], 0))
        of_components = tf.reduce_sum(weights, axis=-1, keepdims=True)
        mean = tf.reduce_sum(of_components * parts.loc, axis=-2)
        scales = tf.reduce_sum(weights * tf.exp(-parts.log_precision), axis=-1, keepdims=True)
        between = of_components * tf.square(parts.loc - mean[..., None, :])
        variance = tf.reduce_sum(between + scales * self._unit_variances(parts), axis=-2)
        return (mean[..., 0], variance[..., 0]) if self.num_channels is None else (mean, variance)

    def _unit_variances(self, parts: Components) -> tf.Tensor:
        """Returns the diagonals of `(L_c L_c^T)^-1`, `[C, M]`."""
        one, zero = tf.ones([self.num_components]), tf.zeros([self.num_components])
        columns = [
            _back_substituted(parts.factors, [one if i == j else zero for i in range(self._size)])
            for j in range(self._size)
        ]
        return tf.stack([tf.add_n([tf.square(column[i]) for column in columns]) for i in range(self._size)], axis=-1)

    def _cdf(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        normals, params = self._normals(params)
        return normals._cdf(params, x if self.num_channels is None else x[..., 0], site)

    def _interval_prob(self, params: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor, site: Any) -> tf.Tensor:
        normals, params = self._normals(params)
        edges = (lower, upper) if self.num_channels is None else (lower[..., 0], upper[..., 0])
        return normals._interval_prob(params, *edges, site)

    def _entropy(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        self._check_scalar("entropy")
        normals, params = self._normals(params)
        return normals._entropy(params, site)

    def _normals(self, params: tf.Tensor) -> tuple[_Normals, tf.Tensor]:
        """Returns the conditional of one channel as a mixture of C S normals, and the parameters of it."""
        parts = self.components(params)
        scale = tf.exp(-0.5 * parts.log_precision) / parts.factors[0][0][:, None]
        loc = tf.repeat(parts.loc[..., 0], self.num_scales, axis=-1)
        scale = tf.broadcast_to(tf.reshape(scale, [-1]), tf.shape(loc))
        return _Normals(self.num_components * self.num_scales), tf.concat([parts.logits, loc, scale], axis=-1)

    def get_config(self) -> dict[str, Any]:
        names = ("num_components", "num_scales", "num_features", "num_inputs", "num_channels", "min_scale", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _back_substituted(factors: list[list[tf.Tensor]], z: list[tf.Tensor]) -> list[tf.Tensor]:
    """Solves `L^T y = z` for lower triangular L, given by its rows. TFLite has no operation for triangular systems."""
    y: dict[int, tf.Tensor] = {}
    for i in range(len(z) - 1, -1, -1):
        known = [factors[k][i] * y[k] for k in range(i + 1, len(z))]
        y[i] = (z[i] - tf.add_n(known) if known else z[i]) / factors[i][i]
    return [y[i] for i in range(len(z))]
