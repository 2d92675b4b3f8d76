"""What a case of the registry is, and how those of each model are made."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

import tfar
from tests.reference import oracles
from tests.reference.oracles import Oracle


@dataclass(frozen=True)
class Case:
    """A small distribution with random weights under which every path is alive.

    Attributes:
        name: str. Id of the case; starts with the name of the class.
        make: makes the distribution, the same at every call.
        event_shape: shape of one event.
        support: number of values of a dimension, or None if they are real numbers.
        lowest: lowest of these values.
        conditional_shape: as the distribution takes it.
        oracle: the truth that does not come from the distribution: `log_prob`, `connectivity` and `expected_loss`. None for a
            latent-variable model, whose truth is enumerated from its parts.
        main: bool. Whether the default suite runs on the case; the others rotate, see
            `tests.registry.variants_in`.
        has_random_masks: bool. Whether training draws masks or drops units, so that the expected loss is not enumerated.
        has_true_loss_gradient: bool. Whether the gradient of the training loss is not scaled on purpose.
        ends: bool. Whether the value 0 ends an event.
        condition_values: number of values of a condition of whole numbers, or None if they are real numbers.
    """

    name: str
    make: Callable[[], Any]
    event_shape: tuple[int, ...]
    support: int | None = 2
    conditional_shape: Any = None
    oracle: Oracle | None = field(default=None, repr=False)
    main: bool = False
    has_random_masks: bool = False
    has_true_loss_gradient: bool = True
    lowest: int = 0
    ends: bool = False
    condition_values: int | None = None

    def values(self, num_rows: int, seed: int = 0) -> np.ndarray:
        """Random events, `[num_rows, *event_shape]`."""
        generator = np.random.default_rng([seed, 7])
        shape = (num_rows, *self.event_shape)
        if self.support is None:
            return generator.normal(size=shape).astype(np.float32)
        drawn = generator.integers(self.lowest, self.lowest + self.support, size=shape).astype(np.float32)
        if self.ends:  # A row of an event of rows ends by 0, and a row without other values ends the event.
            drawn *= np.cumprod(drawn > 0, axis=-1)
        if self.ends and len(self.event_shape) == 2:
            drawn *= np.cumprod(drawn[:, :, :1] > 0, axis=1)
        return drawn

    def condition(self, num_rows: int, seed: int = 0) -> Any:
        """Random conditions, `[num_rows, *conditional_shape]`, a dict of them, or None."""
        generator = np.random.default_rng([seed, 8])
        shape = self.conditional_shape
        if self.condition_values is not None:
            return generator.integers(self.condition_values, size=(num_rows, *shape)).astype(np.float32)
        if isinstance(shape, dict):
            return {key: generator.normal(size=(num_rows, *s)).astype(np.float32) for key, s in shape.items()}
        return None if shape is None else generator.normal(size=(num_rows, *shape)).astype(np.float32)


def randomize(dist: Any, seed: int = 1, scale: float = 0.6, positive_biases: bool = False) -> Any:
    """Gives all trainable variables seeded normal values; positive biases keep the ReLUs of a deep network alive."""
    generator = np.random.default_rng(seed)
    for variable in dist.trainable_variables:
        value = generator.normal(0.0, scale, size=variable.shape)
        variable.assign(np.abs(value) if positive_biases and value.ndim == 1 else value)
    return dist


# Heads, made for each distribution, because two must not share one. --------------------------------------------------


def categorical() -> tfar.heads.Categorical:
    return tfar.heads.Categorical(3)


def normals() -> tfar.heads.NormalMixture:
    return tfar.heads.NormalMixture(2, min_scale=0.3)


def laplaces() -> tfar.heads.LaplaceMixture:
    return tfar.heads.LaplaceMixture(2, min_scale=0.3)


# Cases of each model, with small defaults. ---------------------------------------------------------------------------


def case_of(
    model: Any,
    oracle: Oracle,
    name: str,
    event_shape: Any,
    *,
    head: Any = tfar.heads.Bernoulli,
    main: bool = False,
    scale: float = 0.6,
    has_random_masks: bool = False,
    has_true_loss_gradient: bool = True,
    any_length: bool = False,
    positive_biases: bool = False,
    **kwargs: Any,
) -> Case:
    """A case of a model; `head` makes the head. With `any_length`, the model is copied with the length of the case."""
    event_shape = tuple(event_shape)

    def make() -> Any:
        dist = model(event_shape, head=head(), **kwargs)
        dist = randomize(dist, scale=scale, positive_biases=positive_biases)
        return dist.with_length(event_shape[0]) if any_length else dist

    condition = kwargs.get("conditional_shape")
    if any_length and isinstance(condition, dict):  # of as many frames as times
        condition = {key: tuple(event_shape[0] if n is None else n for n in s) for key, s in condition.items()}
    kind = f"{model.__name__}-{name}"
    flags = (main, has_random_masks, has_true_loss_gradient)
    return Case(kind, make, event_shape, head().support().num_values, condition, oracle, *flags)


def made(name: str, event_shape: Any = (5,), **kwargs: Any) -> Case:
    has_random_masks = "num_masks" in kwargs and kwargs["num_masks"] is None
    kwargs = {"hidden_units": [11], "has_random_masks": has_random_masks, **kwargs}
    return case_of(tfar.MADE, oracles.MADE, name, event_shape, **kwargs)


def nade(name: str, event_shape: Any = (5,), **kwargs: Any) -> Case:
    return case_of(tfar.NADE, oracles.NADE, name, event_shape, **{"hidden_units": 7, **kwargs})


def orderless(name: str, event_shape: Any = (5,), **kwargs: Any) -> Case:
    kwargs = {"hidden_units": [7, 6], "activation": "tanh", **kwargs}
    return case_of(tfar.OrderlessNADE, oracles.ORDERLESS_NADE, name, event_shape, **kwargs)


def any_order_transformer(name: str, event_shape: Any = (4,), **kwargs: Any) -> Case:
    sizes = {"units": 6, "num_layers": 1, "num_heads": 2, "mlp_units": 5}
    kwargs = {**sizes, "has_random_masks": "dropout_rate" in kwargs, **kwargs}
    return case_of(tfar.AnyOrderTransformer, oracles.ANY_ORDER_TRANSFORMER, name, event_shape, **kwargs)


def rnade(name: str, event_shape: Any = (2,), **kwargs: Any) -> Case:
    """In units that are not standard."""
    dims = int(np.prod(event_shape))
    loc, scale = np.linspace(-0.5, 0.4, dims + 2)[1:-1], np.linspace(0.7, 2.0, dims)
    units = {"loc": loc.reshape(event_shape).tolist(), "scale": scale.reshape(event_shape).tolist()}
    model = lambda shape, **arguments: tfar.RNADE(shape, **units, **arguments)  # noqa: E731
    model.__name__ = "RNADE"
    flags = {"has_true_loss_gradient": kwargs.get("scale_gradients") is False}
    return case_of(model, oracles.RNADE, name, event_shape, **{"hidden_units": 7, "head": normals, **flags, **kwargs})


def conv_nade(name: str, event_shape: Any = (3, 3), **kwargs: Any) -> Case:
    kwargs = {"filters": [4], "kernel_sizes": [2], "hidden_units": None, **kwargs}
    return case_of(tfar.ConvNADE, oracles.CONV_NADE, name, event_shape, **kwargs)


def cf_nade(name: str, num_items: int = 3, main: bool = False, **kwargs: Any) -> Case:
    """Of three ratings."""
    kwargs = {"hidden_units": [6], "num_ratings": 3, **kwargs}
    make = lambda: randomize(tfar.CFNADE(num_items, **kwargs))  # noqa: E731
    condition = kwargs.get("conditional_shape")
    return Case(f"CFNADE-{name}", make, (num_items,), kwargs["num_ratings"], condition, oracles.CF_NADE, main, lowest=1)


def implicit_cf_nade(name: str, num_items: int = 4, main: bool = False, **kwargs: Any) -> Case:
    kwargs = {"hidden_units": [6], **kwargs}
    make = lambda: randomize(tfar.ImplicitCFNADE(num_items, **kwargs))  # noqa: E731
    condition = kwargs.get("conditional_shape")
    return Case(f"ImplicitCFNADE-{name}", make, (num_items,), 2, condition, oracles.CF_NADE, main)


SMALL_IMAGES = {"filters": 6, "num_blocks": 1, "first_kernel_size": 3, "output_filters": [6]}


def pixel_cnn(name: str, event_shape: Any = (3, 3), **kwargs: Any) -> Case:
    kwargs = {**SMALL_IMAGES, "scale": 0.4, **kwargs}
    return case_of(tfar.PixelCNN, oracles.PIXEL_CNN, name, event_shape, **kwargs)


def gated_pixel_cnn(name: str, event_shape: Any = (3, 3), **kwargs: Any) -> Case:
    kwargs = {**SMALL_IMAGES, "scale": 0.3, "has_random_masks": "dropout_rate" in kwargs, **kwargs}
    return case_of(tfar.GatedPixelCNN, oracles.GATED_PIXEL_CNN, name, event_shape, **kwargs)


def mixtures(num_channels: int = 2) -> tfar.heads.DiscretizedLogisticMixture:
    """All channels of a pixel of three levels."""
    return tfar.heads.DiscretizedLogisticMixture(2, high=2, num_channels=num_channels)


def multiscale(name: str, event_shape: Any = (4, 2), **kwargs: Any) -> Case:
    sizes = {"filters": 4, "base_size": (2, 1), "num_blocks": 1, "scale": 0.4, "positive_biases": True}
    return case_of(tfar.MultiscalePixelCNN, oracles.MULTISCALE_PIXEL_CNN, name, event_shape, **{**sizes, **kwargs})


def row_lstm(name: str, event_shape: Any = (3, 3), **kwargs: Any) -> Case:
    kwargs = {"filters": 4, "first_kernel_size": 3, "output_filters": [6], "scale": 0.4, **kwargs}
    return case_of(tfar.RowLSTM, oracles.ROW_LSTM, name, event_shape, **kwargs)


def diagonal_bilstm(name: str, event_shape: Any = (3, 3), **kwargs: Any) -> Case:
    kwargs = {"filters": 4, "first_kernel_size": 3, "output_filters": [6], "scale": 0.4, **kwargs}
    return case_of(tfar.DiagonalBiLSTM, oracles.DIAGONAL_BILSTM, name, event_shape, **kwargs)


def features(num_channels: int | None = None) -> tfar.heads.GaussianScaleMixture:
    return tfar.heads.GaussianScaleMixture(2, 2, 2, num_inputs=4, num_channels=num_channels, min_scale=0.1)


def spatial_lstm(name: str, event_shape: Any = (3, 3), **kwargs: Any) -> Case:
    kwargs = {"units": 4, "num_layers": 1, "head": features, **kwargs}
    return case_of(tfar.SpatialLSTM, oracles.SPATIAL_LSTM, name, event_shape, **kwargs)


def pixel_cnn_plus_plus(name: str, event_shape: Any = (3, 2, 1), levels: int = 3, **kwargs: Any) -> Case:
    """Over images of `levels` values, without dropout."""
    main, condition = kwargs.pop("main", False), kwargs.get("conditional_shape")
    kwargs = {"num_blocks": 1, "num_levels": 1, "filters": 3, "num_components": 2, "dropout_rate": 0.0, **kwargs}

    def make() -> tfar.PixelCNNPlusPlus:
        return randomize(tfar.PixelCNNPlusPlus(event_shape, high=levels - 1, **kwargs))

    name = f"PixelCNNPlusPlus-{name}"
    return Case(name, make, tuple(event_shape), levels, condition, oracles.PIXEL_CNN_PLUS_PLUS, main)


def video_pixel_network(name: str, event_shape: Any = (3, 2, 2), **kwargs: Any) -> Case:
    sizes = {"filters": 3, "num_encoder_blocks": 1, "num_decoder_blocks": 1, "lstm_filters": 3, "first_kernel_size": 3}
    kwargs = {**sizes, "output_filters": [6], "scale": 0.5, **kwargs}
    return case_of(tfar.VideoPixelNetwork, oracles.VIDEO_PIXEL_NETWORK, name, event_shape, **kwargs)


def audio() -> tfar.heads.DiscretizedLogisticMixture:
    return tfar.heads.DiscretizedLogisticMixture(2, high=65535, num_channels=1, companding=255)


def wavenet(name: str, event_shape: Any = (6,), any_length: bool = False, **kwargs: Any) -> Case:
    """With `any_length`, of the length that `event_shape` gives to a series of any length."""
    sizes = {"filters": 4, "skip_filters": 6, "num_layers": 2, "num_stacks": 1, "head": categorical}

    def model(shape: Any, **arguments: Any) -> tfar.WaveNet:
        return tfar.WaveNet([None, *shape[1:]], **arguments) if any_length else tfar.WaveNet(shape, **arguments)

    model.__name__ = "WaveNet"
    return case_of(model, oracles.WAVENET, name, event_shape, any_length=any_length, **{**sizes, **kwargs})


def factorized(name: str, event_shape: Any = (3,), **kwargs: Any) -> Case:
    """With a dense layer where there is a condition."""
    dense = "conditional_shape" in kwargs

    def model(shape: Any, head: Any, **arguments: Any) -> tfar.Factorized:
        network = keras.layers.Dense(int(np.prod(shape)) * head.params_size, name="dense") if dense else None
        return tfar.Factorized(shape, head, network=network, **arguments)

    model.__name__ = "Factorized"
    return case_of(model, oracles.FACTORIZED, name, event_shape, **kwargs)


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
    condition = (3,) if conditional else None
    return Case(name, make, (4,), 2, condition, oracles.OWN_NETWORK, main=not conditional)


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
