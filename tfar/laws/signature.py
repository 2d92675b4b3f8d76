"""Signatures, which are the functions of a distribution that an exported model provides.

The batch is the first axis of every input and output, and a row of the result depends only on the same row of the inputs, so a
server may merge requests. A row with impossible values is NaN and does not affect the other rows.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import random
from tfar.laws.bad_rows import finite_rows, nan_unless

Inputs = dict[str, tf.Tensor]


class Example(NamedTuple):
    """Inputs of a signature and the outputs that public methods of the original distribution compute for them.

    Attributes:
        inputs: an array `[B, ...]` for each input.
        outputs: an array `[B, ...]` for each output.
        scale: float array `[B]`, to which the rounding errors of a row are relative; None if the outputs are draws.
    """

    inputs: dict[str, NDArray]
    outputs: dict[str, NDArray]
    scale: NDArray | None = None


class Signature(NamedTuple):
    """A function from named batch-first tensors to named batch-first tensors, in plain operations.

    Attributes:
        function: takes the inputs by name and returns a dict of the outputs.
        inputs: the specification of each input, its first axis None.
        outputs: the meaning of each output.
        meanings: the meaning of each input.
        example: returns an `Example` for an int seed, with which an export is compared.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: dict[str, tf.TensorSpec]
    outputs: dict[str, str]
    meanings: dict[str, str]
    example: Callable[[int], Example]

    def concrete(self) -> Any:
        """Traces the function for any batch size."""
        return tf.function(self.function, autograph=False).get_concrete_function(**self.inputs)


class Output(NamedTuple):
    """The shape of one row of an output and its meaning."""

    shape: tuple[int | None, ...]
    meaning: str


def make_signature(
    compute: Callable[[Inputs, Any], dict[str, tf.Tensor]],
    inputs: Mapping[str, tf.TensorSpec],
    outputs: Mapping[str, Output],
    conditional_shape: Any,
    example: Callable[[int], Example],
) -> Signature:
    """Creates a signature from a function of a flat batch.

    It adds the conditional input to the inputs, checks shapes at run time, and returns NaN for rows whose condition is not
    finite.

    Args:
        compute: takes the inputs by name and the conditional input, and returns the outputs.
        inputs: the specification of each input except the condition.
        outputs: the outputs.
        conditional_shape: None, a shape, or a dict of shapes.
        example: see `Signature`.

    Returns:
        The signature. A single condition is the input `conditional_input`; conditions in a dict are the inputs
        `conditional_<name>`.

    Example:
        >>> specs = {"value": spec("value", (2,))}
        >>> total = lambda inputs, condition: {"total": tf.reduce_sum(inputs["value"], axis=1)}
        >>> made = make_signature(total, specs, {"total": Output((), "the sum")}, None, None)
        >>> made.function(value=tf.ones([3, 2]))["total"].numpy().tolist()
        [2.0, 2.0, 2.0]
    """
    conditions = condition_specs(conditional_shape)
    specs = {**inputs, **conditions}

    def function(**given: tf.Tensor) -> dict[str, tf.Tensor]:
        given = _checked(given, specs)
        results = compute(given, unnamed_condition(given, conditional_shape))
        valid = finite_rows([given[name] for name in conditions] or None)
        results = {name: nan_unless(valid, t) if t.dtype.is_floating else t for name, t in results.items()}
        for name, result in results.items():
            result.set_shape([None, *outputs[name].shape])
        return results

    meanings = {name: _meaning(name) for name in specs}
    return Signature(function, specs, {name: output.meaning for name, output in outputs.items()}, meanings, example)


class Signatures(NamedTuple):
    """Makes signatures of one output whose examples share their rows.

    Attributes:
        specs: the specification of each input that a signature may take.
        conditional_shape: None, a shape, or a dict of shapes.
        rows: returns the inputs and the conditional inputs of the examples by name, for an int seed.
    """

    specs: Mapping[str, tf.TensorSpec]
    conditional_shape: Any
    rows: Callable[[int], dict[str, NDArray]]

    def __call__(
        self,
        inputs: Sequence[str],
        output: tuple[str, tuple[int | None, ...], str],
        compute: Callable[[Inputs, Any], tf.Tensor],
        live: Callable[[dict[str, NDArray], Any, int], Any],
        scale: Callable[[int, NDArray], NDArray] | None = None,
    ) -> Signature:
        """Creates a signature.

        Args:
            inputs: the names of its inputs.
            output: the name of the output, the shape of a row of it, and its meaning.
            compute: computes the output from the inputs by name and the conditional input.
            live: computes the output of an example by public methods of the distribution, from the rows, the
                conditional input and the seed.
            scale: None if the output is a draw; otherwise returns `Example.scale` for the seed and the output.
        """
        key, shape, meaning = output

        def example(seed: int) -> Example:
            rows = self.rows(seed)
            condition = unnamed_condition(rows, self.conditional_shape)
            result = np.asarray(live(rows, condition, seed))
            given = {name: rows[name] for name in [*inputs, *named_condition(condition)]}
            return Example(given, {key: result}, None if scale is None else scale(seed, result))

        return make_signature(
            lambda given, condition: {key: compute(given, condition)},
            {name: self.specs[name] for name in inputs},
            {key: Output(shape, meaning)},
            self.conditional_shape,
            example,
        )


