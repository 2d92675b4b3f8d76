"""Base class that exposes a law as a distribution of TensorFlow Probability."""

import math
from collections.abc import Mapping
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfar import configuration, forks, random
from tfar.distributions import rows
from tfar.distributions.calls import CompiledCalls
from tfar.distributions.dtype_policy import check_dtype_policy
from tfar.distributions.no_closed_form import NoClosedForm

tfd = tfp.distributions
_COPY = "copy"  # The key of the configuration under which the changes of a copy are stored.


class Shell(NoClosedForm):
    """Implements shapes, bound conditions, compiled calls, copies and configuration of a distribution.

    A subclass passes its law to the constructor and adds methods that are specific to the law.

    Args:
        law: the law, see `tfar.laws`.
        layers: the Keras layers that own the weights, by the names under which checkpoints store them.
        event_shape: shape of one event. The first axis may be None.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Records the arguments of the constructor, which are the configuration, before the networks are created."""
        check_dtype_policy()
        forks.check_not_forked()  # Here already: the initial weights are random, and their operations need threads.
        dist = super().__new__(cls)
        dist._arguments = configuration.noted_arguments(cls, args, kwargs)
        return dist

    def __init__(
        self,
        law: Any,
        layers: Mapping[str, keras.layers.Layer],
        event_shape: tuple[int | None, ...],
        conditional_shape: Any,
        jit_compile: bool,
        name: str,
    ) -> None:
        arguments = self._arguments
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=dict(arguments),
            name=name,
        )
        for layer in layers.values():
            if not layer.built:
                layer.build(None)
        for attribute, layer in layers.items():  # tf.train.Checkpoint finds the weights in these attributes.
            setattr(self, f"_{attribute}", layer)
        self._law, self._layers, self._shape = law, tuple(layers.values()), tuple(event_shape)
        self._layer_names = tuple(layers)
        self._conditional_shape, self._jit_compile = conditional_shape, bool(jit_compile)
        self._calls = CompiledCalls(law)
        self._condition: Any = None
        self._length: int | None = None
        # tf.Module finds raw variables in attributes, so that wrappers such as tfd.Sample list them.
        self._weights = tuple(variable.value for variable in self._keras_variables)

    # Parts -----------------------------------------------------------------------------------------------------------

    @property
    def law(self) -> Any:
        """The law, which implements the distribution on flat batches in plain operations; exports are made from it."""
        return self._law

    @property
    def conditional_shape(self) -> Any:
        """Shape of the conditional input of one row, a dict of shapes, or None."""
        return self._conditional_shape

    @property
    def jit_compile(self) -> bool:
        """Whether eager calls compile with XLA."""
        return self._jit_compile

    @property
    def bound_condition(self) -> Any:
        """The condition that `given` bound, or None."""
        return self._condition

    @property
    def layers(self) -> dict[str, keras.layers.Layer]:
        """The Keras layers that own the weights, by the names under which files store them."""
        return dict(zip(self._layer_names, self._layers, strict=True))

    @property
    def _keras_variables(self) -> list[keras.Variable]:
        return [variable for layer in self._layers for variable in layer.variables]

    @property
    def variables(self) -> tuple[tf.Variable, ...]:
        """All variables, as tf.Variables."""
        return tuple(variable.value for variable in self._keras_variables)

    @property
    def trainable_variables(self) -> tuple[tf.Variable, ...]:
        """The trainable variables, as tf.Variables."""
        return tuple(variable.value for variable in self._keras_variables if variable.trainable)

    @property
    def non_trainable_variables(self) -> tuple[tf.Variable, ...]:
        """The other variables, as tf.Variables."""
        return tuple(variable.value for variable in self._keras_variables if not variable.trainable)

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: Any = None) -> dict[str, Any]:
        return {}

    # Shapes ----------------------------------------------------------------------------------------------------------

    def _event_shape(self) -> tf.TensorShape:
        return tf.TensorShape(self._shape if self._length is None else (self._length, *self._shape[1:]))

    def _event_shape_tensor(self) -> tf.Tensor:
        shape = self._event_shape()
        if not shape.is_fully_defined():
            raise ValueError(
                f"Expected a distribution over events of a fixed length; this one is over {shape}. Fix it with `with_length`."
            )
        return tf.constant(shape.as_list(), tf.int32)

    def _batch_lead(self) -> Any:
        return rows.lead_shape(rows.condition_items(self._condition, self._conditional_shape))

    def _batch_shape(self) -> tf.TensorShape:
        if self._condition is None:
            return tf.TensorShape([])
        lead = self._batch_lead()
        return tf.TensorShape(lead if isinstance(lead, tuple) else [None] * lead.shape[0])

    def _batch_shape_tensor(self) -> tf.Tensor:
        lead = () if self._condition is None else self._batch_lead()
        return tf.constant(lead, tf.int32) if isinstance(lead, tuple) else lead

    # Calls -----------------------------------------------------------------------------------------------------------

    def _run(self, name: str, given: list[Any], *, seed: Any = None, count: Any = None, **arguments: Any) -> Any:
        """Calls a function of the law on flat rows, directly in a graph and compiled in eager mode.

        Args:
            name: str. The function.
            given: the arguments of the function: tensors, dicts of them, or None.
            seed: seed as accepted by `random.as_seed`, if the first argument of the function is a seed per row;
                requires `count`.
            count: None, or the number of seeds.
            **arguments: arguments that are not tensors.
        """
        if not tf.executing_eagerly():
            seeds = [] if count is None else [random.row_seeds(seed, count)]
            return getattr(self._law, name)(*seeds, *given, **arguments)
        return self._calls(
            name,
            given,
            options=self._law.options,
            static=self._law.static_options,
            arguments=arguments,
            jit_compile=self._jit_compile,
            seed=None if count is None else random.as_seed(seed),
            count=None if count is None else int(count),
        )

    def _draw(self, sample_shape: Any, seed: Any, **arguments: Any) -> tf.Tensor:
        """Draws a sample of any shape with `_sample_n`."""
        shape = _sample_shape(sample_shape)
        count = math.prod(shape) if isinstance(shape, tuple) else tf.reduce_prod(shape)
        # TFP passes a SeedStream, which returns a seed when called.
        samples = self._sample_n(count, seed() if callable(seed) else seed, **arguments)
        return rows.unflatten(samples, shape)

    def _checked_value(self, value: Any) -> tf.Tensor:
        return rows.check_trailing(rows.as_float(value, "value"), tuple(self._event_shape().as_list()), "value")

    def _checked_condition(self, conditional_input: Any) -> Any:
        """Returns the conditional input, or the bound one, as float32 tensors of the right shape."""
        if conditional_input is None:
            conditional_input = self._condition
        return rows.condition(conditional_input, self._conditional_shape)

    def _rows_of_samples(self, n: Any, conditional_input: Any) -> tuple[Any, Any, Any]:
        """Returns the number of rows, their conditions and the leading result shape of `n` draws per batch member."""
        static = tf.get_static_value(n)
        n = n if static is None else int(static)
        condition = self._checked_condition(conditional_input)
        items = rows.condition_items(condition, self._conditional_shape)
        batch = rows.lead_shape(items) if items else ()
        if isinstance(n, int) and isinstance(batch, tuple):
            lead: Any = (n, *batch)
            count = math.prod(lead)
        else:
            lead = tf.concat([[n], tf.convert_to_tensor(batch, tf.int32)], 0)
            count = tf.reduce_prod(lead)
        condition = rows.pack_condition(rows.flatten(items, lead), self._conditional_shape)
        return count, condition, lead

    # Copies ----------------------------------------------------------------------------------------------------------

    def _clone(self, **attributes: Any) -> Self:
        """Returns a copy that shares the weights and the compiled functions, with other attributes."""
        clone = object.__new__(type(self))
        # TensorFlow stores tracked attributes in internal lists, which copies must not share.
        clone.__dict__.update({k: v.copy() if isinstance(v, list | dict) else v for k, v in self.__dict__.items()})
        for name, value in attributes.items():
            object.__setattr__(clone, name, value)
        return clone

    def given(self, conditional_input: Any) -> Self:
        """Binds a condition `[*batch, *conditional_shape]` in a copy with batch shape `[*batch]` and shared weights."""
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
        """Returns a copy that shares the weights; `name` and `jit_compile` may be replaced.

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
        if Ellipsis in slices:
            at = slices.index(Ellipsis)
            used = sum(part is not None and part is not Ellipsis for part in slices)
            slices = (*slices[:at], *[slice(None)] * (rank - used), *slices[at + 1 :])
        if sum(part is not None for part in slices) > rank:
            raise ValueError(f"Expected at most {rank} slices, one for each axis of the batch; received {slices}.")

        def sliced(tensor: tf.Tensor, axes: int) -> tf.Tensor:
            trailing = tf.shape(tensor)[tensor.shape.rank - axes :]
            return tf.broadcast_to(tensor, tf.concat([lead, trailing], 0))[slices]

        items = rows.condition_items(self._condition, self._conditional_shape)
        return self.given(rows.pack_condition([sliced(*item) for item in items], self._conditional_shape))

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Any]:
        """Lists the objects that `tf.train.Checkpoint` stores: the layers, without storing their weights twice."""
        children = super()._trackable_children(save_type, **kwargs)
        return {name: child for name, child in children.items() if name != "_weights" or save_type != "checkpoint"}

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
        """Creates a distribution from a configuration, with new weights."""
        config = dict(config)
        changes = dict(config.pop(_COPY, {}))
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


def _sample_shape(sample_shape: Any) -> Any:
    """Returns a sample shape as a tuple of ints, or as an int32 tensor `[rank]` if it is one.

    Raises:
        ValueError: If it contains anything other than non-negative integers.
    """
    static = tf.get_static_value(sample_shape) if tf.is_tensor(sample_shape) else sample_shape
    if static is None:
        return tf.reshape(tf.cast(sample_shape, tf.int32), [-1])
    sizes = np.atleast_1d(
        np.asarray(tf.TensorShape(static).as_list() if isinstance(static, tf.TensorShape) else static)
    )
    if sizes.size == 0:
        return ()
    if sizes.ndim != 1 or not np.issubdtype(sizes.dtype, np.integer) or sizes.min() < 0:
        raise ValueError(f"Expected `sample_shape` to be whole numbers of at least 0; received {sample_shape!r}.")
    return tuple(int(size) for size in sizes)
