"""From TFP's shapes to flat batches and back: `[*lead, *event]` to `[B, *event]`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar import random

Shape = tuple[int, ...]


def as_float(value: Any, name: str) -> tf.Tensor:
    """Casts numbers and booleans to float32.

    Raises:
        ValueError: If the value is not made of numbers.
    """
    try:
        tensor = value if isinstance(value, tf.Tensor) else tf.convert_to_tensor(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Expected `{name}` to be numbers of one shape; received {type(value).__name__}: {error}"
        ) from error
    if not (tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool):
        raise ValueError(f"Expected `{name}` to be real numbers; received dtype {tensor.dtype.name}.")
    return tensor if tensor.dtype == tf.float32 else tf.cast(tensor, tf.float32)


def check_trailing(tensor: tf.Tensor, shape: Shape, name: str) -> tf.Tensor:
    """Returns the tensor with its trailing axes set to `shape`, or raises ValueError if they cannot be."""
    if tensor.shape.rank is None:
        raise ValueError(f"Expected `{name}` to have a known rank and to end with {list(shape)}; its rank is unknown.")
    lead, trailing = _split(tensor, shape)
    if trailing == shape:
        return tensor
    if len(trailing) != len(shape) or any(own not in (None, size) for own, size in zip(trailing, shape, strict=True)):
        raise ValueError(f"Expected `{name}` to have shape [..., {_listed(shape)}]; received {tensor.shape.as_list()}.")
    return tf.ensure_shape(tensor, [*lead, *shape])


def is_flat(tensor: tf.Tensor, shape: Shape) -> bool:
    """Whether a tensor is known to be `[B, *shape]` already."""
    return bool(tensor.shape.rank) and tuple(tensor.shape.as_list()[1:]) == shape


def _split(tensor: tf.Tensor, shape: Shape) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The leading and the trailing sizes of a tensor `[..., *shape]`, None where unknown: a TensorShape is slow to slice."""
    sizes = tuple(tensor.shape.as_list())
    count = max(0, len(sizes) - len(shape))
    return sizes[:count], sizes[count:]


def _listed(shape: Shape) -> str:
    return ", ".join(map(str, shape))


def condition(value: Any, shape: Any) -> Any:
    """Checks a conditional input against `conditional_shape`, a shape or a dict of them; returns float32.

    Raises:
        ValueError: If one is missing, not asked for, or of another shape.
    """
    if shape is None:
        if value is not None:
            raise ValueError("Expected no `conditional_input`, as `conditional_shape` is None; received one.")
        return None
    if value is None:
        raise ValueError(f"Expected a `conditional_input` of shape [..., {shape}]; received None.")
    if not isinstance(shape, Mapping):
        if isinstance(value, Mapping):
            raise ValueError(f"Expected one `conditional_input` of shape {shape}; received a dict of {sorted(value)}.")
        return check_trailing(as_float(value, "conditional_input"), tuple(shape), "conditional_input")
    if not isinstance(value, Mapping) or sorted(value) != sorted(shape):
        received = sorted(value) if isinstance(value, Mapping) else type(value).__name__
        raise ValueError(f"Expected `conditional_input` to be a dict of {sorted(shape)}; received {received}.")
    return {
        name: check_trailing(as_float(value[name], f"conditional_input[{name!r}]"), tuple(shape[name]), name)
        for name in shape
    }


def condition_items(value: Any, shape: Any) -> list[tuple[tf.Tensor, Shape]]:
    """The tensors of a checked conditional input with their trailing shapes."""
    if value is None:
        return []
    if isinstance(shape, Mapping):
        return [(value[name], tuple(shape[name])) for name in shape]
    return [(value, tuple(shape))]


def pack_condition(flat: Sequence[tf.Tensor], shape: Any) -> Any:
    """The inverse of `condition_items`: a conditional input of its tensors."""
    if isinstance(shape, Mapping):
        return dict(zip(shape, flat, strict=True))
    return flat[0] if flat else None


