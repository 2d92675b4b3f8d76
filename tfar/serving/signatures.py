"""The signatures of an exported model: what a request holds and what it gets back.

The batch is the first axis of every input and output, and a row's result does not depend on the rows beside it, so that
a server may batch requests. A row that holds something impossible is NaN, and only that row.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfar.distributions import Autoregressive

_LARGEST_NOISE = 1.0 - 2.0**-24

Inputs = dict[str, Any]


@dataclass(frozen=True)
class Signature:
    """A function from named batch-first tensors to one named batch-first tensor.

    Attributes:
        function: takes the inputs by name, returns `{output: tensor}`; plain operations alone.
        inputs: specification of each input, its first axis None.
        output: name of the output.
        meanings: what each of the `inputs` and `outputs` is, for the reader of an exported model.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: dict[str, tf.TensorSpec]
    output: str
    meanings: dict[str, dict[str, str]]

    def concrete(self) -> Any:
        """Traces the function for any batch size."""
        return tf.function(self.function, autograph=False).get_concrete_function(**self.inputs)


def signatures(dist: Autoregressive) -> dict[str, Signature]:
    """The signatures of a distribution, by name; `serving_default` is `log_prob`.

    Args:
        dist: a distribution whose condition is not bound.

    Returns:
        `serving_default`, `log_prob`, `site_log_probs`, `sample`, `sample_from_noise` and `complete`.

    Raises:
        ValueError: If it is no tfar distribution, or its condition is bound.

    Example:
        >>> sorted(signatures(tfar.MADE([4], [8]))["complete"].inputs)
        ['observed', 'seed', 'value']
    """
    if not isinstance(dist, Autoregressive):
        raise ValueError(f"Expected a tfar distribution; received {type(dist).__name__}.")
    if dist.bound_condition is not None:
        raise ValueError(
            "Expected a distribution whose condition is not bound, as it is an input of every signature: export "
            "the distribution that `given` was called on, and send the condition with each request."
        )
    parts = _Parts(dist)
    made = {
        "log_prob": parts.log_prob(),
        "site_log_probs": parts.site_log_probs(),
        "sample": parts.sample(),
        "sample_from_noise": parts.sample_from_noise(),
        "complete": parts.complete(),
    }
    return {"serving_default": made["log_prob"], **made}


class _Parts:
    """Builds the signatures of one distribution."""

    def __init__(self, dist: Autoregressive) -> None:
        self.dist = dist
        self.density = dist.law
        self.event_shape = tuple(dist.network.event_shape)
        self.condition_specs = _condition_specs(dist.conditional_shape)

    def log_prob(self) -> Signature:
        return self._signature(
            lambda inputs, condition: self.density.log_prob(inputs["value"], condition),
            {"value": self._event("value")},
            ("log_prob", ()),
            "log-probability of the row, in nats",
        )

    def site_log_probs(self) -> Signature:
        return self._signature(
            lambda inputs, condition: self.density.site_log_probs(inputs["value"], condition),
            {"value": self._event("value")},
            ("site_log_probs", (self.dist.num_sites,)),
            "each site's share of the log-probability, in raster order; they sum to it",
        )

    def sample(self) -> Signature:
        return self._signature(
            lambda inputs, condition: self.density.sample(inputs["seed"], condition),
            {"seed": _spec("seed", (2,), tf.int32)},
            ("value", self.event_shape),
            "a draw for each row, a function of its seed and its condition alone",
        )

    def sample_from_noise(self) -> Signature:
        noise = {"noise": _spec("noise", (self.dist.num_sites, self.dist.head.noise_size))}
        if self.dist.num_members > 1:
            noise["member_noise"] = _spec("member_noise", ())

        def draw(inputs: Inputs, condition: Any) -> tf.Tensor:
            inside = {name: tf.clip_by_value(inputs[name], np.finfo(np.float32).tiny, _LARGEST_NOISE) for name in noise}
            value = self.density.sample_from_noise(inside["noise"], condition, inside.get("member_noise"))
            valid = [_rows_where(tf.logical_and(inputs[name] >= 0.0, inputs[name] <= 1.0)) for name in noise]
            return _nan_unless(_all(valid), value)

        return self._signature(draw, noise, ("value", self.event_shape), "a draw for each row, a function of its noise")

    def complete(self) -> Signature:
        inputs = {
            "value": self._event("value"),
            "observed": self._event("observed"),
            "seed": _spec("seed", (2,), tf.int32),
        }

        def draw(inputs: Inputs, condition: Any) -> tf.Tensor:
            size = math.prod(self.dist.head.site_shape)
            marks = tf.reshape(inputs["observed"], [-1, self.dist.num_sites, size]) > 0.0
            return self.density.complete(inputs["seed"], inputs["value"], tf.reduce_all(marks, axis=-1), condition)

        return self._signature(
            draw,
            inputs,
            ("value", self.event_shape),
            "the row with what is not observed drawn; NaN if the order forbids it",
        )

    def _event(self, name: str) -> tf.TensorSpec:
        return _spec(name, self.event_shape)

    def _signature(
        self,
        compute: Callable[[Inputs, Any], tf.Tensor],
        inputs: dict[str, tf.TensorSpec],
        output: tuple[str, tuple[int, ...]],
        meaning: str,
    ) -> Signature:
        """Adds the condition to the inputs, and NaN for rows whose condition is not finite."""
        name, shape = output

        def function(**given: tf.Tensor) -> dict[str, tf.Tensor]:
            given = _checked(given, specs)
            result = compute(given, self._condition(given))
            finite = [_rows_where(tf.abs(given[key]) <= tf.float32.max) for key in self.condition_specs]
            result = _nan_unless(_all(finite), result) if finite else result
            result.set_shape([None, *shape])
            return {name: result}

        specs = {**inputs, **self.condition_specs}
        meanings = {"inputs": {key: _meaning(key) for key in specs}, "outputs": {name: meaning}}
        return Signature(function, specs, name, meanings)

    def _condition(self, given: Inputs) -> Any:
        shape = self.dist.conditional_shape
        if isinstance(shape, dict):
            return {name: given[f"conditional_{name}"] for name in shape}
        return given.get("conditional_input")


