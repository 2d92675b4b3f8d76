"""Signatures of an autoregressive distribution, with examples computed by its public methods."""

import functools
import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import random
from tfar.laws.signature import (
    Example,
    Inputs,
    Output,
    Signature,
    example_condition,
    make_signature,
    named_condition,
    nan_unless,
    rows_where,
    spec,
)
from tfar.laws.streaming import streaming_signatures

ROWS, EXAMPLE_LENGTH = 3, 4
_LARGEST_NOISE = 1.0 - 2.0**-24


def autoregressive_signatures(dist: Any) -> dict[str, Signature]:
    """Creates the signatures of an autoregressive distribution.

    Args:
        dist: the distribution, without a bound condition.

    Returns:
        `log_prob`, `site_log_probs`, `observed_log_prob`, `sample`, `sample_from_noise` and `complete`. Distributions
        over events of any length have no `sample`, because a request does not specify a length; for them,
        `sample_from_noise` draws as many sites as the noise has, and `start` and `step` draw one entry per request (see
        `streaming_signatures`).
    """
    parts = _Parts(dist)
    made = {
        "log_prob": parts.log_prob(),
        "site_log_probs": parts.site_log_probs(),
        "observed_log_prob": parts.observed_log_prob(),
        "sample": parts.sample(),
        "sample_from_noise": parts.sample_from_noise(),
        "complete": parts.complete(),
    }
    if parts.num_sites is None:
        del made["sample"]
    return {**made, **streaming_signatures(dist)}


class _Parts:
    """Creates each signature from a function of the law and an example by public methods of the distribution."""

    def __init__(self, dist: Any) -> None:
        self.dist, self.law = dist, dist.law
        self.event_shape = tuple(dist.event_shape.as_list())
        self.num_sites = _num_sites(dist, self.event_shape)
        self.examples = _Examples(dist)

    def log_prob(self) -> Signature:
        return self._make(
            "log_prob",
            lambda inputs, condition: self.law.log_prob(inputs["value"], condition),
            {"value": self._event("value")},
            ("log_prob", (), "log-probability of the row, in nats"),
        )

    def site_log_probs(self) -> Signature:
        return self._make(
            "site_log_probs",
            lambda inputs, condition: self.law.site_log_probs(inputs["value"], condition),
            {"value": self._event("value")},
            (
                "site_log_probs",
                (self.num_sites,),
                "the share of each site in the log-probability, in raster order; the shares sum to it",
            ),
        )

    def observed_log_prob(self) -> Signature:
        return self._make(
            "observed_log_prob",
            lambda inputs, condition: self.law.observed_log_prob(inputs["value"], self._marks(inputs), condition),
            {"value": self._event("value"), "observed": self._event("observed")},
            (
                "log_prob",
                (),
                "log-probability of the observed sites, in nats; NaN if the order does not allow the pattern",
            ),
        )

    def sample(self) -> Signature:
        return self._make(
            "sample",
            lambda inputs, condition: self.law.sample(inputs["seed"], condition, self.examples.length),
            {"seed": spec("seed", (2,), tf.int32)},
            ("value", self.event_shape, "a draw for each row, a function of its seed and its condition"),
        )

    def sample_from_noise(self) -> Signature:
        specs = {"noise": spec("noise", (self.num_sites, self.dist.head.noise_size))}
        if self.law.num_members > 1:
            specs["member_noise"] = spec("member_noise", ())

        def draw(inputs: Inputs, condition: Any) -> tf.Tensor:
            inside = {name: tf.clip_by_value(inputs[name], np.finfo(np.float32).tiny, _LARGEST_NOISE) for name in specs}
            value = self.law.sample_from_noise(inside["noise"], condition, inside.get("member_noise"))
            valid = [rows_where(tf.logical_and(inputs[name] >= 0.0, inputs[name] <= 1.0)) for name in specs]
            return nan_unless(valid, value)

        output = ("value", self.event_shape, "a draw for each row, a function of its noise and its condition")
        return self._make("sample_from_noise", draw, specs, output)

    def complete(self) -> Signature:
        return self._make(
            "complete",
            lambda inputs, condition: self.law.complete(
                inputs["seed"], inputs["value"], self._marks(inputs), condition
            ),
            {
                "value": self._event("value"),
                "observed": self._event("observed"),
                "seed": spec("seed", (2,), tf.int32),
            },
            (
                "value",
                self.event_shape,
                "the row with draws in place of the values that are not observed; NaN if the order does not allow the pattern",
            ),
        )

    def _event(self, name: str) -> tf.TensorSpec:
        return spec(name, self.event_shape)

    def _marks(self, inputs: Inputs) -> tf.Tensor:
        """Returns which sites are observed, bool `[B, num_sites]`: those with all values observed."""
        observed, size = inputs["observed"], math.prod(self.dist.head.site_shape)
        num_sites = tf.reduce_prod(tf.shape(observed)[1:]) // size if self.num_sites is None else self.num_sites
        shape = [tf.shape(observed)[0], num_sites, size]
        return tf.reduce_all(tf.reshape(observed, shape) > 0.0, axis=-1)

    def _make(
        self, name: str, compute: Any, specs: dict[str, tf.TensorSpec], output: tuple[str, tuple[int, ...], str]
    ) -> Signature:
        key, shape, meaning = output

        def computed(inputs: Inputs, condition: Any) -> dict[str, tf.Tensor]:
            return {key: compute(inputs, condition)}

        def example(seed: int) -> Example:
            batch = self.examples.batch(seed)
            inputs = {name: batch.inputs[name] for name in [*specs, *named_condition(batch.condition)]}
            return Example(inputs, {key: self.examples.live(name, seed)}, None if key == "value" else batch.scale)

        outputs = {key: Output(shape, meaning)}
        return make_signature(computed, specs, outputs, self.dist.conditional_shape, example)


