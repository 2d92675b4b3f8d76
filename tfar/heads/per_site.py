"""Head with a different head for each site."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.heads.base import Head, check_head
from tfar.heads.support import Support
from tfar.layers.standardization import arrays_of, masked


@keras.saving.register_keras_serializable("tfar")
class PerSite(Head):
    """Uses a separate head for each site, such as one for each column of a table.

    Equal heads are evaluated together if `site` is static and as long as the last batch axis, as in a pass over all
    sites. Otherwise, as in a step, all heads are evaluated and the results are selected by site. Parameter and noise
    vectors have the largest size that any head needs; each head uses the leading entries.

    `log_prob` is a density at continuous sites and a mass at discrete ones. `discrete` is True if all sites are discrete;
    `support(site).discrete` is True if that site is discrete.

    Args:
        heads: the head of each site in raster order. The same head may be used for several sites, which then share its
            weights.

    Raises:
        ValueError: If there is no head, or if the shapes of their sites differ.

    Example:
        >>> head = PerSite([tfar.heads.Bernoulli(), tfar.heads.Categorical(3), tfar.heads.Bernoulli()])
        >>> head.log_prob(tf.zeros([1, 3, 3]), [[1.0, 2.0, 0.0]], site=[0, 1, 2]).numpy().round(3)
        array([[-0.693, -1.099, -0.693]], dtype=float32)
    """

    def __init__(self, heads: Iterable[Head], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        given = [check_head(head) for head in heads]
        if not given or len({head.site_shape for head in given}) > 1:
            raise ValueError(
                "Expected heads, one for each site, with equal site shapes; received "
                f"{[(type(head).__name__, head.site_shape) for head in given]}."
            )
        self._parts, self._part_of_site = _distinct(given)
        for number, part in enumerate(self._parts):  # as attributes: tf.train.Checkpoint tracks no layers in lists
            setattr(self, f"head_{number}", part)
        self.num_sites, self.site_shape = len(given), given[0].site_shape
        self.noise_size = max(head.noise_size for head in self._parts)
        self.discrete = all(head.discrete for head in self._parts)
        self._params_size = max(head.params_size for head in self._parts)

    @property
    def heads(self) -> tuple[Head, ...]:
        """The head of each site."""
        return tuple(self._parts[part] for part in self._part_of_site)

    @property
    def params_size(self) -> int:
        return self._params_size

    @property
    def mixed(self) -> bool:
        return any(part.mixed for part in self._parts)

    def build(self, input_shape: Any = None) -> None:
        """Creates the weights of all heads."""
        for part in self._parts:
            if not part.built:
                part.build()
        self.built = True

    def initial_site_params(self) -> list[list[float]]:
        own = [head.initial_params() or [] for head in self.heads]
        return [[*params, *[0.0] * (self.params_size - len(params))] for params in own]

    def input_levels(self, site: int) -> tuple[float, ...]:
        return self._parts[self._part_of_site[int(site)]].input_levels(site)

    @property
    def awaits_data(self) -> bool:
        return any(part.awaits_data for part in self._parts)

    def adapt(self, data: Any) -> None:
        """Adapts the heads that await data to the values of their sites; if none does, all heads with units.

        Args:
            data: array `[..., *event_shape]`, or an iterable of such arrays. The masked entries of masked
                arrays are left out.
        """
        able = [part for part in self._parts if type(part).adapt is not Head.adapt]
        if not able:
            super().adapt(data)
        shape = (-1, len(self._part_of_site), *self.site_shape)
        rows = [masked(array).astype(np.float64).reshape(shape) for array in arrays_of(data)]
        for part in [part for part in able if part.awaits_data] or able:
            sites = [site for site, head in enumerate(self.heads) if head is part]
            part.adapt(array[:, sites] for array in rows)

    def support(self, site: int | None = None) -> Support:
        if site is not None:
            return self._parts[self._part_of_site[int(site)]].support(site)
        supports = [part.support() for part in self._parts]
        return Support(min(s.low for s in supports), max(s.high for s in supports), all(s.discrete for s in supports))

    # One call for each distinct head ---------------------------------------------------------------------------------

    def _call(
        self,
        name: str,
        rank: int,
        site: Any,
        *given: tuple[str, tf.Tensor],
        extra: tuple = (),
        keeps_rest: bool = False,
    ) -> tf.Tensor:
        """Calls `head.name(*tensors, *extra, site)` for each distinct head and puts the results together by site.

        Args:
            name: the method.
            rank: int. Number of trailing axes of the result; the size of the last one may differ between heads.
            site: the sites, as in the public methods.
            *given: pairs of a kind and a tensor. "params" and "noise" are cut to the size of a head; a "value" outside the
                support of a head, which belongs to a site of another head, is replaced by one inside it; an "any" value and
                a "number" for each site are passed as they are.
            extra: further arguments.
            keeps_rest: bool. Whether the entries of the last tensor that a head does not use follow its result.
        """
        static = self._static_site(site, "heads")

        def of_head(head: Head, site: Any, *tensors: tf.Tensor) -> tf.Tensor:
            parts = [_part(head, kind, t, site) for (kind, _), t in zip(given, tensors, strict=True)]
            found = getattr(head, name)(*parts, *extra, site)
            found = tf.stack(found, axis=-1) if isinstance(found, tuple) else found
            if not keeps_rest:
                return found
            whole = tf.broadcast_to(tensors[-1], tf.concat([tf.shape(found)[:-1], tf.shape(tensors[-1])[-1:]], 0))
            return tf.concat([found, whole[..., found.shape[-1] :]], axis=-1)

        trailing = {"params": 1, "noise": 1, "value": self._value_rank, "any": self._value_rank, "number": 0}
        tensors = [(tensor, trailing[kind]) for kind, tensor in given]
        lengths = {t.shape[t.shape.rank - 1 - n] if t.shape.rank > n else None for t, n in tensors}
        if static is not None and np.ndim(static) == 1 and lengths == {len(static)}:
            return self._by_group(of_head, np.asarray(static), rank, tensors)
        return self._by_selection(of_head, tf.convert_to_tensor(site), rank, [tensor for tensor, _ in tensors])

    def _by_group(
        self, function: Callable[..., tf.Tensor], site: NDArray[np.int_], rank: int, tensors: Any
    ) -> tf.Tensor:
        parts = self._part_of_site[site]
        positions: list[int] = []
        results: list[tf.Tensor] = []
        for number in np.unique(parts):
            at = np.flatnonzero(parts == number)
            taken = [tf.gather(tensor, at, axis=tensor.shape.rank - 1 - trailing) for tensor, trailing in tensors]
            results.append(function(self._parts[number], site[at], *taken))
            positions.extend(at)
        joined = tf.concat(_padded(results, rank), axis=-1 - rank)
        return tf.gather(joined, np.argsort(positions), axis=joined.shape.rank - 1 - rank)

    def _by_selection(self, function: Callable[..., tf.Tensor], site: tf.Tensor, rank: int, tensors: Any) -> tf.Tensor:
        part_of_site = tf.gather(tf.constant(self._part_of_site, tf.int32), site)
        chosen, *others = _padded([function(part, site, *tensors) for part in self._parts], rank)
        for number, result in enumerate(others, start=1):
            mask = tf.equal(part_of_site, number)
            chosen = tf.where(tf.reshape(mask, tf.concat([tf.shape(mask), [1] * rank], 0)), result, chosen)
        return chosen

    # The methods of a head -------------------------------------------------------------------------------------------

    @property
    def _value_rank(self) -> int:
        return len(self.site_shape)

    def encode_inputs(self, x: Any, site: Any = None) -> tf.Tensor:
        return self._call("encode_inputs", self._value_rank, site, ("any", tf.cast(x, tf.float32)))

    def _in_support(self, x: tf.Tensor, site: Any) -> tf.Tensor:
        return self._call("_in_support", self._value_rank, site, ("any", x))

    def _log_prob(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        return self._call("_log_prob", 0, site, ("params", params), ("value", x))

    def _training_log_prob(self, params: tf.Tensor, x: tf.Tensor, seed: Any, site: Any) -> tf.Tensor:
        return self._call("_training_log_prob", 0, site, ("params", params), ("value", x), extra=(seed,))

    def _sample(self, params: tf.Tensor, noise: tf.Tensor, site: Any) -> tf.Tensor:
        return self._call("_sample", self._value_rank, site, ("params", params), ("noise", noise))

    def _noise(self, params: tf.Tensor, x: tf.Tensor, uniform: tf.Tensor, site: Any) -> tf.Tensor:
        given = (("params", params), ("value", x), ("noise", uniform))
        return self._call("_noise", 1, site, *given, keeps_rest=True)  # Unused entries are uniform as well.

    def _tempered(self, params: tf.Tensor, temperature: Any, site: Any) -> tf.Tensor:
        return self._call("_tempered", 1, site, ("params", params), extra=(temperature,), keeps_rest=True)

    def _cdf(self, params: tf.Tensor, x: tf.Tensor, site: Any) -> tf.Tensor:
        return self._call("_cdf", 0, site, ("params", params), ("any", x))

    def _interval_prob(self, params: tf.Tensor, lower: tf.Tensor, upper: tf.Tensor, site: Any) -> tf.Tensor:
        return self._call("_interval_prob", 0, site, ("params", params), ("any", lower), ("any", upper))

    def _probs(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        if any(part.support().low != self.support().low or part.site_shape for part in self._parts):
            raise ValueError("Expected scalar sites with the same lowest value for `probs`; received others.")
        probs = self._call("_probs", 1, site, ("params", params))
        missing = (self.support().num_values or 0) - probs.shape[-1]
        return tf.pad(probs, [[0, 0]] * (probs.shape.rank - 1) + [[0, missing]])

    def _mean_variance(self, params: tf.Tensor, site: Any) -> tuple[tf.Tensor, tf.Tensor]:
        found = self._call("_mean_variance", self._value_rank + 1, site, ("params", params))
        return found[..., 0], found[..., 1]

    def _entropy(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        return self._call("_entropy", 0, site, ("params", params))

    def _mode(self, params: tf.Tensor, site: Any) -> tf.Tensor:
        return self._call("_mode", self._value_rank, site, ("params", params))

    def _quantile(self, params: tf.Tensor, p: tf.Tensor, site: Any) -> tf.Tensor:
        return self._call("_quantile", self._value_rank, site, ("params", params), ("number", p))

    # Configuration ---------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "parts": [keras.saving.serialize_keras_object(part) for part in self._parts],
            "part_of_site": self._part_of_site.tolist(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "PerSite":
        parts = [keras.saving.deserialize_keras_object(part) for part in config["parts"]]
        others = {key: value for key, value in config.items() if key not in ("parts", "part_of_site")}
        return cls([parts[number] for number in config["part_of_site"]], **others)


def _part(head: Head, kind: str, tensor: tf.Tensor, site: Any) -> tf.Tensor:
    """Returns what a head takes of a tensor; see `PerSite._call`."""
    if kind in ("params", "noise"):
        return tensor[..., : head.params_size if kind == "params" else head.noise_size]
    if kind != "value":
        return tensor
    low = head.support().low
    return tf.where(head._in_support(tensor, site), tensor, low if np.isfinite(low) else 0.0)


def _distinct(heads: Sequence[Head]) -> tuple[tuple[Head, ...], NDArray[np.int32]]:
    """Returns the distinct heads and the index of the head of each site.

    Heads without weights are equal if their settings are equal.
    """
    identities = [_identity(head) for head in heads]
    parts = dict(reversed(list(zip(identities, heads, strict=True))))
    numbers = {identity: number for number, identity in enumerate(dict.fromkeys(identities))}
    part_of_site = np.array([numbers[identity] for identity in identities], np.int32)
    return tuple(parts[identity] for identity in numbers), part_of_site


def _identity(head: Head) -> Any:
    if not head.built:
        head.build()
    if head.weights:
        return id(head)
    config = {key: value for key, value in head.get_config().items() if key != "name"}
    return type(head), json.dumps(_settings(config), sort_keys=True, default=str)


def _settings(config: Any) -> Any:
    """Returns a configuration without the ids that Keras assigns to shared objects while saving."""
    if isinstance(config, dict):
        return {key: _settings(value) for key, value in config.items() if key != "shared_object_id"}
    return [_settings(value) for value in config] if isinstance(config, list | tuple) else config


def _padded(results: list[tf.Tensor], rank: int) -> list[tf.Tensor]:
    """Pads the last axis of each result with zeros to the largest size."""
    if not rank:
        return results
    size = max(result.shape[-1] for result in results)
    return [
        tf.pad(r, [[0, 0]] * (r.shape.rank - 1) + [[0, size - r.shape[-1]]]) if r.shape[-1] < size else r
        for r in results
    ]
