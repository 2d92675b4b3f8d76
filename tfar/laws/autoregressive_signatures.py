"""Signatures of an autoregressive distribution, with examples computed by its public methods."""

import functools
import math
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import random
from tfar.laws.bad_rows import nan_unless, rows_where
from tfar.laws.signature import (
    Inputs,
    Signature,
    Signatures,
    example_condition,
    named_condition,
    spec,
    unnamed_condition,
)
from tfar.laws.streaming_signatures import streaming_signatures

ROWS, EXAMPLE_LENGTH = 3, 4
_LARGEST_NOISE = 1.0 - 2.0**-24


def autoregressive_signatures(dist: Any) -> dict[str, Signature]:
    """Creates the signatures of an autoregressive distribution.

    Args:
        dist: the distribution, without a bound condition.

    Returns:
        `log_prob`, `site_log_probs`, `observed_log_prob`, `sample`, `sample_from_noise` and `complete`. Distributions
        over events of any length have no `sample`, because a request does not specify a length; for them,
        `sample_from_noise` draws as many sites as the noise has, and `start`, `step` and `step_chunk` draw entries on
        request (see `streaming_signatures`).
    """
    examples = Examples(dist.copy(jit_compile=False))
    event, head = tuple(dist.event_shape.as_list()), dist.head
    specs = {
        "value": spec("value", event),
        "observed": spec("observed", event),
        "seed": spec("seed", (2,), tf.int32),
        "noise": spec("noise", (dist.num_sites, head.noise_size)),
        "member_noise": spec("member_noise", ()),
    }
    make = Signatures(specs, dist.conditional_shape, examples.rows)
    made = {**_scores(dist, examples, make), **_draws(dist, examples, make)}
    if dist.num_sites is None:
        del made["sample"]
    return {**made, **streaming_signatures(dist)}


def _scores(dist: Any, examples: "Examples", make: Signatures) -> dict[str, Signature]:
    law, live, scale = dist.law, examples.dist, lambda seed, _: examples.scale(seed)
    return {
        "log_prob": make(
            ["value"],
            ("log_prob", (), "log-probability of the row, in nats"),
            lambda given, condition: law.log_prob(given["value"], condition),
            lambda given, condition, _: live.log_prob(given["value"], conditional_input=condition),
            scale,
        ),
        "site_log_probs": make(
            ["value"],
            (
                "site_log_probs",
                (dist.num_sites,),
                "the share of each site in the log-probability, in raster order; the shares sum to it",
            ),
            lambda given, condition: law.site_log_probs(given["value"], condition),
            lambda given, condition, _: live.site_log_probs(given["value"], conditional_input=condition),
            scale,
        ),
        "observed_log_prob": make(
            ["value", "observed"],
            (
                "log_prob",
                (),
                "log-probability of the observed sites, in nats; NaN if the order does not allow the pattern",
            ),
            lambda given, condition: law.log_prob(given["value"], condition, observed_sites(dist, given["observed"])),
            lambda given, condition, _: live.log_prob(
                given["value"], conditional_input=condition, observed=given["observed"]
            ),
            scale,
        ),
    }


def _draws(dist: Any, examples: "Examples", make: Signatures) -> dict[str, Signature]:
    law, event = dist.law, tuple(dist.event_shape.as_list())
    noises = ["noise", "member_noise"][: 2 if law.num_members > 1 else 1]

    def from_noise(given: Inputs, condition: Any) -> tf.Tensor:
        inside = [tf.clip_by_value(given[name], np.finfo(np.float32).tiny, _LARGEST_NOISE) for name in noises]
        value = law.sample_from_noise(inside[0], condition, *inside[1:])
        for name in noises:
            value = nan_unless(rows_where(tf.logical_and(given[name] >= 0.0, given[name] <= 1.0)), value)
        return value

    def sampled(given: Any, condition: Any, seed: int) -> Any:
        return examples.sample(seed, condition)

    return {
        "sample": make(
            ["seed"],
            ("value", event, "a draw for each row, a function of its seed and its condition"),
            lambda given, condition: law.sample(given["seed"], condition, examples.length),
            sampled,
        ),
        "sample_from_noise": make(
            noises,
            ("value", event, "a draw for each row, a function of its noise and its condition"),
            from_noise,
            sampled,
        ),
        "complete": make(
            ["value", "observed", "seed"],
            (
                "value",
                event,
                "the row with draws in place of the values that are not observed; NaN if the order does not allow the pattern",
            ),
            lambda given, condition: law.complete(
                given["seed"], given["value"], observed_sites(dist, given["observed"]), condition
            ),
            lambda given, condition, seed: examples.dist.complete(
                given["value"], given["observed"], seed=seed, conditional_input=condition
            ),
        ),
    }


def observed_sites(dist: Any, observed: tf.Tensor) -> tf.Tensor:
    """Returns which sites are observed, bool `[B, num_sites]`: those with all values observed."""
    count = -1 if dist.num_sites is None else dist.num_sites
    shape = [tf.shape(observed)[0], count, math.prod(dist.head.site_shape)]
    return tf.reduce_all(tf.reshape(observed, shape) > 0.0, axis=-1)


class Examples:
    """Rows that every signature accepts: draws of the distribution, and a pattern of observed sites that is allowed.

    Row i of `dist.sample(n, seed)` is the draw of `row_seeds(seed, n)[i]`, and so is that of `dist.complete`.
    """

    def __init__(self, dist: Any) -> None:
        self.dist = dist
        self.event_shape = tuple(size or EXAMPLE_LENGTH for size in dist.event_shape.as_list())
        self.num_sites = math.prod(self.event_shape) // math.prod(dist.head.site_shape)
        self.length = self.event_shape[0] if dist.law.network.num_sites is None else None
        self.rows, self.scale = functools.cache(self._rows), functools.cache(self._scale)

    def _rows(self, seed: int) -> dict[str, NDArray]:
        condition = example_condition(
            self.dist.conditional_shape, ROWS, seed, self.length, self.dist.network.num_condition_values
        )
        seeds = random.row_seeds(seed, ROWS)
        return {
            # These draws must not use `seeds`, because a completion would then draw the same missing values again.
            "value": np.asarray(self.sample(seed + 2**16, condition)),
            "observed": self._first_half(),
            "seed": seeds.numpy(),
            "noise": self.dist.law.uniform_noise(seeds, self.num_sites).numpy(),
            "member_noise": self.dist.law.member_noise(seeds).numpy(),
            **named_condition(condition),
        }

    def _scale(self, seed: int) -> NDArray:
        rows = self.rows(seed)
        condition = unnamed_condition(rows, self.dist.conditional_shape)
        shares = np.asarray(self.dist.site_log_probs(rows["value"], conditional_input=condition))
        return np.maximum(1.0, np.abs(shares).sum(axis=1))

    def sample(self, seed: int, condition: Any) -> tf.Tensor:
        if condition is None:
            return self.dist.sample(ROWS, seed=seed, length=self.length)
        return self.dist.sample(1, seed=seed, conditional_input=condition, length=self.length)[0]

    def _first_half(self) -> NDArray[np.float32]:
        """Marks the sites of the first half of the steps as observed, or none if the orders of the members differ."""
        law = self.dist.law
        steps = np.asarray(law.member(0).step_of_site_of_rows(1, self.num_sites))[0]
        marks = np.tile(steps < np.sort(steps)[self.num_sites // 2], [ROWS, 1])
        if not np.all(law.allows(tf.constant(marks))):
            marks[:] = False
        size = math.prod(self.dist.head.site_shape)
        return np.repeat(marks, size, axis=1).reshape(ROWS, *self.event_shape).astype(np.float32)
