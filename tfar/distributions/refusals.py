"""Errors of eager calls for values that cannot be: in a graph the same rows are NaN."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar.distributions.density import Density


def refuse_bad_rows(
    density: Density,
    result: tf.Tensor,
    x: tf.Tensor | None = None,
    observed: tf.Tensor | None = None,
    conditional_input: Any = None,
) -> None:
    """Raises ValueError where a result is NaN because of what went in.

    Args:
        density: what computed the result.
        result: float32 `[B, ...]`.
        x: None, or the values `[B, *event_shape]`.
        observed: None, or bool `[B, num_sites]`: the sites that count.
        conditional_input: None, or the condition of each row.
    """
    if not np.isnan(np.minimum.reduce(np.asarray(result), axis=None, initial=0.0)):
        return
    for part in keras.tree.flatten(conditional_input) if conditional_input is not None else []:
        bad = ~np.isfinite(np.asarray(part))
        if bad.any():
            row = int(np.argwhere(bad)[0][0])
            raise ValueError(f"Expected finite numbers in `conditional_input`; received another in row {row}.")
    if observed is not None:
        _refuse_patterns(density, observed)
    if x is not None:
        _refuse_values(density, x, observed)


def _refuse_values(density: Density, x: tf.Tensor, observed: tf.Tensor | None) -> None:
    head = density.head
    sites = tf.reshape(x, [-1, density.network.num_sites, *head.site_shape])
    bad = np.asarray(tf.logical_not(head.in_support(sites, np.arange(density.network.num_sites))))
    if observed is not None:
        bad = bad & np.asarray(observed)
    if bad.any():
        row, site = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"Expected values in the support of {type(head).__name__}: {head.support(site)}; "
            f"received {np.asarray(sites)[row, site]} at row {row}, site {site}."
        )


def _refuse_patterns(density: Density, observed: tf.Tensor) -> None:
    if density.allows_any_order:
        return
    prefix = np.asarray(density.is_prefix(observed))
    if not prefix.all():
        raise ValueError(
            f"Expected the observed sites to come first in the order of the model; row {int(np.argmin(prefix))} observes "
            f"others. {density.network.way_out}"
        )