def _condition_specs(shape: Any) -> dict[str, tf.TensorSpec]:
    if shape is None:
        return {}
    if isinstance(shape, dict):
        return {f"conditional_{name}": _spec(f"conditional_{name}", tuple(shape[name])) for name in shape}
    return {"conditional_input": _spec("conditional_input", tuple(shape))}


def _spec(name: str, shape: tuple[int, ...], dtype: tf.DType = tf.float32) -> tf.TensorSpec:
    return tf.TensorSpec([None, *shape], dtype, name=name)


def _meaning(name: str) -> str:
    meanings = {
        "value": "the event, as numbers; rows outside the support give NaN",
        "observed": "1 where the value is observed and 0 where it is to be drawn; what is not observed is ignored",
        "seed": "two 32-bit integers for each row; equal seeds and conditions give equal draws",
        "noise": "uniform numbers for each site, in raster order; outside 0 .. 1 they give NaN",
        "member_noise": "a uniform number for each row, which selects the member of the ensemble",
    }
    return meanings.get(name, "what the model is conditioned on; rows that are not finite give NaN")


def _checked(given: Inputs, specs: dict[str, tf.TensorSpec]) -> Inputs:
    """Fails at run time where an input has another shape, or other rows than the first.

    Servers feed what clients send: an event of twice the size would be answered as two rows, and a single row would be
    taken for all.
    """
    checked = {name: tf.ensure_shape(given[name], spec.shape) for name, spec in specs.items()}
    if len(checked) == 1:
        return checked
    rows = tf.stack([tf.shape(value)[0] for value in checked.values()])
    data = [f"Expected the same number of rows in {', '.join(specs)}; received", rows]
    equal = tf.raw_ops.Assert(condition=tf.reduce_all(rows == rows[0]), data=data, summarize=len(specs))
    with tf.control_dependencies([equal]):
        return {name: tf.identity(value) for name, value in checked.items()}


def _rows_where(elements: tf.Tensor) -> tf.Tensor:
    """Whether all elements of a row hold, bool `[B]`."""
    return elements if elements.shape.rank == 1 else tf.reduce_all(elements, axis=list(range(1, elements.shape.rank)))


def _all(rows: list[tf.Tensor]) -> tf.Tensor:
    result = rows[0]
    for other in rows[1:]:
        result = tf.logical_and(result, other)
    return result


def _nan_unless(valid: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    valid = tf.reshape(valid, [-1] + [1] * (values.shape.rank - 1))
    return tf.where(valid, values, tf.constant(float("nan"), tf.float32))
