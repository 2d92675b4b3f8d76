"""Copies of a distribution, which share its weights, and the configuration that restores them."""

from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from tfar import configuration, forks
from tfar.distributions import rows
from tfar.distributions.dtype_policy import check_dtype_policy, under
from tfar.distributions.no_closed_form import NoClosedForm

_COPY = "copy"  # The key of the configuration under which the changes of a copy are stored.
_POLICY = "dtype_policy"  # The key of the dtype policy under which the networks were made. It is left out for float32.


class Copyable(NoClosedForm):
    """Distribution whose copies differ in the options of the law, the bound condition or the length of events.

    The configuration consists of the arguments of the constructor, these changes and the dtype policy.
    """

    _arguments: dict[str, Any]
    _policy: str
    _law: Any
    _shape: tuple[int | None, ...]
    _conditional_shape: Any
    _jit_compile: bool
    _condition: Any = None
    _length: int | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Records the arguments of the constructor, which are the configuration, before the networks are created."""
        check_dtype_policy()
        forks.check_not_forked()  # Here already: the initial weights are random, and their operations need threads.
        dist = super().__new__(cls)
        dist._arguments = configuration.noted_arguments(cls, args, kwargs)
        dist._policy = keras.config.dtype_policy().name
        return dist

    def _clone(self, **attributes: Any) -> Self:
        """Returns a copy that shares the weights and the compiled functions, with other attributes."""
        clone = object.__new__(type(self))
        # TensorFlow stores tracked attributes in internal lists, which copies must not share.
        clone.__dict__.update({k: v.copy() if isinstance(v, list | dict) else v for k, v in self.__dict__.items()})
        for name, value in attributes.items():
            object.__setattr__(clone, name, value)
        return clone

    def given(self, conditional_input: Any) -> Self:
        """Returns a copy that shares the weights and has a condition bound.

        Args:
            conditional_input: numbers `[*batch, *conditional_shape]`, or a dict of them. The batch shape of the copy is
                `[*batch]`.

        Raises:
            ValueError: If the model has no condition, or the shape does not fit.
        """
        return self._clone(_condition=rows.condition(conditional_input, self._conditional_shape))

    def with_length(self, length: int) -> Self:
        """Returns a copy over events of a fixed length, for a distribution over events of any length.

        Args:
            length: int. Size of the first axis of an event.

        Raises:
            ValueError: If events have a fixed shape, or the length is less than 1.
        """
        if self._shape[:1] != (None,):
            raise ValueError(
                f"Expected a distribution over events of any length; this one is over {list(self._shape)}."
            )
        if isinstance(length, bool) or not isinstance(length, int | np.integer) or length < 1:
            raise ValueError(f"Expected `length` to be an int of at least 1; received {length!r}.")
        return self._clone(_length=int(length))

    def copy(self, **overrides: Any) -> Self:
        """Returns a copy that shares the weights.

        Args:
            **overrides: `name` and `jit_compile`, if they are to be replaced.

        Raises:
            ValueError: If another parameter is given, because it would require a different network.
        """
        others = sorted(set(overrides) - {"name", "jit_compile"})
        if others:
            raise ValueError(
                f"Expected `copy` to replace `name` or `jit_compile` alone, as a copy shares the weights; received {others}. "
                "Make another distribution with its constructor."
            )
        return self._clone(
            _name=overrides.get("name", self._name), _jit_compile=overrides.get("jit_compile", self._jit_compile)
        )

    def __getitem__(self, slices: Any) -> Self:
        """Slices the batch: returns a copy that is bound to the sliced condition and shares the weights.

        Raises:
            ValueError: If no condition is bound, so that there is no batch.
        """
        if self._condition is None:
            raise ValueError(
                "Expected a distribution with a batch, which `given(conditional_input)` makes; this one has batch shape []."
            )
        lead, rank = self._batch_lead(), self._batch_shape().rank
        slices = tuple(slices) if isinstance(slices, tuple) else (slices,)
        is_ellipsis = [part is Ellipsis for part in slices]  # `in` would compare tensors.
        if any(is_ellipsis):
            at = is_ellipsis.index(True)
            used = sum(part is not None and part is not Ellipsis for part in slices)
            slices = (*slices[:at], *[slice(None)] * (rank - used), *slices[at + 1 :])
        if sum(part is not None for part in slices) > rank:
            raise ValueError(f"Expected at most {rank} slices, one for each axis of the batch; received {slices}.")

        def sliced(tensor: tf.Tensor, axes: int) -> tf.Tensor:
            trailing = tf.shape(tensor)[tensor.shape.rank - axes :]
            return tf.broadcast_to(tensor, tf.concat([lead, trailing], 0))[slices]

        items = rows.condition_items(self._condition, self._conditional_shape)
        return self.given(rows.pack_condition([sliced(*item) for item in items], self._conditional_shape))

    def __copy__(self) -> Self:
        return self._clone()

    def __reduce__(self) -> Any:
        """Supports pickling and deep copies by configuration and weights; compiled functions are created again."""
        config = keras.saving.serialize_keras_object(self)
        return _restored, (config, [variable.numpy() for variable in self.variables])

    def __repr__(self) -> str:
        text = super().__repr__()
        changes = [f"{key}={value}" for key, value in self._copy_config().items() if key != "condition"]
        return text[:-1] + "".join(f" {change}" for change in changes) + ">" if changes else text

    # Configuration ---------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor and the changes of a copy, without the weights."""
        config = {name: configuration.serialized(value) for name, value in self._arguments.items()}
        config.update(jit_compile=self._jit_compile, name=self.name)
        if self._policy != "float32":
            config[_POLICY] = self._policy
        changes = self._copy_config()
        return {**config, _COPY: changes} if changes else config

    def _copy_config(self) -> dict[str, Any]:
        """Returns the changes of this copy as plain values."""
        changes: dict[str, Any] = dict(self._law.config)
        if self._length is not None:
            changes["length"] = self._length
        if self._condition is not None:
            changes["condition"] = tf.nest.map_structure(lambda t: np.asarray(t).tolist(), self._condition)
        return changes

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Creates a distribution from a configuration, with new weights. The global dtype policy has no effect."""
        config = dict(config)
        changes = dict(config.pop(_COPY, {}))
        with under(config.pop(_POLICY, "float32")):
            dist = cls(**{name: configuration.deserialized(value) for name, value in config.items()})
        condition, length = changes.pop("condition", None), changes.pop("length", None)
        attributes: dict[str, Any] = {"_length": length}
        if condition is not None:
            attributes["_condition"] = rows.condition(condition, dist._conditional_shape)
        if changes:
            attributes["_law"] = dist._law.from_config(changes)
        return dist._clone(**attributes)


def _restored(config: dict[str, Any], weights: list[np.ndarray]) -> Any:
    dist = keras.saving.deserialize_keras_object(config)
    for variable, value in zip(dist.variables, weights, strict=True):
        variable.assign(value)
    return dist
