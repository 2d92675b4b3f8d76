"""Head of a site some of whose values repeat: masses at these values, and another head for the rest."""

import itertools
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar.heads import numerics
from tfar.heads.base import Head, check_head
from tfar.heads.numerics import is_class, select_class, sum_where
from tfar.heads.support import Support
from tfar.layers.standardization import arrays_of, masked

# Log-probability that stands for a probability of 0; a constant -inf becomes a finite number in TFLite.
_NEVER = -1e30


@keras.saving.register_keras_serializable("tfar")
class Atoms(Head):
    """Gives some values a probability mass of their own, and the rest the distribution of another head.

        p(x) = w_a                                       at the atom a
        p(x) = w_rest q(x; params of the head)           elsewhere,    w = softmax(logits)

    Over a continuous head, `log_prob` is a density with respect to counting measure on the atoms plus Lebesgue measure
    elsewhere, so a column in which a value repeats has a likelihood that is bounded there. Over a discrete head, an
    atom inside the support of the head has the mass `w_a + w_rest q(a)`, as in a zero-inflated count, and an atom outside
    the support extends it. The parameter vector holds a logit for each atom, the logit of the rest, and the parameters of
    the head.

    The first uniform number of a draw selects an atom or the rest; the others are those of the head. The inputs of a network
    are -4 - i / 8 at the i-th atom, whatever its value, and otherwise those of the head; networks that take the inputs of
    each site from the head have an input of its own for each atom.

    Args:
        values: floats, the atoms, distinct in float32.
        head: head of the other values, with a scalar site.

    Raises:
        ValueError: If the values are not finite and distinct, or not whole numbers over a discrete head, or if the sites of
            the head are not scalar or differ.

    Example:
        >>> head = Atoms([0.0], tfar.heads.NormalMixture(1))
        >>> params = [[0.0, 0.0, 0.0, 0.0, 0.5413]]  # half of the mass at 0, the other half a standard normal
        >>> head.log_prob(params, [0.0]).numpy().round(3), head.cdf(params, [0.0]).numpy().round(3)
        (array([-0.693], dtype=float32), array([0.75], dtype=float32))
    """

    def __init__(self, values: Iterable[float], head: Head, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.head = check_head(head)
        if head.site_shape or head.num_sites is not None or head.mixed:
            raise ValueError(
                f"Expected a head of scalar sites that treats all sites alike and has no atoms; {type(head).__name__} has "
                f"site shape {head.site_shape} and {head.num_sites} sites."
            )
        self.values = _checked_values(values, head)
        self.discrete, self.noise_size = head.discrete, 1 + head.noise_size

    @property
    def mixed(self) -> bool:
        return not self.head.discrete

    @property
    def params_size(self) -> int:
        return len(self.values) + 1 + self.head.params_size

    def build(self, input_shape: Any = None) -> None:
        """Creates the weights of the inner head."""
        if not self.head.built:
            self.head.build()
        self.built = True

    @property
    def awaits_data(self) -> bool:
        return self.head.awaits_data

    def adapt(self, data: Any) -> None:
        """Adapts the inner head to the values that are not atoms. If there are none, it keeps its units.

        Args:
            data: array, or an iterable of arrays. The masked entries of masked arrays are left out.
        """
        atoms = np.asarray(self.values, np.float32)
        arrays = (masked(array).compressed() for array in arrays_of(data))
        rest = (values[~np.isin(values.astype(np.float32), atoms)] for values in arrays)
        first = next((values for values in rest if values.size), None)
        if first is not None:
            self.head.adapt(itertools.chain([first], rest))

    def support(self, site: int | None = None) -> Support:
        inner = self.head.support()
        return Support(min(inner.low, *self.values), max(inner.high, *self.values), inner.discrete)

    def initial_params(self) -> list[float]:
        inner = self.head.initial_params()
        return [0.0] * (len(self.values) + 1) + ([0.0] * self.head.params_size if inner is None else inner)

    @property
    def codes(self) -> tuple[float, ...]:
        """The inputs of a network at the atoms."""
        return tuple(-4.0 - i / 8.0 for i in range(len(self.values)))

    def encode_inputs(self, x: Any, site: Any = None) -> tf.Tensor:
        x = tf.cast(x, tf.float32)
        is_atom, rest = self._is_atom(x), self.head.encode_inputs(self._of_rest(x, site), site)
        code = sum_where(is_atom, tf.zeros_like(x)[..., None] + self.codes)
        return tf.where(tf.reduce_any(is_atom, axis=-1), code, rest)

    def input_levels(self, site: int) -> tuple[float, ...]:
        return (*self.codes, *self.head.input_levels(site))

    # Atoms and the rest ----------------------------------------------------------------------------------------------

    def _is_atom(self, x: tf.Tensor) -> tf.Tensor:
        return tf.equal(tf.expand_dims(x, -1), tf.constant(self.values, tf.float32))

    def _split(self, params: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the logits of atoms and rest, `[..., A + 1]`, and the parameters of the head."""
        count = len(self.values) + 1
        return params[..., :count], params[..., count:]

    def _joint(self, params: tf.Tensor, x: tf.Tensor, of_rest: tf.Tensor, site: Any) -> tf.Tensor:
        """Returns log p(atom or rest, x), `[..., A + 1]`, given log q(x) of the rest."""
        weights, is_atom = tf.nn.log_softmax(self._split(params)[0]), self._is_atom(x)
        possible = self._is_possible(x, site)
        rest = tf.where(possible, weights[..., -1] + of_rest, _NEVER)
        shape = tf.concat([tf.shape(rest), [len(self.values)]], 0)
        atoms = tf.where(tf.broadcast_to(is_atom, shape), weights[..., :-1], _NEVER)
        return tf.concat([atoms, tf.expand_dims(rest, -1)], axis=-1)

    def _is_possible(self, x: tf.Tensor, site: Any) -> tf.Tensor:
        """Returns whether the rest has a mass or a density at x."""
        inside = self.head._in_support(x, site)
        # The density gives the atoms no mass.
        return (
            inside
            if self.head.discrete
            else tf.logical_and(inside, tf.logical_not(tf.reduce_any(self._is_atom(x), -1)))
        )

    def _of_rest(self, x: tf.Tensor, site: Any) -> tf.Tensor:
        """Replaces values at which the rest has no mass or density."""
        return self.head._nearby(x, self._is_possible(x, site))

    def _joint_at(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        near = self._of_rest(x, site)
        return self._joint(params, x, self.head._log_prob(self._split(params)[1], near, site), site)

    def _in_support(self, x: tf.Tensor, site: Any) -> tf.Tensor:
        return tf.logical_or(tf.reduce_any(self._is_atom(x), axis=-1), self.head._in_support(x, site))

    def _nearby(self, x: tf.Tensor, supported: tf.Tensor) -> tf.Tensor:
        return tf.where(supported, x, tf.zeros_like(x) + self.values[0])

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        return numerics.logsumexp(self._joint_at(params, x, site))

    def _training_log_prob(self, params: tf.Tensor, x: tf.Tensor, seed: Any, site: Any) -> tf.Tensor:
        near = self._of_rest(x, site)
        of_rest = self.head._training_log_prob(self._split(params)[1], near, seed, site)
        return numerics.logsumexp(self._joint(params, x, of_rest, site))

    def _sample(self, params: tf.Tensor, noise: tf.Tensor, site: Any) -> tf.Tensor:
        logits, inner = self._split(params)
        chosen = is_class(select_class(logits, noise[..., 0]), len(self.values) + 1)
        rest = self.head._sample(inner, noise[..., 1:], site)
        atom = sum_where(chosen[..., :-1], tf.zeros_like(rest)[..., None] + self.values)
        return tf.where(chosen[..., -1], rest, atom)

    def _noise(self, params: tf.Tensor, x: tf.Tensor, uniform: tf.Tensor, site: Any) -> tf.Tensor:
        logits, inner = self._split(params)
        joint = self._joint_at(params, x, site)
        part = select_class(joint, uniform[..., 0])
        low, high = numerics.class_interval(joint, part)
        within = (uniform[..., 0] - low) / tf.maximum(high - low, 1e-30)
        first = numerics.open_unit(numerics.point_in(*numerics.class_interval(logits, part), within))
        near = self._of_rest(x, site)
        of_rest = self.head._noise(inner, near, uniform[..., 1:], site)
        is_rest = tf.equal(part, float(len(self.values)))[..., None]
        return tf.concat([first[..., None], tf.where(is_rest, of_rest, uniform[..., 1:])], axis=-1)

    def _tempered(self, params: tf.Tensor, temperature: Any, site: Any) -> tf.Tensor:
        logits, inner = self._split(params)
        return tf.concat([logits / temperature, self.head._tempered(inner, temperature, site)], axis=-1)

    # Sums over both --------------------------------------------------------------------------------------------------

    def _cdf(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        logits, inner = self._split(params)
        weights, reached = tf.nn.softmax(logits), tf.expand_dims(x, -1) >= tf.constant(self.values, tf.float32)
        return self._mix(weights, reached, self.head._cdf(inner, x, site))

    def _interval_prob(self, params: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor, site: Any) -> tf.Tensor:
        logits, inner = self._split(params)
        atoms = tf.constant(self.values, tf.float32)
        inside = tf.logical_and(tf.expand_dims(lower, -1) <= atoms, atoms <= tf.expand_dims(upper, -1))
        return self._mix(tf.nn.softmax(logits), inside, self.head._interval_prob(inner, lower, upper, site))

    def _mix(self, weights: tf.Tensor, atoms: tf.Tensor, of_rest: tf.Tensor) -> tf.Tensor:
        shape = tf.concat([tf.shape(of_rest), [len(self.values)]], 0)
        of_atoms = sum_where(tf.broadcast_to(atoms, shape), tf.broadcast_to(weights[..., :-1], shape))
        return tf.minimum(of_atoms + weights[..., -1] * of_rest, 1.0)

    def _probs(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        values = self._all_values()
        supported, params = self._in_support(values, site), tf.expand_dims(params, -2)
        probs = tf.exp(self._log_prob(params, self._nearby(values, supported), site))
        return tf.where(supported, probs, tf.zeros_like(probs))

    def _mean_variance(self, params: tf.Tensor, site: Any) -> tuple[tf.Tensor, tf.Tensor]:
        logits, inner = self._split(params)
        weights, (mean, variance) = tf.nn.softmax(logits), self.head._mean_variance(inner, site)
        means = tf.concat([tf.zeros_like(mean)[..., None] + self.values, mean[..., None]], axis=-1)
        whole = tf.reduce_sum(weights * means, axis=-1)
        between = tf.reduce_sum(weights * tf.square(means - whole[..., None]), axis=-1)
        return whole, weights[..., -1] * variance + between

    def _entropy(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        """With respect to the base measure of `log_prob`. Atoms that the rest can draw too are not told apart."""
        logits, inner = self._split(params)
        weights = tf.nn.softmax(logits)
        entropy = weights[..., -1] * self.head._entropy(inner, site) - tf.reduce_sum(_xlogx(weights), axis=-1)
        if not self.head.discrete:
            return entropy
        atoms = tf.constant(self.values, tf.float32)
        possible = self.head._in_support(atoms, site)
        near = self.head._nearby(atoms, possible)
        own = tf.exp(self.head._log_prob(tf.expand_dims(inner, -2), near, site))
        shared = weights[..., -1:] * tf.where(possible, own, tf.zeros_like(own))
        lost = _xlogx(weights[..., :-1]) + _xlogx(shared) - _xlogx(weights[..., :-1] + shared)
        return entropy + tf.reduce_sum(lost, axis=-1)

    def _mode(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        if not self.head.discrete:
            raise NotImplementedError("A distribution with masses and a density has no mode.")
        return super()._mode(params, site)

    def get_config(self) -> dict[str, Any]:
        head = keras.saving.serialize_keras_object(self.head)
        return {**super().get_config(), "values": list(self.values), "head": head}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Atoms":
        return cls(**{**config, "head": keras.saving.deserialize_keras_object(config["head"])})


def _checked_values(values: Any, head: Head) -> tuple[float, ...]:
    try:
        found = np.asarray(list(values), np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected `values` to be floats; received {values!r}.") from error
    if not found.size or not np.isfinite(found).all() or len(np.unique(found.astype(np.float32))) < found.size:
        raise ValueError(f"Expected `values` to be finite floats that are distinct in float32; received {values!r}.")
    if head.discrete and (found != np.floor(found)).any():
        raise ValueError(f"Expected whole numbers as `values` over {type(head).__name__}; received {values!r}.")
    return tuple(float(value) for value in found)


def _xlogx(p: tf.Tensor) -> tf.Tensor:
    return p * tf.math.log(tf.maximum(p, 1e-37))