def _meaning(name: str) -> str:
    if name.startswith("state_"):
        return "the state of the network, an output of the step before"
    return MEANINGS.get(name, "the conditional input; rows that are not finite give NaN")


MEANINGS = {
    "value": "the event; rows outside of the support give NaN",
    "observed": "1 where the value is observed and 0 elsewhere; values that are not observed are ignored",
    "seed": "two 32-bit integers for each row; equal seeds and conditions give equal draws",
    "noise": "uniform numbers for each site, in raster order; numbers outside of [0, 1] give NaN",
    "member_noise": "a uniform number for each row, which selects the member of the ensemble",
    "counts": "how often each word occurs; other numbers give NaN",
    "latent": "the latent",
    "index": "number of the entry of the sequence in each row, from 0",
    "previous": "the entry before; ignored at index 0",
    "length": "number of known entries of each row; later values are ignored",
}


def spec(name: str, shape: tuple[int | None, ...], dtype: tf.DType = tf.float32) -> tf.TensorSpec:
    """Returns the specification of an input with rows of this shape."""
    return tf.TensorSpec([None, *shape], dtype, name=name)


def condition_specs(shape: Any) -> dict[str, tf.TensorSpec]:
    """Returns the specifications of the conditional inputs of a `conditional_shape`."""
    if shape is None:
        return {}
    if isinstance(shape, Mapping):
        return {f"conditional_{name}": spec(f"conditional_{name}", tuple(shape[name])) for name in shape}
    return {"conditional_input": spec("conditional_input", tuple(shape))}


def named_condition(condition: Any) -> dict[str, Any]:
    """Returns the parts of a conditional input by the names of the inputs of a signature."""
    if condition is None:
        return {}
    if isinstance(condition, Mapping):
        return {f"conditional_{name}": part for name, part in condition.items()}
    return {"conditional_input": condition}


def unnamed_condition(given: Mapping[str, Any], shape: Any) -> Any:
    """Returns the conditional input from named inputs; inverts `named_condition`."""
    if isinstance(shape, Mapping):
        return {name: given[f"conditional_{name}"] for name in shape}
    return given.get("conditional_input")


def example_condition(shape: Any, num_rows: int, seed: int, length: Any = None, num_values: int | None = None) -> Any:
    """Draws a conditional input of normal numbers, float32 `[num_rows, ...]`, or None if there is no condition.

    `length` is the size of axes whose size is not fixed. With `num_values` K, the numbers are whole and from 0 to K - 1.
    """
    rng = random.numpy_generator(seed, random.Stream.EXAMPLES)

    def draw(sizes: list[int]) -> NDArray:
        drawn = rng.normal(size=sizes) if num_values is None else rng.integers(num_values, size=sizes)
        return drawn.astype(np.float32)

    drawn = {
        name: draw([num_rows, *[size or length for size in s.shape[1:]]]) for name, s in condition_specs(shape).items()
    }
    return unnamed_condition(drawn, shape)


def _checked(given: Inputs, specs: dict[str, tf.TensorSpec]) -> Inputs:
    """Raises at run time if the shape of an input differs from its specification or the numbers of rows differ.

    Servers do not check this. Without the check, an event of twice the size would be treated as two rows, and a single
    row would be broadcast.
    """
    checked = {name: tf.ensure_shape(given[name], spec.shape) for name, spec in specs.items()}
    if len(checked) == 1:
        return checked
    rows = tf.stack([tf.shape(value)[0] for value in checked.values()])
    data = [f"Expected the same number of rows in {', '.join(specs)}; received", rows]
    equal = tf.raw_ops.Assert(condition=tf.reduce_all(rows == rows[0]), data=data, summarize=len(specs))
    with tf.control_dependencies([equal]):
        return {name: tf.identity(value) for name, value in checked.items()}
