"""The conditionals of a model as the coders use them: probabilities of all values, in the order in which sites are coded."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar.coding.freezing import check_frozen, check_plain, is_frozen
from tfar.coding.steps import Steps, step_order
from tfar.coding.tables import class_probs

PROBE_ROWS = 4
# Largest number of probabilities of rows that are coded together, and of the rows of a chunk by default.
MAX_PROBS, MAX_ROWS = 2**23, 1024


class CodingModel:
    """The conditionals of a distribution as tables of probabilities, computed for known rows and step by step.

    A frozen model computes known rows in one pass. Another model takes steps for them too, with the same number of rows as
    the decoder, because only then do both compute the same bits.

    The sites are coded step by step, in each step row by row, and in each row in the order of the sites of the step.

    Args:
        dist: the distribution.
        batch_size: int. Number of rows of which the steps are compiled.
        exact: bool, or None for whether the model is frozen. Whether its sums are exact for all events and conditions.

    Attributes:
        exact: bool.
        num_values: int, K. Number of values of a site.
        order: the sites of each step.

    Raises:
        ValueError: If the model does not serve.
    """

    def __init__(self, dist: Any, batch_size: int, exact: bool | None = None) -> None:
        self.dist, self.head, self.batch_size = dist, dist.head, max(batch_size, 1)
        self.order, self.exact = step_order(dist), is_frozen(dist) if exact is None else exact
        self.num_values = num_values(dist)
        check_plain(dist)
        if self.exact:
            check_frozen(dist)
            _check_precision()
        self._steps: Steps | None = None

    def probs(self, rows: NDArray[np.float32], conditional_input: Any) -> NDArray[np.float32]:
        """Returns the probabilities of all values at the sites of known rows, `[n * num_sites, K]`, in the order of coding."""
        if self.exact:
            return self._by_step(class_probs(self._logits(rows, conditional_input)))
        symbols, found = self.symbols(rows), []

        def known(table: NDArray[np.float32], sites: NDArray[np.int32]) -> NDArray[np.int32]:
            found.append(table.reshape(-1, self.num_values))
            return symbols[:, sites]

        self.run(known, len(rows), conditional_input)
        return np.concatenate(found)

    def coded(self, rows: NDArray[np.float32]) -> NDArray[np.int32]:
        """Returns the values of rows as whole numbers from 0, int32 `[n * num_sites]`, in the order of coding."""
        return self._by_step(self.symbols(rows)[..., None])[:, 0]

    def decoded(
        self, decode: Callable[..., NDArray[np.int32]], count: int, conditional_input: Any
    ) -> NDArray[np.float32]:
        """Returns rows `[count, *event_shape]`, where `decode` maps the probabilities of a step `[m, K]` to values `[m]`."""
        symbols = np.zeros([count, self.dist.num_sites], np.int32)

        def choose(probs: NDArray[np.float32], sites: NDArray[np.int32]) -> NDArray[np.int32]:
            symbols[:, sites] = decode(probs.reshape(-1, self.num_values)).reshape(count, len(sites))
            return symbols[:, sites]

        self.run(choose, count, conditional_input)
        values = symbols.astype(np.float32) + np.float32(self.head.support().low)
        return values.reshape(count, *self.dist.event_shape)

    def run(self, choose: Callable[..., NDArray[np.int32]], count: int, conditional_input: Any) -> None:
        """Takes the steps of `count` rows; see `Steps.run`. The tables that `choose` receives are probabilities."""
        if self._steps is None:
            self._steps = Steps(self.dist, self._table, self.batch_size)
        as_probs = class_probs if self.exact else np.asarray

        def padded(table: NDArray[np.float32], sites: NDArray[np.int32]) -> NDArray[np.int32]:
            return _filled(choose(as_probs(table[:count]), sites), self.batch_size)

        self._steps.run(padded, of_condition(lambda part: _filled(part, self.batch_size), conditional_input))

    def symbols(self, rows: NDArray[np.float32]) -> NDArray[np.int32]:
        """Returns the values of rows by site, as whole numbers from 0, int32 `[n, num_sites]`."""
        return (rows.reshape(len(rows), -1) - self.head.support().low).astype(np.int32)

    @property
    def rounding(self) -> tuple[int, float]:
        """The bits and the largest activation of a frozen model, with 0 for none."""
        if not self.exact:
            return 0, 0.0
        activation = self.dist.network.activation
        return activation.bits, float(np.float32(activation.max_value or 0.0))

    def fingerprint(self) -> bytes:
        """Returns the SHA-256 of the kind of the model and of its weights."""
        network, digest = self.dist.network, hashlib.sha256()
        shape = tuple(self.dist.event_shape)
        kind = (type(network).__name__, type(self.head).__name__, shape, self.num_values, *self.rounding)
        digest.update(repr(kind).encode())
        digest.update(np.concatenate(self.order).astype("<i4").tobytes())
        for variable in self.dist.variables:
            value = np.asarray(variable)
            digest.update(repr(value.shape).encode() + value.astype(value.dtype.newbyteorder("<")).tobytes())
        return digest.digest()

    def probe(self) -> bytes:
        """Returns the SHA-256 of what the model computes for some fixed events."""
        count = PROBE_ROWS if self.exact else self.batch_size
        places = np.arange(count)[:, None] + 1, np.arange(int(self.dist.num_sites)) + 1
        symbols = (places[0] * places[1] * 7919 // 64) % self.num_values
        rows = (symbols + self.head.support().low).astype(np.float32).reshape(count, *self.dist.event_shape)
        condition = _alternating(self.dist.conditional_shape, count)
        found = self._logits(rows, condition) + 0.0 if self.exact else self.probs(rows, condition)  # -0 becomes 0
        return hashlib.sha256(found.astype("<f4").tobytes()).digest()

    def _by_step(self, values: NDArray) -> NDArray:
        """Reorders values of the sites of rows, `[n, num_sites, K]`, to `[n * num_sites, K]` in the order of coding."""
        return np.concatenate([values[:, sites].reshape(-1, values.shape[-1]) for sites in self.order])

    def _logits(self, rows: NDArray[np.float32], conditional_input: Any) -> NDArray[np.float32]:
        """Returns the logits of known rows by one pass, `[n, num_sites, K]`."""
        params = self.dist.conditionals(rows, conditional_input=conditional_input).params
        return np.asarray(self.head.class_logits(params))

    def _table(self, params: tf.Tensor, sites: tf.Tensor) -> tf.Tensor:
        """Maps parameters to logits if they are exact, else to probabilities."""
        return self.head.class_logits(params, sites) if self.exact else self.head.probs(params, sites)


def largest_batch(dist: Any, most: int) -> int:
    """Returns how many rows, from 1 to `most`, have tables of at most MAX_PROBS probabilities; ValueError as `num_values`."""
    num_sites = sum(map(len, step_order(dist)))
    return max(1, min(most, MAX_PROBS // (num_sites * num_values(dist))))


def num_values(dist: Any) -> int:
    """Returns the number of values of a site.

    Raises:
        ValueError: If a site has several channels, or infinitely many values.
    """
    head = dist.head
    values = head.support().num_values
    if head.site_shape or head.num_sites is not None or values is None:
        raise ValueError(
            "Expected scalar sites with the same finite number of values, as those of Bernoulli and Categorical; received a "
            f"{type(head).__name__} with sites of shape {head.site_shape} and the values {head.support()}."
        )
    return values


def checked_condition(dist: Any, conditional_input: Any, count: int, exact: bool) -> Any:
    """Returns the conditional inputs of `count` rows as float32 arrays.

    Raises:
        ValueError: If they are missing or not expected, a shape does not fit, or a frozen model gets other numbers than 0 and 1.
    """
    shapes = dist.conditional_shape
    if shapes is None or conditional_input is None:
        if shapes is not None or conditional_input is not None:
            expected = (
                "no `conditional_input`" if shapes is None else f"a `conditional_input` of shape {shapes} for each row"
            )
            raise ValueError(f"Expected {expected}; received {'None' if conditional_input is None else 'one'}.")
        return None

    def checked(part: Any, shape: Any) -> NDArray[np.float32]:
        part = np.asarray(part, np.float32)
        if part.shape != (count, *shape):
            raise ValueError(f"Expected a `conditional_input` of shape {[count, *shape]}; received {list(part.shape)}.")
        if exact and not np.isin(part, (0.0, 1.0)).all():
            raise ValueError(
                "Expected a `conditional_input` of zeros and ones, such as one-hot labels, for which the sums of a frozen model "
                "are exact; received other numbers."
            )
        return part

    if isinstance(shapes, dict):
        return {name: checked(conditional_input[name], shape) for name, shape in shapes.items()}
    return checked(conditional_input, shapes)


def rows_of(conditional_input: Any, rows: slice) -> Any:
    """Returns the conditional inputs of some rows."""
    return of_condition(lambda part: part[rows], conditional_input)


def of_condition(function: Callable[[NDArray], NDArray], conditional_input: Any) -> Any:
    """Applies a function to the arrays of a conditional input; None stays None."""
    return None if conditional_input is None else tf.nest.map_structure(function, conditional_input)


def _alternating(shapes: Any, count: int) -> Any:
    """Returns conditional inputs of zeros and ones in turn."""
    if isinstance(shapes, dict):
        return {name: _alternating(shape, count) for name, shape in shapes.items()}
    return None if shapes is None else (np.indices((count, *shapes)).sum(axis=0) % 2).astype(np.float32)


def _filled(part: NDArray, size: int) -> NDArray:
    """Appends copies of the first row up to a number of rows."""
    return np.concatenate([part, np.repeat(part[:1], size - len(part), axis=0)])


def _check_precision() -> None:
    """Raises ValueError if a GPU rounds the factors of products."""
    if tf.config.list_logical_devices("GPU") and tf.config.experimental.tensor_float_32_execution_enabled():
        raise ValueError(
            "Expected products in float32; this GPU may round their factors to TensorFloat-32. Call "
            "tf.config.experimental.enable_tensor_float_32_execution(False) before."
        )
