"""Conditionals and surprises of the cells of a table."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.heads import Atoms, Head
from tfar.optional import require
from tfar.tables.classes import CategoricalColumn, OrdinalColumn
from tfar.tables.column import Bools, Column, Floats
from tfar.tables.schema import Encoded, Schema
from tfar.tables.sites import allowed_probs, in_chunks, own_params, site_params, support_values

GIVEN = ("before", "others")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Logit of an atom that is excluded.
_EXCLUDED = -1e9


def surprises(dist: Any, schema: Schema, encoded: Encoded, given: str) -> NDArray[np.float64]:
    """Returns the negative log-density of each cell, float64 `[rows, columns]`; NaN where it is not observed."""
    if given not in GIVEN:
        raise ValueError(f"Expected `given` to be one of {GIVEN}; received {given!r}.")
    if given == "others":
        check_any_pattern(dist, "`given='others'`")
        of_sites = _given_others(dist, schema, encoded)
    else:
        score = lambda values, observed: dist.site_log_probs(values, observed=observed)  # noqa: E731
        of_sites = in_chunks(score, encoded.values, encoded.observed)
    found = np.zeros(encoded.log_scale.shape)
    for i, column in enumerate(schema.columns):
        sites = schema.sites(column.name)
        found[:, i] = encoded.log_scale[:, i] - of_sites[:, sites].astype(np.float64).sum(axis=1)
        found[~encoded.observed[:, sites].all(axis=1), i] = np.nan
    return found


def check_any_pattern(dist: Any, what: str) -> None:
    """Raises ValueError for a model whose conditionals exist in one order only."""
    if not dist.law.allows_any_pattern:
        raise ValueError(
            f"Expected a network for any order with {what}; {type(dist).__name__} conditions a column on the columns before it "
            "alone. Use network='orderless' or network='transformer'."
        )


def _given_others(dist: Any, schema: Schema, encoded: Encoded) -> NDArray[np.float32]:
    """Returns the log-probability of each site given all other columns and the earlier sites of its own, `[rows, sites]`."""
    found = np.zeros(encoded.values.shape, np.float32)
    for column in schema.columns:
        known = encoded.observed.copy()
        known[:, schema.sites(column.name)] = False
        for site in range(*schema.sites(column.name).indices(schema.num_sites)):
            head = dist.head.heads[site]
            params = site_params(dist, encoded.values, known, site)
            log_prob = np.asarray(head.log_prob(own_params(head, params), encoded.values[:, site]))
            found[:, site] = np.where(encoded.observed[:, site], log_prob, 0.0)
            known[:, site] = encoded.observed[:, site]
    return found


# Conditionals -----------------------------------------------------------------------------------------------------------


def conditional(dist: Any, schema: Schema, encoded: Encoded, column: Column) -> Any:
    """Returns the conditional of a column as a DataFrame with a row for each row; see `TableModel.conditionals`."""
    sites, known = schema.sites(column.name), encoded.observed.copy()
    known[:, sites] = False
    values = np.where(known, encoded.values, np.float32(0.0))
    if not dist.law.allows_any_pattern:  # The sites before the column are those of the row.
        _check_before(dist, schema, encoded, sites)
        values = encoded.values.copy()
        values[:, sites] = 0.0
    pandas = require("pandas", "tables")
    if isinstance(column, CategoricalColumn | OrdinalColumn):
        probs = _class_probs(dist, values, known, sites, column)
        return pandas.DataFrame(probs, columns=_labels(column))
    params = site_params(dist, values, known, sites.start)
    return pandas.DataFrame(_numbers(dist.head.heads[sites.start], params, column))


def _check_before(dist: Any, schema: Schema, encoded: Encoded, sites: slice) -> None:
    """Raises ValueError if a site before those of a column is not observed."""
    order = dist.network.orders[0].tolist()
    before = order[: min(order.index(site) for site in range(*sites.indices(schema.num_sites)))]
    lacking = [schema.column_of_site[site] for site in before if not encoded.observed[:, site].all()]
    if lacking:
        check_any_pattern(dist, f"missing cells in {', '.join(dict.fromkeys(lacking))}")


def _labels(column: CategoricalColumn | OrdinalColumn) -> list[Any]:
    """Returns the category of each class, None for unseen or missing cells as one column."""
    return [*column.categories, None]


def _class_probs(
    dist: Any, values: Floats, known: Bools, sites: slice, column: CategoricalColumn | OrdinalColumn
) -> NDArray[np.float64]:
    """Returns the probabilities of the categories and, last, of unseen and missing cells, `[rows, categories + 1]`."""
    head = dist.head.heads[sites.start]
    probs = allowed_probs(head, site_params(dist, values, known, sites.start), None)
    classes = support_values(head)
    if isinstance(column, CategoricalColumn) and column.base is not None:
        probs = _joint_of_digits(dist, values, known, sites, probs)
        classes = np.arange(probs.shape[1], dtype=np.float32)
    first = 1 if isinstance(column, CategoricalColumn) else 0
    of_categories = (classes >= first) & (classes < first + len(column.categories))
    return np.concatenate([probs[:, of_categories], probs[:, ~of_categories].sum(axis=1, keepdims=True)], axis=1)


def _joint_of_digits(
    dist: Any, values: Floats, known: Bools, sites: slice, firsts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns the probabilities of pairs of digits, `[rows, first * second]`, from those of the first."""
    pairs, head = [], dist.head.heads[sites.start + 1]
    for digit in range(firsts.shape[1]):
        values, known = values.copy(), known.copy()
        values[:, sites.start], known[:, sites.start] = digit, True
        seconds = allowed_probs(head, site_params(dist, values, known, sites.start + 1), None)
        pairs.append(firsts[:, digit, None] * seconds)
    return np.concatenate(pairs, axis=1)


def _numbers(head: Head, params: Floats, column: Column) -> dict[str, Any]:
    """Returns statistics of a site of numbers in the units of the data, given that the cell is not missing."""
    own, found = own_params(head, params), {}
    if column.missing and isinstance(head, Atoms):
        last = len(head.values) - 1  # `with_atoms` puts the missing cells last
        found["missing"] = np.asarray(tf.nn.softmax(own[:, : last + 2])[:, last], np.float64)
        excluded = tf.fill(tf.shape(own[:, :1]), _EXCLUDED)
        own = tf.concat([own[:, :last], excluded, own[:, last + 1 :]], axis=1)
    dist = head.distribution(own)
    found["mean"] = column.summary("mean", np.asarray(dist.mean()))
    found["stddev"] = column.summary("stddev", np.asarray(dist.stddev()))
    for level in QUANTILES:
        found[f"quantile_{level:g}"] = column.summary("quantile", np.asarray(dist.quantile(level)))
    return found