def observed_sites(observed: Any, event_shape: Shape, num_sites: int) -> tf.Tensor:
    """Which sites are observed, bool `[..., num_sites]`: those whose values all are. Broadcasts to `[..., *event_shape]`."""
    observed = as_float(observed, "observed")
    lead = max(0, observed.shape.rank - len(event_shape))
    given, trailing = observed.shape[:lead], observed.shape[lead:]
    ends = zip(reversed(trailing), reversed(event_shape), strict=False)
    if not all(own in (None, 1, expected) for own, expected in ends):
        raise ValueError(
            f"Expected `observed` to broadcast to shape [..., {_listed(event_shape)}]; received {observed.shape.as_list()}."
        )
    observed = tf.broadcast_to(observed, tf.concat([tf.shape(observed)[:lead], list(event_shape)], 0))
    values = tf.reshape(observed, tf.concat([tf.shape(observed)[:lead], [num_sites, -1]], 0)) > 0.0
    return tf.ensure_shape(tf.reduce_all(values, axis=-1), [*given, num_sites])


def lead_shape(items: Sequence[tuple[tf.Tensor, Shape]]) -> Any:
    """The broadcast of the leading axes: a tuple of ints if they are known, else an int32 tensor."""
    static = [_split(tensor, shape)[0] for tensor, shape in items]
    if not any(None in sizes for sizes in static):
        try:
            return tuple(np.broadcast_shapes(*static)) if len(static) > 1 else static[0]
        except ValueError as error:
            raise ValueError(f"Expected leading axes that broadcast; received {[*map(list, static)]}.") from error
    lead = tf.constant([], tf.int32)
    for tensor, shape in items:
        lead = tf.broadcast_dynamic_shape(lead, tf.shape(tensor)[: tensor.shape.rank - len(shape)])
    return lead


def flatten(items: Sequence[tuple[tf.Tensor, Shape]], lead: Any) -> list[tf.Tensor]:
    """Broadcasts the leading axes of every tensor to `lead` and joins them into one batch axis."""
    flat, lead_rank = [], len(lead) if isinstance(lead, tuple) else lead.shape[0]
    for tensor, shape in items:
        own, _ = _split(tensor, shape)
        is_lead = isinstance(lead, tuple) and own == lead
        if not (is_lead or (len(items) == 1 and len(own) == lead_rank)):
            tensor = tf.broadcast_to(tensor, tf.concat([lead, list(shape)], 0) if shape else lead)
        flat.append(tensor if tensor.shape.rank == len(shape) + 1 else tf.reshape(tensor, [-1, *shape]))
    return flat


def unflatten(tensor: tf.Tensor, lead: Any) -> tf.Tensor:
    """Gives `[B, ...]` its leading axes back: `[*lead, ...]`."""
    if isinstance(lead, tuple) and len(lead) == 1:
        return tensor
    if isinstance(lead, tuple):
        return tf.reshape(tensor, [*lead, *tensor.shape[1:]])
    result = tf.reshape(tensor, tf.concat([lead, tf.shape(tensor)[1:]], 0))
    return tf.ensure_shape(result, [None] * lead.shape[0] + tensor.shape[1:].as_list())


