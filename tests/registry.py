"""One small case of every public distribution and its variants: what the conformance suite runs over."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

import tfar


@dataclass(frozen=True)
class Case:
    """A small distribution with random weights under which every path is alive.

    Attributes:
        name: str. Id of the case; starts with the name of the class.
        make: makes the distribution, the same at every call.
        event_shape: shape of one event.
        support: number of values of a dimension, or None if they are real numbers.
        conditional_shape: as the distribution takes it.
        main: bool. Whether the conformance suite runs on the case by default; on the others it is slow.
    """

    name: str
    make: Callable[[], tfar.Autoregressive]
    event_shape: tuple[int, ...]
    support: int | None = 2
    conditional_shape: Any = None
    main: bool = False

    @property
    def enumerable(self) -> bool:
        """Whether all events can be enumerated, or the density integrated on a grid."""
        dims = int(np.prod(self.event_shape))
        return dims <= 2 if self.support is None else self.support**dims <= tfar.testing.support.MAX_EVENTS

    def values(self, num_rows: int, seed: int = 0) -> np.ndarray:
        """Random events, `[num_rows, *event_shape]`."""
        generator = np.random.default_rng([seed, 7])
        shape = (num_rows, *self.event_shape)
        if self.support is None:
            return generator.normal(size=shape).astype(np.float32)
        return generator.integers(self.support, size=shape).astype(np.float32)

    def condition(self, num_rows: int, seed: int = 0) -> Any:
        """Random conditions, `[num_rows, *conditional_shape]`, a dict of them, or None."""
        generator = np.random.default_rng([seed, 8])
        shape = self.conditional_shape
        if isinstance(shape, dict):
            return {key: generator.normal(size=(num_rows, *s)).astype(np.float32) for key, s in shape.items()}
        return None if shape is None else generator.normal(size=(num_rows, *shape)).astype(np.float32)


def num_values(head: Any) -> int | None:
    """Returns the number of values of a site of a head that `head()` makes; None if they are real numbers."""
    return head().support().num_values


def randomize(dist: tfar.Autoregressive, seed: int = 1, scale: float = 0.6) -> tfar.Autoregressive:
    """Gives all trainable variables seeded normal values."""
    generator = np.random.default_rng(seed)
    for variable in dist.trainable_variables:
        variable.assign(generator.normal(0.0, scale, size=variable.shape))
    return dist


def made(
    name: str, event_shape: Any = (5,), head: Any = None, main: bool = False, scale: float = 0.6, **kwargs: Any
) -> Case:
    """A case of MADE; `head` makes the head, so that no two distributions share one."""
    event_shape = tuple(event_shape)
    kwargs = {"hidden_units": [11], **kwargs}
    head = head or tfar.heads.Bernoulli

    def make() -> tfar.MADE:
        return randomize(tfar.MADE(event_shape=event_shape, head=head(), **kwargs), scale=scale)

    return Case(f"MADE-{name}", make, event_shape, head().support().num_values, kwargs.get("conditional_shape"), main)


def nade(name: str, event_shape: Any = (5,), head: Any = None, main: bool = False, **kwargs: Any) -> Case:
    """A case of NADE; `head` makes the head, so that no two distributions share one."""
    event_shape = tuple(event_shape)
    kwargs = {"hidden_units": 7, **kwargs}
    head = head or tfar.heads.Bernoulli

    def make() -> tfar.NADE:
        return randomize(tfar.NADE(event_shape=event_shape, head=head(), **kwargs))

    return Case(f"NADE-{name}", make, event_shape, head().support().num_values, kwargs.get("conditional_shape"), main)


def orderless(name: str, event_shape: Any = (5,), head: Any = None, main: bool = False, **kwargs: Any) -> Case:
    """A case of OrderlessNADE; `head` makes the head, so that no two distributions share one."""
    event_shape = tuple(event_shape)
    kwargs = {"hidden_units": [7, 6], "activation": "tanh", **kwargs}
    head = head or tfar.heads.Bernoulli

    def make() -> tfar.OrderlessNADE:
        return randomize(tfar.OrderlessNADE(event_shape=event_shape, head=head(), **kwargs))

    return Case(
        f"OrderlessNADE-{name}", make, event_shape, head().support().num_values, kwargs.get("conditional_shape"), main
    )


def rnade(name: str, event_shape: Any = (2,), head: Any = None, main: bool = False, **kwargs: Any) -> Case:
    """A case of RNADE in units that are not standard; `head` makes the head, so that no two distributions share one."""
    event_shape, dims = tuple(event_shape), int(np.prod(event_shape))
    loc, scale = np.linspace(-0.5, 0.4, dims + 2)[1:-1], np.linspace(0.7, 2.0, dims)
    units = {"loc": loc.reshape(event_shape).tolist(), "scale": scale.reshape(event_shape).tolist()}
    kwargs = {"hidden_units": 7, **units, **kwargs}
    head = head or normals

    def make() -> tfar.RNADE:
        return randomize(tfar.RNADE(event_shape=event_shape, head=head(), **kwargs))

    return Case(f"RNADE-{name}", make, event_shape, None, kwargs.get("conditional_shape"), main)


def conv_nade(name: str, event_shape: Any = (3, 3), head: Any = None, main: bool = False, **kwargs: Any) -> Case:
    """A case of ConvNADE; `head` makes the head, so that no two distributions share one."""
    event_shape = tuple(event_shape)
    kwargs = {"filters": [4], "kernel_sizes": [2], "hidden_units": None, **kwargs}
    head = head or tfar.heads.Bernoulli

    def make() -> tfar.ConvNADE:
        return randomize(tfar.ConvNADE(event_shape=event_shape, head=head(), **kwargs))

    return Case(
        f"ConvNADE-{name}", make, event_shape, head().support().num_values, kwargs.get("conditional_shape"), main
    )


def pixel_cnn(name: str, event_shape: Any = (3, 3), head: Any = None, main: bool = False, **kwargs: Any) -> Case:
    """A case of PixelCNN; `head` makes the head, so that no two distributions share one."""
    event_shape = tuple(event_shape)
    kwargs = {"filters": 6, "num_blocks": 1, "first_kernel_size": 3, "output_filters": [6], **kwargs}
    head = head or tfar.heads.Bernoulli

    def make() -> tfar.PixelCNN:
        return randomize(tfar.PixelCNN(event_shape=event_shape, head=head(), **kwargs), scale=0.4)

    return Case(f"PixelCNN-{name}", make, event_shape, head().support().num_values, None, main)


def gated_pixel_cnn(name: str, event_shape: Any = (3, 3), head: Any = None, main: bool = False, **kwargs: Any) -> Case:
    """A case of GatedPixelCNN; `head` makes the head, so that no two distributions share one."""
    event_shape = tuple(event_shape)
    kwargs = {"filters": 6, "num_blocks": 1, "first_kernel_size": 3, "output_filters": [6], **kwargs}
    head = head or tfar.heads.Bernoulli

    def make() -> tfar.GatedPixelCNN:
        return randomize(tfar.GatedPixelCNN(event_shape=event_shape, head=head(), **kwargs), scale=0.3)

    shape = kwargs.get("conditional_shape")
    return Case(f"GatedPixelCNN-{name}", make, event_shape, head().support().num_values, shape, main)


def pixel_cnn_plus_plus(
    name: str, event_shape: Any = (3, 2, 1), levels: int = 3, main: bool = False, **kwargs: Any
) -> Case:
    """A case of PixelCNNPlusPlus over images of `levels` values, without dropout unless it is asked for."""
    event_shape = tuple(event_shape)
    arguments = {
        "num_blocks": 1,
        "num_levels": 1,
        "filters": 3,
        "num_components": 2,
        "dropout_rate": 0.0,
        **kwargs,
    }

    def make() -> tfar.PixelCNNPlusPlus:
        return randomize(tfar.PixelCNNPlusPlus(event_shape, high=levels - 1, **arguments))

    return Case(f"PixelCNNPlusPlus-{name}", make, event_shape, levels, kwargs.get("conditional_shape"), main)


def own_network(conditional: bool = False) -> Case:
    """A Keras model without `start` and `step`, as users bring them."""

    def make() -> tfar.Autoregressive:
        degrees, units = [1, 2, 3, 4], [1, 1, 2, 2, 3, 3]
        x = keras.Input([4])
        inputs = [x, keras.Input([3])] if conditional else x
        hidden = tfar.layers.MaskedDense(6, degrees, units)(x)
        if conditional:
            hidden = hidden + keras.layers.Dense(6)(inputs[1])
        outputs = tfar.layers.MaskedDense(4, units, degrees, strict=True)(keras.ops.tanh(hidden))
        network = TwoInputs(keras.Model(inputs, outputs)) if conditional else keras.Model(inputs, outputs)
        shape = (3,) if conditional else None
        return randomize(tfar.Autoregressive(network, tfar.heads.Bernoulli(), [4], shape))

    name = "Autoregressive-keras-network" + ("-conditional" if conditional else "")
    return Case(name, make, (4,), 2, (3,) if conditional else None, main=not conditional)


@keras.saving.register_keras_serializable("tests")
class TwoInputs(keras.layers.Layer):
    """A network called as `f(x, conditional_input)` around a model of a list of inputs."""

    def __init__(self, model: keras.Model, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model

    def call(self, x: Any, conditional_input: Any) -> Any:
        return self.model([x, conditional_input])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "model": keras.saving.serialize_keras_object(self.model)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TwoInputs":
        return cls(**{**config, "model": keras.saving.deserialize_keras_object(config["model"])})


def categorical() -> tfar.heads.Categorical:
    return tfar.heads.Categorical(3)


def normals() -> tfar.heads.NormalMixture:
    return tfar.heads.NormalMixture(2, min_scale=0.3)


def laplaces() -> tfar.heads.LaplaceMixture:
    return tfar.heads.LaplaceMixture(2, min_scale=0.3)


CASES = (
    made("bernoulli", main=True),
    made("reverse", order="reverse"),
    made("random-order", order="random", seed=3),
    made("given-order", order=[2, 0, 4, 1, 3]),
    made("masks-3", num_masks=3),
    made("masks-3-random-orders", order="random", num_masks=3),
    made("agnostic", order="random", num_masks=None, num_eval_masks=3),
    made("agnostic-masks", num_masks=None, num_eval_masks=2),
    made("random-degrees", degrees="random", hidden_units=[9, 7]),
    made("random-degrees-masks-2", degrees="random", num_masks=2, hidden_units=[9, 7]),
    made("no-direct", direct_connections=False),
    made("connectivity-weights", connectivity_weights=True, num_masks=2),
    made("deep", hidden_units=[10, 8], activation="tanh"),
    made("deep-connectivity-weights", hidden_units=[8, 7], connectivity_weights=True, order="random", num_masks=2),
    made("conditional", conditional_shape=(3,)),
    made("conditional-dict", conditional_shape={"speaker": (2,), "features": (2, 2)}, num_masks=2, order="random"),
    made("large", hidden_units=[370, 360], scale=0.1),  # kernels that the product slices
    made("event-2d", event_shape=(2, 3)),
    made("event-3d", event_shape=(2, 2, 2), order="random"),
    made("one-site", event_shape=(1,)),
    made("one-site-conditional", event_shape=(1,), conditional_shape=(2,)),
    made("categorical-one-hot", event_shape=(4,), head=categorical),
    made("categorical-scaled", event_shape=(4,), head=categorical, one_hot_inputs=False),
    made("categorical-one-hot-masks-2", event_shape=(4,), head=categorical, num_masks=2, order="random"),
    made("normals", event_shape=(2,), head=normals, hidden_units=[12]),
    made("normals-masks-2", event_shape=(4,), head=normals, order="random", num_masks=2),
    made("laplaces", event_shape=(2,), head=laplaces, order="reverse"),
    made("laplaces-one-site", event_shape=(1,), head=laplaces),
    nade("bernoulli", conditional_shape=(3,), order="random", main=True),
    nade("plain"),
    nade("reverse", order="reverse", activation="tanh"),
    nade("given-order", order=[2, 0, 4, 1, 3], activation="relu"),
    nade("first-state", learned_first_state=True),
    nade("first-state-conditional", learned_first_state=True, conditional_shape=(3,), order="reverse"),
    nade("conditional-dict", conditional_shape={"speaker": (2,), "features": (2, 2)}),
    nade("event-2d", event_shape=(2, 3), order="random", seed=3),
    nade("one-site-conditional", event_shape=(1,), conditional_shape=(2,)),
    nade("categorical-one-hot", event_shape=(4,), head=categorical),
    nade("categorical-scaled", event_shape=(4,), head=categorical, one_hot_inputs=False),
    nade("normals", event_shape=(2,), head=normals),
    nade("laplaces", event_shape=(2,), head=laplaces, order="reverse"),
    orderless("bernoulli", num_orders=2, conditional_shape=(3,), main=True),
    orderless("one-order", activation="relu", seed=1),
    orderless("given-orders", orders=[[2, 0, 4, 1, 3], [0, 1, 2, 3, 4], [4, 3, 2, 1, 0]]),
    orderless("one-layer", hidden_units=[6], event_shape=(2, 3)),
    orderless("conditional-dict", conditional_shape={"speaker": (2,), "features": (2, 2)}, num_orders=2),
    orderless("one-site-conditional", event_shape=(1,), conditional_shape=(2,)),
    orderless("categorical-one-hot", event_shape=(4,), head=categorical, num_orders=2),
    orderless("categorical-scaled", event_shape=(4,), head=categorical, one_hot_inputs=False),
    orderless("normals", event_shape=(2,), head=normals, num_orders=2),
    orderless("laplaces", event_shape=(2,), head=laplaces),
    rnade("normals", conditional_shape=(3,), order="random", main=True),
    rnade("laplaces", head=laplaces, order="reverse"),
    rnade("one-site", event_shape=(1,)),
    rnade("event-2d", event_shape=(2, 3), order="random", seed=3, activation="sigmoid"),
    rnade("given-order", event_shape=(4,), order=[2, 0, 3, 1], activation="tanh", head=laplaces),
    rnade("conditional-dict", event_shape=(3,), conditional_shape={"speaker": (2,), "features": (2, 2)}),
    conv_nade("bernoulli", (2, 3), filters=[4, 5], kernel_sizes=[(1, 2), 2], hidden_units=[5], main=True),
    conv_nade("convolutions", filters=[5, 4], kernel_sizes=[2, 2]),
    conv_nade("orders-2", (2, 2), num_orders=2, seed=1),
    conv_nade("given-orders", (2, 2), orders=[[3, 0, 2, 1], [1, 2, 0, 3]], activation="tanh"),
    conv_nade("channels", (2, 2, 2), hidden_units=[4, 4]),
    conv_nade("conditional", (2, 2), conditional_shape=(3,), hidden_units=[4], activation="tanh"),
    conv_nade("conditional-dict", (2, 2), conditional_shape={"speaker": (2,), "features": (2, 2)}),
    conv_nade("categorical-one-hot", (2, 2), head=categorical),
    conv_nade("categorical-scaled", (2, 2), head=categorical, one_hot_inputs=False, hidden_units=[4]),
    conv_nade("normals", (1, 2), head=normals, kernel_sizes=[(1, 2)], activation="tanh"),
    pixel_cnn("binary", event_shape=(3, 3), main=True),
    pixel_cnn("levels", event_shape=(2, 2), head=categorical, filters=8),
    pixel_cnn("levels-scaled", event_shape=(2, 2, 1), head=categorical, one_hot_inputs=False),
    pixel_cnn("colours", event_shape=(1, 2, 3)),
    pixel_cnn("colours-levels", event_shape=(2, 1, 3), head=categorical, filters=12),
    pixel_cnn("plain", event_shape=(3, 3), use_residual=False, num_blocks=2, output_filters=[]),
    pixel_cnn("wide-kernels", event_shape=(4, 3), first_kernel_size=[5, 7], kernel_size=[5, 5]),
    pixel_cnn("even-kernels", event_shape=(2, 3, 2), first_kernel_size=[4, 2], kernel_size=[2, 4], filters=8),
    pixel_cnn("no-blocks", event_shape=(2, 4), num_blocks=0),
    pixel_cnn("normals", event_shape=(1, 2), head=normals),
    gated_pixel_cnn("binary-conditional", conditional_shape={"class": (2,), "map": (3, 3, 2)}, main=True),
    gated_pixel_cnn("binary", num_blocks=2),
    gated_pixel_cnn("vector", event_shape=(2, 3), conditional_shape=(3,), dropout_rate=0.3, condition_dropout=0.3),
    gated_pixel_cnn("map", event_shape=(2, 3), conditional_shape=(2, 3, 2)),
    gated_pixel_cnn("colours", event_shape=(2, 2, 2), conditional_shape=(2,)),
    gated_pixel_cnn("colours-levels", event_shape=(2, 1, 3), head=categorical),
    gated_pixel_cnn("wide-kernels", event_shape=(4, 3), first_kernel_size=[4, 5], kernel_size=[5, 4]),
    gated_pixel_cnn("no-blocks", event_shape=(2, 4), num_blocks=0, output_filters=[]),
    pixel_cnn_plus_plus("two-levels", (3, 3, 1), 2, num_levels=2, conditional_shape=(2,)),
    pixel_cnn_plus_plus(
        "one-level", kernel_size=(2, 3), use_data_init=False, conditional_shape={"label": (1,)}, main=True
    ),
    pixel_cnn_plus_plus("colour", (2, 2, 2), 2, num_levels=2, use_weight_norm=False, activation="elu"),
    pixel_cnn_plus_plus(
        "wide",
        (3, 5, 1),
        2,
        filters=5,  # of three, a block has none that its relu lets through
        num_levels=2,
        kernel_size=(4, 5),
        activation="relu",
    ),
    own_network(),
    own_network(conditional=True),
)

MAIN = tuple(case.name for case in CASES if case.main)
# One each for bits, real numbers and images: what runs by default of tests that take long, as they compile, trace or export.
FEW = ("MADE-bernoulli", "RNADE-normals", "PixelCNN-binary")
