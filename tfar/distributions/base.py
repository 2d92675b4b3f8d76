"""Base class that exposes a law as a distribution of TensorFlow Probability."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfar import random
from tfar.distributions import rows
from tfar.distributions.calls import CompiledCalls
from tfar.distributions.copies import Copyable
from tfar.distributions.refusals import refuse_bad_rows
from tfar.heads import Head
from tfar.laws import AutoregressiveLaw

# Eager calls run without AutoGraph, and so do calls in a user's graph, so that networks use tf.cond or keras.ops in
# both cases.
without_autograph = tf.autograph.experimental.do_not_convert


class Rows(NamedTuple):
    """Arguments of a call as one batch of rows.

    Attributes:
        x: float32 `[B, *event_shape]`.
        condition: the condition of each row, or None.
        observed: bool `[B, num_sites]`, or None.
        site_weight: float32 `[B, num_sites]`, or None.
        lead: the leading axes of the result.
    """

    x: tf.Tensor
    condition: Any = None
    observed: tf.Tensor | None = None
    site_weight: tf.Tensor | None = None
    lead: Any = (None,)

    @property
    def count(self) -> Any:
        """The number of rows, an int in eager mode."""
        return len(self.x) if tf.executing_eagerly() else tf.shape(self.x)[0]

    def repeated(self, num_samples: int | None) -> Self:
        """Returns every row `num_samples` times, as a first leading axis; the same rows for None."""
        if num_samples is None:
            return self
        lead: Any = self.lead
        if isinstance(lead, tuple) and None in lead:
            lead = tf.shape(self.x)[:1] if self.x.shape[0] is None else (self.x.shape[0],)
        x, condition, observed, site_weight = (
            rows.tile(part, num_samples) for part in (self.x, self.condition, self.observed, self.site_weight)
        )
        return type(self)(x, condition, observed, site_weight, rows.joined([num_samples], lead))


class Shell(Copyable):
    """Implements the parts, shapes and compiled calls of a distribution.

    A subclass passes its law to the constructor and adds methods that are specific to the law.

    Args:
        law: the law, see `tfar.laws`.
        layers: the Keras layers that own the weights, by the names under which checkpoints store them.
        event_shape: shape of one event. The first axis may be None.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.
    """

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
            reparameterization_type=tfp.distributions.NOT_REPARAMETERIZED,
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
    def _event_law(self) -> AutoregressiveLaw:
        """The autoregressive law of events, perhaps given a latent."""
        return self._law

    @property
    def head(self) -> Head:
        """The head, which turns a parameter vector into the distribution of a site. Copies share it."""
        return self._event_law.head

    @property
    def num_sites(self) -> Any:
        """Number of sites of an event, an int; None if its length is not fixed."""
        law = self._event_law
        if law.network.num_sites is not None:
            return law.network.num_sites
        length = self._event_shape()[0]
        return None if length is None else law.num_sites_of(length)

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

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Any]:
        """Lists the objects that `tf.train.Checkpoint` stores: the layers, without storing their weights twice."""
        children = super()._trackable_children(save_type, **kwargs)
        return {name: child for name, child in children.items() if name != "_weights" or save_type != "checkpoint"}

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

    def _call(self, name: str, inputs: list[Any], given: Rows, **options: Any) -> Any:
        """Calls a function of the law on rows: refuses bad rows in eager mode, and restores the leading axes."""
        result = self._run(name, inputs, **options)
        if tf.executing_eagerly():
            refuse_bad_rows(self._event_law, tf.nest.flatten(result)[0], given.x, given.observed, given.condition)
        return tf.nest.map_structure(lambda part: rows.unflatten(part, given.lead), result)

    def _checked_value(self, value: Any) -> tf.Tensor:
        return rows.check_trailing(rows.as_float(value, "value"), tuple(self._event_shape().as_list()), "value")

    def _checked_condition(self, conditional_input: Any) -> Any:
        """Returns the conditional input, or the bound one, as float32 tensors of the right shape."""
        if conditional_input is None:
            conditional_input = self._condition
        return rows.condition(conditional_input, self._conditional_shape)

    def _flat_rows(
        self, value: Any, conditional_input: Any = None, observed: Any = None, site_weight: Any = None
    ) -> Rows:
        """Returns the arguments of a call as rows of one batch."""
        value, rank = self._checked_value(value), len(self._shape)
        condition = self._checked_condition(conditional_input)
        if observed is None and site_weight is None and condition is None and value.shape.rank == rank + 1:
            return Rows(value)
        items = [(value, rank), *rows.condition_items(condition, self._conditional_shape)]
        for name, marks in (("observed", observed), ("site_weight", site_weight)):
            if marks is not None:
                marks = rows.site_marks(marks, value, rank, len(self.head.site_shape), name)
                is_seen = name == "observed"
                items.append((tf.reduce_all(marks > 0.0, -1) if is_seen else tf.reduce_mean(marks, -1), 1))
        lead = rows.lead_shape(items)
        flat = rows.flatten(items, lead)
        weight = None if site_weight is None else flat.pop()
        pattern = None if observed is None else flat.pop()
        return Rows(flat[0], rows.pack_condition(flat[1:], self._conditional_shape), pattern, weight, lead)
