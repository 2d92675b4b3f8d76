"""Errors that eager calls raise for invalid rows; in a graph these rows are NaN."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar.laws import AutoregressiveLaw
from tfar.laws.bad_rows import served_conditions


def refuse_bad_rows(
    law: AutoregressiveLaw,
    result: tf.Tensor,
    x: tf.Tensor | None = None,
    observed: tf.Tensor | None = None,
    conditional_input: Any = None,
    first_row: int = 0,
) -> None:
    """Raises ValueError if a result is NaN because of an input.

    Args:
        law: the law that computed the result.
        result: float32 `[B, ...]`.
        x: None, or the values `[B, *event_shape]`.
        observed: None, or bool `[B, num_sites]`.
        conditional_input: None, or the condition of each row.
        first_row: int. Number of the first row in the message.
    """
    if not np.isnan(np.minimum.reduce(np.asarray(result), axis=None, initial=0.0)):
        return
    for part in keras.tree.flatten(conditional_input) if conditional_input is not None else []:
        bad = ~np.isfinite(np.asarray(part))
        if bad.any():
            row = first_row + int(np.argwhere(bad)[0][0])
            raise ValueError(f"Expected finite numbers in `conditional_input`; received another in row {row}.")
    _refuse_conditions(law.network.num_condition_values, conditional_input, first_row)
    if observed is not None:
        _refuse_patterns(law, observed, first_row)
    if x is not None:
        _refuse_values(law, x, observed, first_row)


def _refuse_conditions(num_values: int | None, conditional_input: Any, first_row: int) -> None:
    """Raises ValueError for a condition of other numbers than 0 .. `num_values` - 1; None stands for real numbers."""
    valid = None if num_values is None else served_conditions(conditional_input, num_values)
    if num_values is not None and valid is not None and not np.asarray(valid).all():
        row = first_row + int(np.argmin(np.asarray(valid)))
        raise ValueError(
            f"Expected whole numbers from 0 to {num_values - 1} in `conditional_input`; received others in row {row}."
        )


def _refuse_values(law: AutoregressiveLaw, x: tf.Tensor, observed: tf.Tensor | None, first_row: int) -> None:
    head = law.head
    sites = law.member(0).values(x)
    numbers = law.member(0).sites(sites.shape[1])
    bad = np.asarray(tf.logical_not(head.in_event_support(sites, numbers)))
    if observed is not None:
        bad = bad & np.asarray(observed)
    if bad.any():
        row, site = (int(i) for i in np.argwhere(bad)[0])
        place = f"row {first_row + row}, site {site}{_after_the_end(head, sites, row, site)}"
        raise ValueError(
            f"Expected values in the support of {type(head).__name__}: {head.support(site)}; "
            f"received {np.asarray(sites)[row, site]} at {place}."
        )


def _after_the_end(head: Any, sites: tf.Tensor, row: int, site: int) -> str:
    """Returns the rest of the message about a value that only the values before it put outside the support."""
    return ", after the 0 that ends the sequence" if bool(head.in_support(sites[row, site], site)) else ""


def _refuse_patterns(law: AutoregressiveLaw, observed: tf.Tensor, first_row: int) -> None:
    allowed = np.asarray(law.allows(observed))
    if not allowed.all():
        row = first_row + int(np.argmin(allowed))
        raise ValueError(
            f"Expected the observed sites to come first in the order of the model; row {row} observes "
            f"others. {law.network.any_order_hint}"
        )