class RowFunctions:
    """Calls functions of flat batches: plainly in a graph, compiled when called eagerly.

    An eager call compiles with XLA for its number of rows. After a few numbers of rows the next ones are padded to a power of
    two, so that calls of many sizes share few compilations; a row's result does not depend on the rows beside it.

    AutoGraph is off, as it is in Keras's `fit`: a first call is faster, and a network that trains needs none.

    Args:
        jit_compile: bool. Compile eager calls with XLA; otherwise they run as a plain graph.
    """

    exact_sizes = 6

    def __init__(self, jit_compile: bool = True) -> None:
        self.jit_compile = jit_compile
        self._calls: dict[Any, tuple[int, Any]] = {}
        self._concrete: dict[Any, Any] = {}
        self._sizes: dict[Any, set[int]] = {}

    def __call__(self, function: Callable, *rows: Any, **static: Any) -> Any:
        """Returns `function(*rows, **static)` for batch-first tensors, dicts of them or None."""
        if not tf.executing_eagerly():
            return function(*rows, **static)
        return self._call(function, None, len(_present(rows)[0]), rows, static)

    def seeded(self, function: Callable, seed: Any, count: int | tf.Tensor, *rows: Any, **static: Any) -> Any:
        """Returns `function(seeds, *rows, **static)` with the seed of each of `count` rows; see `tfar.random.row_seeds`.

        An eager call derives them in what it compiles: a call of their own would take as long as drawing many an event.
        """
        if not tf.executing_eagerly():
            return function(random.row_seeds(seed, count), *rows, **static)
        return self._call(function, random.as_seed(seed), int(count), rows, static)

    def _call(
        self, function: Callable, seed: tf.Tensor | None, count: int, rows: tuple[Any, ...], static: dict[str, Any]
    ) -> Any:
        inputs = _present(rows)
        shapes = [tuple(tensor.shape.as_list()) for tensor in inputs]
        key = (function.__name__, seed is not None, count, *shapes, *[row is None for row in rows], *static.items())
        if key not in self._calls:
            self._calls[key] = self._prepared(function, seed is not None, count, rows, static)
        size, compiled = self._calls[key]
        if size != count:
            inputs = [tf.concat([t, self._filler(t, size - count)], 0) for t in inputs]
        if seed is not None:
            inputs = [seed, *inputs]
        # What `compiled(*inputs)` comes to, less a binding of arguments that takes as long as a small model does.
        outputs = compiled._call_flat(inputs, compiled.captured_inputs)
        return (
            outputs if size == count else keras.tree.map_structure(lambda t: t[:count] if t.shape.rank else t, outputs)
        )

    def _prepared(
        self, function: Callable, is_seeded: bool, count: int, rows: tuple[Any, ...], static: dict[str, Any]
    ) -> tuple[int, Any]:
        """The number of rows that a call of `count` rows is padded to, and what is called with them."""
        name = (function.__name__, *sorted(static.items()))
        size = self._padded_size(count, self._sizes.setdefault(name, set()))
        specs = [tf.TensorSpec([size, *tensor.shape[1:]], tensor.dtype) for tensor in _present(rows)]
        key = (*name, is_seeded, size, *specs, *[row is None for row in rows])
        if key not in self._concrete:
            self._concrete[key] = self._compiled(function, is_seeded, size, rows, specs, static)
        return size, self._concrete[key]

    def _padded_size(self, count: int, sizes: set[int]) -> int:
        if count == 0:
            return 1
        if count in sizes:
            return count
        if len(sizes) < self.exact_sizes:
            sizes.add(count)
            return count
        return 1 << (count - 1).bit_length()

    @staticmethod
    def _filler(rows: tf.Tensor, count: int) -> tf.Tensor:
        """Rows to compute and throw away: the first one again, or zeros where there is none."""
        return tf.repeat(rows[:1], count, axis=0) if len(rows) else tf.zeros([count, *rows.shape[1:]], rows.dtype)

    def _compiled(
        self,
        function: Callable,
        is_seeded: bool,
        size: int,
        rows: tuple[Any, ...],
        specs: list[tf.TensorSpec],
        static: dict[str, Any],
    ) -> Any:
        """One function of flat tensors of these specs; if it is seeded, the first argument is the seed of all rows."""

        def from_flat(*tensors: tf.Tensor) -> Any:
            seeds = [random.row_seeds(tensors[0], size)] if is_seeded else []
            given = iter(keras.tree.pack_sequence_as([t for t in rows if t is not None], tensors[len(seeds) :]))
            return function(*seeds, *[None if t is None else next(given) for t in rows], **static)

        if is_seeded:
            specs = [tf.TensorSpec([2], tf.int32), *specs]
        with tf.init_scope():
            function_of_rows = tf.function(from_flat, jit_compile=self.jit_compile, autograph=False)
            return function_of_rows.get_concrete_function(*specs)


def _present(rows: tuple[Any, ...]) -> list[tf.Tensor]:
    """The tensors among rows of which some may be None or dicts."""
    present = [tensor for tensor in rows if tensor is not None]
    return present if all(isinstance(tensor, tf.Tensor) for tensor in present) else keras.tree.flatten(present)