class _Batch(NamedTuple):
    """Rows that every signature accepts: draws of the distribution, and a pattern of observed sites that is allowed."""

    inputs: dict[str, NDArray]
    condition: Any
    scale: NDArray


class _Examples:
    """Results of the public methods of a distribution for a few rows.

    Row i of `dist.sample(n, seed)` is the draw of `row_seeds(seed, n)[i]`, and so is that of `dist.complete`.
    """

    def __init__(self, dist: Any) -> None:
        self.dist = dist.copy(jit_compile=False)
        self.event_shape = tuple(size or EXAMPLE_LENGTH for size in dist.event_shape.as_list())
        self.num_sites = _num_sites(dist, self.event_shape)
        self.length = self.event_shape[0] if dist.law.network.num_sites is None else None
        self.batch = functools.cache(self._batch)
        self.live = functools.cache(self._live)

    def _batch(self, seed: int) -> _Batch:
        condition = example_condition(self.dist.conditional_shape, ROWS, seed, self.length)
        # These draws must not use `seeds`, because a completion would then draw the same missing values again.
        value = self._sample(seed + 2**16, condition)
        seeds = random.row_seeds(seed, ROWS)
        inputs = {
            "value": value,
            "observed": self._first_half(),
            "seed": seeds.numpy(),
            "noise": self.dist.law.uniform_noise(seeds, self.num_sites).numpy(),
            "member_noise": random.uniform(seeds, 1, random.Stream.MEMBER).numpy()[:, 0],
            **named_condition(condition),
        }
        shares = np.asarray(self.dist.site_log_probs(value, conditional_input=condition))
        return _Batch(inputs, condition, np.maximum(1.0, np.abs(shares).sum(axis=1)))

    def _live(self, name: str, seed: int) -> NDArray:
        inputs, condition, _ = self.batch(seed)
        value, observed = inputs["value"], inputs["observed"]
        if name in ("sample", "sample_from_noise"):
            return self._sample(seed, condition)
        if name == "log_prob":
            result = self.dist.log_prob(value, conditional_input=condition)
        elif name == "observed_log_prob":
            result = self.dist.log_prob(value, conditional_input=condition, observed=observed)
        elif name == "site_log_probs":
            result = self.dist.site_log_probs(value, conditional_input=condition)
        else:
            result = self.dist.complete(value, observed, seed=seed, conditional_input=condition)
        return np.asarray(result)

    def _sample(self, seed: int, condition: Any) -> NDArray:
        if condition is None:
            return np.asarray(self.dist.sample(ROWS, seed=seed, length=self.length))
        return np.asarray(self.dist.sample(1, seed=seed, conditional_input=condition, length=self.length))[0]

    def _first_half(self) -> NDArray[np.float32]:
        """Marks the sites of the first half of the steps as observed, or none if the orders of the members differ."""
        law = self.dist.law
        if law.orders is not None:
            steps = np.argsort(np.asarray(law.orders)[0])
        elif law.network.step_of_site is not None:
            steps = np.asarray(law.network.step_of_site)[0]
        else:
            steps = np.arange(self.num_sites) // law.network.sites_per_step
        marks = np.tile(steps < np.sort(steps)[self.num_sites // 2], [ROWS, 1])
        if not np.all(law.allows(tf.constant(marks))):
            marks[:] = False
        size = math.prod(self.dist.head.site_shape)
        return np.repeat(marks, size, axis=1).reshape(ROWS, *self.event_shape).astype(np.float32)


def _num_sites(dist: Any, event_shape: tuple[Any, ...]) -> Any:
    return None if None in event_shape else math.prod(event_shape) // math.prod(dist.head.site_shape)
