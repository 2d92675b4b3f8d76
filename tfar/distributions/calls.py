"""Eager calls of the functions of a law, which are compiled once and shared by all copies of a distribution."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfar import forks, private, random

# Largest number of compiled functions per distribution. Beyond it, the least recently used one is dropped.
MAX_FUNCTIONS = 128
# How many different numbers of rows are compiled exactly, for each function; later ones are padded to a power of two.
EXACT_SIZES = 4


class CompiledCalls:
    """Compiles the functions of a law for eager calls.

    A function is compiled for a number of rows. After the first few numbers of rows, later ones are padded to a power
    of two, so that calls of many sizes share few compilations; the result of a row does not depend on the other rows.
    Options of the law, such as the temperature, are inputs of the compiled function.

    A call under a gradient tape runs as a plain graph, because XLA cannot pass the intermediate values of a loop to the
    gradient. AutoGraph is disabled, as in the `fit` method of Keras.

    Args:
        law: the law. Copies of a distribution pass different options of the same law with each call.
    """

    def __init__(self, law: Any) -> None:
        self._law = law
        self._functions: OrderedDict[Any, Any] = OrderedDict()
        self._calls: OrderedDict[Any, tuple[int, Any]] = OrderedDict()
        self._sizes: dict[Any, set[int]] = {}

    def __call__(
        self,
        name: str,
        rows: Sequence[Any],
        *,
        options: Mapping[str, tf.Tensor],
        static: Mapping[str, Any],
        arguments: Mapping[str, Any],
        jit_compile: bool,
        seed: tf.Tensor | None = None,
        count: int | None = None,
    ) -> Any:
        """Returns `law.<name>(*rows, **arguments)` for batch-first tensors.

        Args:
            name: str. A function of the law.
            rows: tensors `[count, ...]`, dicts of them, or None.
            options: tensors for `law.with_options`.
            static: options that are not tensors.
            arguments: arguments of the function that are not tensors.
            jit_compile: bool. Compile with XLA; otherwise run as a plain graph.
            seed: None, or int32 `[2]`: the function takes a seed for each row before `rows`.
            count: None, or the number of rows if it does not follow from a tensor.
        """
        forks.check_not_forked()
        tensors = keras.tree.flatten([row for row in rows if row is not None])
        count = len(tensors[0]) if count is None else count
        jit_compile = jit_compile and not private.is_recorded()
        shapes = tuple(tuple(tensor.shape.as_list()) for tensor in tensors)
        absent = tuple(row is None for row in rows)
        others = tuple(tuple(tensor.shape.as_list()) for tensor in options.values())
        key = (name, jit_compile, seed is not None, count, shapes, absent, *options, others)
        key = (*key, *static.items(), *arguments.items())
        found = self._calls.get(key)
        if found is None:
            found = self._prepare(name, rows, tensors, options, static, arguments, jit_compile, seed is not None, count)
            _keep(self._calls, key, found)
        else:
            self._calls.move_to_end(key)
        size, function = found
        if size != count:
            tensors = [tf.concat([tensor, _filler(tensor, size - count)], 0) for tensor in tensors]
        outputs = private.call_concrete(function, [*([] if seed is None else [seed]), *options.values(), *tensors])
        if size == count:
            return outputs
        return keras.tree.map_structure(lambda t: t[:count] if t.shape.rank else t, outputs)

    def _prepare(
        self,
        name: str,
        rows: Sequence[Any],
        tensors: Sequence[tf.Tensor],
        options: Mapping[str, tf.Tensor],
        static: Mapping[str, Any],
        arguments: Mapping[str, Any],
        jit_compile: bool,
        is_seeded: bool,
        count: int,
    ) -> tuple[int, Any]:
        """Returns the number of rows that a call is padded to, and the compiled function of that number."""
        verb = (name, jit_compile, is_seeded, *static.items(), *arguments.items())
        size = self._padded_size(count, self._sizes.setdefault(verb, set()))
        specs = [tf.TensorSpec([size, *tensor.shape[1:]], tensor.dtype) for tensor in tensors]
        shared = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in options.values()]
        key = (*verb, size, *specs, *options, *shared, *[row is None for row in rows])
        if key not in self._functions:
            inputs = [*([tf.TensorSpec([2], tf.int32)] if is_seeded else []), *shared, *specs]

            def from_flat(*given: tf.Tensor) -> Any:
                flat = list(given)
                seeds = [random.row_seeds(flat.pop(0), size)] if is_seeded else []
                own = {option: flat.pop(0) for option in options}
                packed = iter(keras.tree.pack_sequence_as([row for row in rows if row is not None], flat))
                law = self._law.with_options(**own, **static)
                given_rows = [None if row is None else next(packed) for row in rows]
                return getattr(law, name)(*seeds, *given_rows, **arguments)

            with tf.init_scope():
                function = tf.function(from_flat, jit_compile=jit_compile, autograph=False)
                _keep(self._functions, key, function.get_concrete_function(*inputs))
        return size, self._functions[key]

    def _padded_size(self, count: int, sizes: set[int]) -> int:
        if count == 0:
            return 1
        if count in sizes:
            return count
        if len(sizes) < EXACT_SIZES:
            sizes.add(count)
            return count
        return 1 << (count - 1).bit_length()


def _keep(table: OrderedDict, key: Any, value: Any) -> None:
    """Adds an entry to a table and drops the least recently used one beyond `MAX_FUNCTIONS`."""
    table[key] = value
    if len(table) > MAX_FUNCTIONS:
        table.popitem(last=False)


def _filler(rows: tf.Tensor, count: int) -> tf.Tensor:
    """Returns padding rows, whose results are dropped: copies of the first row, or zeros if there is none."""
    return tf.repeat(rows[:1], count, axis=0) if len(rows) else tf.zeros([count, *rows.shape[1:]], rows.dtype)
