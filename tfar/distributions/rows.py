"""Conversion between the shapes of TFP, `[*lead, *event]`, and flat batches, `[B, *event]`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

Shape = tuple[int | None, ...]
# A tensor and the number of its trailing axes, which do not belong to the batch.
Item = tuple[tf.Tensor, int]


def as_float(value: Any, name: str) -> tf.Tensor:
    """Casts numbers and booleans to float32.

    Raises:
        ValueError: If the value does not consist of numbers.
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
    """Returns the tensor with its trailing axes set to `shape`, in which None means any size.

    Raises:
        ValueError: If the trailing axes differ.
    """
    if tensor.shape.rank is None:
        raise ValueError(f"Expected `{name}` to have a known rank and to end with {list(shape)}; its rank is unknown.")
    lead, trailing = _split(tensor, len(shape))
    if trailing == shape:
        return tensor
    fits = len(trailing) == len(shape) and all(
        None in (own, size) or own == size for own, size in zip(trailing, shape, strict=True)
    )
    if not fits:
        raise ValueError(f"Expected `{name}` to have shape [..., {_listed(shape)}]; received {tensor.shape.as_list()}.")
    known = [own if size is None else size for own, size in zip(trailing, shape, strict=True)]
    return tensor if tuple(known) == trailing else tf.ensure_shape(tensor, [*lead, *known])


def _split(tensor: tf.Tensor, rank: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Returns the leading and the `rank` trailing sizes of a tensor, None where a size is unknown."""
    sizes = tuple(tensor.shape.as_list())  # A TensorShape is slow to slice.
    count = max(0, len(sizes) - rank)
    return sizes[:count], sizes[count:]


def _listed(shape: Shape) -> str:
    return ", ".join(map(str, shape))


def condition(value: Any, shape: Any) -> Any:
    """Checks a conditional input against `conditional_shape`, a shape or a dict of shapes; returns float32.

    Raises:
        ValueError: If a condition is missing, is given to a model without one, or has a wrong shape.
    """
    if shape is None:
        if value is not None:
            raise ValueError("Expected no `conditional_input`, because `conditional_shape` is None; received one.")
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


def condition_items(value: Any, shape: Any) -> list[Item]:
    """Returns the tensors of a checked conditional input with their numbers of trailing axes."""
    if value is None:
        return []
    if isinstance(shape, Mapping):
        return [(value[name], len(shape[name])) for name in shape]
    return [(value, len(shape))]


def pack_condition(flat: Sequence[tf.Tensor], shape: Any) -> Any:
    """Packs tensors in the order of `condition_items` into a conditional input."""
    if isinstance(shape, Mapping):
        return dict(zip(shape, flat, strict=True))
    return flat[0] if flat else None


def site_marks(marks: Any, value: tf.Tensor, event_rank: int, site_rank: int, name: str) -> tf.Tensor:
    """Broadcasts numbers for the entries of an event to its sites: float32 `[..., num_sites, entries of a site]`.

    Args:
        marks: numbers that broadcast to `[..., *event_shape]`.
        value: `[..., *event_shape]`, whose trailing sizes are those of the events.
        event_rank, site_rank: int. Number of axes of an event and of a site.
        name: str. For the error.
    """
    marks = as_float(marks, name)
    expected, lead = _split(value, event_rank)[1], max(0, marks.shape.rank - event_rank)
    ends = zip(reversed(marks.shape.as_list()[lead:]), reversed(expected), strict=False)
    if not all(own in (None, 1, size) or size is None for own, size in ends):
        raise ValueError(
            f"Expected `{name}` to broadcast to shape [..., {_listed(expected)}]; received {marks.shape.as_list()}."
        )
    own_lead = tf.shape(marks)[:lead]
    sizes = list(expected) if None not in expected else tf.shape(value)[value.shape.rank - event_rank :]
    marks = tf.broadcast_to(marks, joined(own_lead, sizes))
    of_sites, of_site = expected[: event_rank - site_rank], expected[event_rank - site_rank :]
    count = -1 if None in of_sites else int(np.prod(of_sites, dtype=int))
    result = tf.reshape(marks, joined(own_lead, [count, int(np.prod(of_site, dtype=int))]))
    result.set_shape([*[None] * lead, None if count < 0 else count, int(np.prod(of_site, dtype=int))])
    return result


def lead_shape(items: Sequence[Item]) -> Any:
    """Returns the broadcast of the leading axes: a tuple of ints if they are known, else an int32 tensor."""
    static = [_split(tensor, rank)[0] for tensor, rank in items]
    if not any(None in sizes for sizes in static):
        try:
            return tuple(np.broadcast_shapes(*static)) if len(static) > 1 else static[0]
        except ValueError as error:
            raise ValueError(f"Expected leading axes that broadcast; received {[*map(list, static)]}.") from error
    lead = tf.constant([], tf.int32)
    for tensor, rank in items:
        lead = tf.broadcast_dynamic_shape(lead, tf.shape(tensor)[: tensor.shape.rank - rank])
    return lead


def flatten(items: Sequence[Item], lead: Any) -> list[tf.Tensor]:
    """Broadcasts the leading axes of every tensor to `lead` and joins them into one batch axis."""
    flat, lead_rank = [], len(lead) if isinstance(lead, tuple) else lead.shape[0]
    for tensor, rank in items:
        own, trailing = _split(tensor, rank)
        sizes = list(trailing) if None not in trailing else tf.shape(tensor)[tensor.shape.rank - rank :]
        is_lead = isinstance(lead, tuple) and own == lead
        if not (is_lead or (len(items) == 1 and len(own) == lead_rank)):
            tensor = tf.broadcast_to(tensor, joined(lead, sizes))
        if tensor.shape.rank != rank + 1:
            count = tf.reduce_prod(lead) if not isinstance(lead, tuple) else int(np.prod(lead, dtype=int))
            tensor = tf.reshape(tensor, joined([count], sizes))
        tensor.set_shape([None, *trailing])
        flat.append(tensor)
    return flat


def unflatten(tensor: tf.Tensor, lead: Any) -> tf.Tensor:
    """Splits the batch axis of `[B, ...]` into the leading axes: `[*lead, ...]`."""
    if isinstance(lead, tuple) and len(lead) == 1:
        return tensor
    trailing = tensor.shape[1:]
    sizes = trailing.as_list() if trailing.is_fully_defined() else tf.shape(tensor)[1:]
    result = tf.reshape(tensor, joined(lead, sizes))
    static = list(lead) if isinstance(lead, tuple) else [None] * lead.shape[0]
    result.set_shape([*static, *trailing])
    return result


def tile(batch: Any, count: int) -> Any:
    """Repeats tensors `[B, ...]`, one copy after the other: `[count * B, ...]`; None stays None."""
    if batch is None:
        return None
    return tf.nest.map_structure(lambda part: tf.tile(part, [count, *[1] * (part.shape.rank - 1)]), batch)


def joined(first: Any, second: Any) -> Any:
    """Joins two shapes, of ints or int32 tensors."""
    if not tf.is_tensor(first) and not tf.is_tensor(second):
        return (*first, *second)
    return tf.concat([tf.convert_to_tensor(part, tf.int32) for part in (first, second)], 0)
