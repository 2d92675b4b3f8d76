"""Functions of many rows that are computed a chunk of rows at a time, so that what a row needs is never held for all rows."""

from collections.abc import Callable, Sequence

import tensorflow as tf

# Numbers that the intermediate results of a chunk may have: a few megabytes, which stay in the cache of a processor.
CHUNK_VALUES = 2**20


def in_chunks(
    function: Callable[..., tf.Tensor],
    params: tf.Tensor,
    others: Sequence[tf.Tensor],
    weights: Sequence[tf.Tensor],
    values_per_row: int,
) -> tf.Tensor:
    """Returns `function(params, *others, *weights)`, computed in chunks of rows and differentiable once.

    The gradient with respect to the parameters and the weights computes each chunk again, so that no tensor has
    `B * values_per_row` entries in either direction.

    Args:
        function: maps rows to float32 `[rows]`, each row by itself.
        params: float32 `[B, P]`.
        others: tensors `[B, ...]` that have no gradient.
        weights: float32 tensors that all rows share.
        values_per_row: int. Number of intermediate values of a row.
    """
    most = max(1, CHUNK_VALUES // values_per_row)
    if params.shape[0] is not None and params.shape[0] <= most:
        return function(params, *others, *weights)
    num_rows = tf.shape(params)[0]
    size = tf.minimum(tf.maximum(num_rows, 1), most)
    num_chunks = (num_rows + size - 1) // size

    def chunks(rows: tf.Tensor) -> tf.Tensor:
        padding = [[0, num_chunks * size - num_rows], *[[0, 0]] * (rows.shape.rank - 1)]
        return tf.reshape(tf.pad(rows, padding), tf.stack([num_chunks, size, *rows.shape[1:]]))

    fixed = [chunks(rows) for rows in others]

    @tf.custom_gradient
    def run(params: tf.Tensor, *weights: tf.Tensor) -> tuple[tf.Tensor, Callable[..., tuple[tf.Tensor, ...]]]:
        parts = chunks(params)

        def of_chunk(k: tf.Tensor, own: tf.Tensor, weights: Sequence[tf.Tensor]) -> tf.Tensor:
            return function(own, *[tf.gather(rows, k) for rows in fixed], *weights)

        def forward(k: tf.Tensor, results: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return k + 1, tf.tensor_scatter_nd_update(results, [[k]], of_chunk(k, tf.gather(parts, k), weights)[None])

        results = tf.zeros(tf.stack([num_chunks, size]))
        results = tf.while_loop(lambda k, _: k < num_chunks, forward, (tf.constant(0), results))[1]

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
            slopes = chunks(upstream)

            def backward(k: tf.Tensor, of_params: tf.Tensor, *of_weights: tf.Tensor) -> tuple:
                own = tf.gather(parts, k)
                with tf.GradientTape() as tape:
                    tape.watch([own, *weights])
                    result = of_chunk(k, own, weights)
                first, *rest = tape.gradient(result, [own, *weights], tf.gather(slopes, k))
                of_params = tf.tensor_scatter_nd_update(of_params, [[k]], first[None])
                return k + 1, of_params, *[total + one for total, one in zip(of_weights, rest, strict=True)]

            start = (tf.constant(0), tf.zeros_like(parts), *[tf.zeros_like(weight) for weight in weights])
            _, of_params, *of_weights = tf.while_loop(lambda k, *_: k < num_chunks, backward, start)
            return tf.reshape(of_params, [-1, of_params.shape[-1]])[:num_rows], *of_weights

        return tf.reshape(results, [-1])[:num_rows], gradient

    return run(params, *weights)
