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
_SEED = tf.TensorSpec([2], tf.int32)


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
        settings = (*static.items(), *arguments.items())
        size = self._padded_size(count, self._sizes.setdefault((name, jit_compile, seed is not None, *settings), set()))
        shapes = [tuple(tensor.shape.as_list()[1:]) for tensor in tensors]  # A TensorShape is slow to slice.
        shared = [tuple(tensor.shape.as_list()) for tensor in options.values()]
        absent = [row is None for row in rows]
        key = (name, jit_compile, seed is not None, size, *settings, *absent, *shapes, *options, *shared)
        if key in self._functions:
            self._functions.move_to_end(key)
        else:
            specs = [tf.TensorSpec([size, *shape], t.dtype) for t, shape in zip(tensors, shapes, strict=True)]
            inputs = [*([] if seed is None else [_SEED]), *map(tf.TensorSpec.from_tensor, options.values()), *specs]
            function = self._flat_function(name, rows, options, static, arguments, None if seed is None else size)
            with tf.init_scope():  # In a graph of its own, whatever graph the call is in.
                compiled = tf.function(function, jit_compile=jit_compile, autograph=False)
                self._functions[key] = compiled.get_concrete_function(*inputs)
            if len(self._functions) > MAX_FUNCTIONS:
                self._functions.popitem(last=False)
        function = self._functions[key]
        if size != count:
            tensors = [tf.concat([tensor, _filler(tensor, size - count)], 0) for tensor in tensors]
        outputs = private.call_concrete(function, [*([] if seed is None else [seed]), *options.values(), *tensors])
        if size == count:
            return outputs
        return keras.tree.map_structure(lambda t: t[:count] if t.shape.rank else t, outputs)

    def _flat_function(
        self,
        name: str,
        rows: Sequence[Any],
        options: Mapping[str, tf.Tensor],
        static: Mapping[str, Any],
        arguments: Mapping[str, Any],
        num_seeds: int | None,
    ) -> Any:
        """Returns the call as a function of tensors alone: the seed if there are seeds, the options and the rows."""
        given_rows = [row for row in rows if row is not None]
        absent, names = [row is None for row in rows], list(options)

        def function(*given: tf.Tensor) -> Any:
            flat = list(given)
            seeds = [] if num_seeds is None else [random.row_seeds(flat.pop(0), num_seeds)]
            law = self._law.with_options(**{option: flat.pop(0) for option in names}, **static)
            packed = iter(keras.tree.pack_sequence_as(given_rows, flat))
            return getattr(law, name)(*seeds, *[None if skip else next(packed) for skip in absent], **arguments)

        return function

    def _padded_size(self, count: int, sizes: set[int]) -> int:
        if count == 0:
            return 1
        if count in sizes:
            return count
        if len(sizes) < EXACT_SIZES:
            sizes.add(count)
            return count
        return 1 << (count - 1).bit_length()


def _filler(rows: tf.Tensor, count: int) -> tf.Tensor:
    """Returns padding rows, whose results are dropped: copies of the first row, or zeros if there is none."""
    return tf.repeat(rows[:1], count, axis=0) if len(rows) else tf.zeros([count, *rows.shape[1:]], rows.dtype)
