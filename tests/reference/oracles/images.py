"""PixelCNN, Gated PixelCNN, Row LSTM, Diagonal BiLSTM, spatial LSTM, PixelCNN++ and multiscale PixelCNN."""

import functools
from typing import Any

import numpy as np

import tfar
from tests.reference import (
    gated_pixel_cnn,
    logistics,
    made,
    multiscale,
    pixel_cnn,
    pixel_cnn_plus_plus,
    pixel_rnn,
    receptive_fields,
    scale_mixtures,
    spatial_lstm,
)
from tests.reference.oracles.parts import Array, Oracle, exact, features_of, inputs_of, sum_of_sites, weights_of


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else tuple(size)


def _colours(dist: Any) -> int:
    return int(np.prod(dist.parameters["event_shape"][2:]))


def _sets(dist: Any, groups: int) -> Array:
    return receptive_fields.image(*dist.parameters["event_shape"][:2], groups)


def _kernel_sizes(dist: Any) -> tuple[Any, ...]:
    arguments = dist.parameters
    return _pair(arguments["first_kernel_size"]), _pair(arguments["kernel_size"]), arguments["num_blocks"]


def _image(dist: Any, x: Array) -> Array:
    """Returns the inputs of an event, `[H, W, C I]`."""
    return inputs_of(dist, x.ravel()).reshape(*x.shape[:2], -1)


def _pixel_cnn_log_prob(dist: Any, x: Array, condition: Any) -> float:
    found = weights_of(dist.network)
    names = {path.split("/")[0] for path in found}
    layers = {name: pixel_cnn.Layer(found[f"{name}/kernel"], found[f"{name}/bias"]) for name in names}
    return sum_of_sites(dist.head, pixel_cnn.parameters(layers, _image(dist, x), _colours(dist)), x.ravel())


def weights_of_gated(network: Any) -> dict[str, Array]:
    """Returns the weights of a Gated PixelCNN by the names that the reference uses."""
    found = {name.removesuffix("/v") + "/kernel" * name.endswith("/v"): v for name, v in weights_of(network).items()}
    return {name: v[0, 0] if "link_" in name and v.ndim == 4 else v for name, v in found.items()}


def _gated_log_prob(dist: Any, x: Array, condition: Any) -> float:
    params = gated_pixel_cnn.parameters(
        weights_of_gated(dist.network), _image(dist, x), _colours(dist), _named(condition)
    )
    return sum_of_sites(dist.head, params, x.ravel())


def _named(condition: Any) -> dict[str, Array]:
    """Returns the parts of a condition by the names of the weights that they have."""
    if isinstance(condition, dict):
        return {f"condition_{name}": np.asarray(part, np.float64) for name, part in condition.items()}
    return {} if condition is None else {"condition": np.asarray(condition, np.float64)}


def _connectivity(dist: Any, rule: Any) -> Array:
    return rule(_sets(dist, _colours(dist)), *_kernel_sizes(dist))[None]


PIXEL_CNN = exact(_pixel_cnn_log_prob, lambda dist: _connectivity(dist, receptive_fields.pixel_cnn))
GATED_PIXEL_CNN = exact(_gated_log_prob, lambda dist: _connectivity(dist, receptive_fields.gated_pixel_cnn))

# PixelRNNs -----------------------------------------------------------------------------------------------------------


def _pixel_rnn_log_prob(dist: Any, x: Array, condition: Any) -> float:
    diagonal = "close_blind_spot" in dist.parameters
    weights, parts = weights_of(dist.network), _named(condition)
    params = pixel_rnn.parameters(weights, _image(dist, x), _colours(dist), parts, diagonal=diagonal)
    return sum_of_sites(dist.head, params, x.ravel())


def _pixel_rnn_connectivity(dist: Any) -> Array:
    arguments = dist.parameters
    if "close_blind_spot" in arguments:
        states = functools.partial(pixel_rnn.diagonal_states, sees_own=arguments["close_blind_spot"])
    else:
        states = functools.partial(pixel_rnn.row_states, size=arguments["kernel_size"])
    image = _sets(dist, _colours(dist))
    return pixel_rnn.connectivity(image, _pair(arguments["first_kernel_size"]), arguments["num_layers"], states)[None]


ROW_LSTM = exact(_pixel_rnn_log_prob, _pixel_rnn_connectivity)
DIAGONAL_BILSTM = exact(_pixel_rnn_log_prob, _pixel_rnn_connectivity)

# Spatial LSTM --------------------------------------------------------------------------------------------------------


def _spatial_log_prob(dist: Any, x: Array, condition: Any) -> float:
    """A head of features takes them as they are, at the location that the linear prediction gives."""
    head, x, log_scale = dist.head, np.asarray(x, np.float64), 0.0
    if isinstance(head, tfar.heads.Standardized):
        loc, scale = (float(unit) for unit in (head.units.loc, head.units.scale))
        head, x, log_scale = head.head, (x - loc) / scale, x.size * np.log(scale)
    pixels, low, high = x.reshape(*x.shape[:2], -1), head.support().low, head.support().high
    image = pixels if np.isinf(high) else 2.0 * (pixels - low) / (high - low) - 1.0
    sites = 1 if head.site_shape else pixels.shape[-1]
    image = image.reshape(*x.shape[:2], sites, -1)
    image = np.concatenate([image, np.ones_like(image[..., :1])], axis=-1).reshape(*x.shape[:2], -1)
    params = spatial_lstm.parameters(weights_of(dist.network), image, sites, _named(condition))
    if isinstance(head, tfar.heads.GaussianScaleMixture):
        weights, units = scale_mixtures.weights_of(head), dist.parameters["units"]
        of_pixels = [
            scale_mixtures.log_prob(weights, *np.split(params[place], [units]), pixels[place])
            for place in np.ndindex(x.shape[:2])
        ]
        return sum(of_pixels) - log_scale
    if isinstance(head, tfar.heads.DiscretizedLogisticMixture):
        sizes = head.num_components, head.low, head.high
        of_pixels = [logistics.pixel_prob(params[place], pixels[place], *sizes) for place in np.ndindex(x.shape[:2])]
        return float(np.sum(np.log(of_pixels)))
    return sum_of_sites(head, params, x.ravel())


def _under_symmetries(dist: Any, image: Array) -> list[Array]:
    """Returns an image and its mirror images, first from left to right; then the same of the transposed image."""
    found = []
    for x in (image, image.swapaxes(0, 1)):
        found += [x, x[:, ::-1], x[::-1], x[::-1, ::-1]]
    return found[: dist.parameters["num_symmetries"]]


def _spatial_members(dist: Any, x: Array, condition: Any) -> list[float]:
    """The maps of a condition have the symmetry of the image."""
    images, parts = _under_symmetries(dist, x), condition if isinstance(condition, dict) else {"": condition}
    found = {
        name: _under_symmetries(dist, part) if np.ndim(part) == 3 else [part] * len(images)
        for name, part in parts.items()
    }
    conditions = [{name: own[member] for name, own in found.items()} for member in range(len(images))]
    if not isinstance(condition, dict):
        conditions = [own[""] for own in conditions]
    return [_spatial_log_prob(dist, image, own) for image, own in zip(images, conditions, strict=True)]


def _spatial_connectivity(dist: Any) -> Array:
    """A member has the connectivity of the network, for the sites of its image."""
    arguments, sites = dist.parameters, 1 if dist.head.site_shape else _colours(dist)
    image, found = np.arange(dist.num_sites).reshape(*arguments["event_shape"][:2], sites), []
    own = spatial_lstm.connectivity(_sets(dist, sites), arguments["neighbourhood"], arguments["num_layers"])
    for transformed in _under_symmetries(dist, image):
        found.append(np.zeros_like(own))
        found[-1][np.ix_(transformed.ravel(), transformed.ravel())] = own
    return np.stack(found)


SPATIAL_LSTM = Oracle(
    lambda dist, x, condition: made.ensemble(_spatial_members(dist, x, condition)),
    _spatial_connectivity,
    lambda dist, x, condition: -float(np.mean(_spatial_members(dist, x, condition))),
)

# PixelCNN++ ----------------------------------------------------------------------------------------------------------


def _kernel(layer: Any) -> Array:
    """Returns the kernel of a layer, of length g in the direction of v for each output channel."""
    v = np.asarray(layer.v, np.float64)
    if not layer.use_weight_norm:
        return v
    transposed = type(layer).__name__ == "ShiftedConv2DTranspose"
    v = v.transpose(0, 1, 3, 2) if transposed else v
    kernel = pixel_cnn_plus_plus.normalized(v, np.asarray(layer.g))
    return kernel.transpose(0, 1, 3, 2) if transposed else kernel


def _convolved(layer: Any, x: Array, shift: str, **how: Any) -> Array:
    return pixel_cnn_plus_plus.convolve(x, _kernel(layer), np.asarray(layer.bias), shift, **how)


def _block(block: Any, x: Array, z: Array | None, features: Any, shift: str) -> Array:
    found: dict[str, Array] = {}
    for name in ("conv_1", "conv_2", "shortcut"):
        layer = getattr(block, name)
        if layer is not None:
            found[name], found[f"{name}_bias"] = _kernel(layer), np.asarray(layer.bias)
    if block.condition is not None:
        found["condition"], found["condition_bias"] = (np.asarray(v) for v in block.condition.weights)
    return pixel_cnn_plus_plus.gated_block(found, x, z, features, block.activation, shift)


class _Stack:
    """One of the two stacks (ICLR 2017, figure 2): down through the levels, and up with a shortcut to each feature.

    `outputs` are those of its blocks, in turn; `beside` yields those of the other stack.
    """

    def __init__(self, stack: Any, shift: str, features: Any, beside: Any = None) -> None:
        self.stack, self.shift, self.features, self.beside = stack, shift, features, beside
        self.outputs: list[Array] = []

    def block(self, block: Any, x: Array, shortcut: Array | None) -> Array:
        parts = [] if self.beside is None else [next(self.beside)]
        parts += [] if shortcut is None else [shortcut]
        z = np.concatenate(parts, -1) if parts else None
        self.outputs.append(_block(block, x, z, self.features, self.shift))
        return self.outputs[-1]

    def run(self, x: Array, level: int = 0) -> Array:
        stack, passed = self.stack, [x]
        for block in stack.down[level]:
            passed.append(self.block(block, passed[-1], None))
        if level + 1 < len(stack.down):
            small = _convolved(stack.contract[level], passed[-1], self.shift, strides=2)
            expand, size = stack.expand[level], passed[-1].shape[:2]
            bias = np.asarray(expand.bias)
            x = pixel_cnn_plus_plus.expand(self.run(small, level + 1), _kernel(expand), bias, self.shift, size)
        else:
            x = passed.pop()
        for block in stack.up[level]:
            x = self.block(block, x, passed.pop())
        return x


def _plus_plus_log_prob(dist: Any, x: Array, condition: Any) -> float:
    network, features = dist.network, features_of(condition)
    low, high = dist.parameters["low"], dist.parameters["high"]
    image = 2.0 * (np.asarray(x, np.float64) - low) / (high - low) - 1.0
    vertical = _Stack(network.vertical, "down", features)
    vertical.run(_convolved(network.first_vertical, image, "down", strict=True))
    first = _convolved(network.first_up, image, "down", strict=True)
    first += _convolved(network.first_left, image, "down_right", strict=True)
    last = _Stack(network.horizontal, "down_right", features, iter(vertical.outputs)).run(first)
    params = _convolved(network.outputs, pixel_cnn_plus_plus.elu(last), "down_right")
    count, result = dist.parameters["num_components"], 0.0
    for pixel in np.ndindex(x.shape[:2]):
        result += np.log(logistics.pixel_prob(params[pixel], x[pixel], count, low, high))
    return float(result)


def _plus_plus_connectivity(dist: Any) -> Array:
    arguments = dist.parameters
    sizes = _pair(arguments["kernel_size"]), arguments["num_blocks"], arguments["num_levels"]
    return receptive_fields.pixel_cnn_plus_plus(_sets(dist, 1), *sizes)[None]


PIXEL_CNN_PLUS_PLUS = exact(_plus_plus_log_prob, _plus_plus_connectivity)

# Multiscale PixelCNN -------------------------------------------------------------------------------------------------


def _num_scales(dist: Any) -> int:
    arguments = dist.parameters
    return int(np.log2(arguments["event_shape"][0] / _pair(arguments["base_size"])[0]))


def _patch(dist: Any) -> tuple[int, int]:
    return _pair(dist.parameters["patch_size"]) if dist.parameters["upscaling"] == "B" else (1, 1)


def _multiscale_log_prob(dist: Any, x: Array, condition: Any) -> float:
    head, shared = dist.head, dist.parameters["share_scales"]
    joint = bool(head.site_shape)  # all channels of a pixel at once
    image = 2.0 * (x.astype(float) - head.low) / (head.high - head.low) - 1.0 if joint else _image(dist, x)
    colours = 1 if joint else _colours(dist)
    where = (_num_scales(dist), _patch(dist), features_of(condition), colours, shared)
    total, seen = 0.0, set()
    for pixel, params in multiscale.parameters(weights_of(dist.network), image, *where):
        seen.add(pixel)
        if joint:
            total += np.log(logistics.pixel_prob(params, x[pixel], head.num_components, head.low, head.high))
        else:
            total += sum_of_sites(head, params, np.ravel(x[pixel]))
    assert len(seen) == np.prod(x.shape[:2])
    return float(total)


def _multiscale_connectivity(dist: Any) -> Array:
    channels = 1 if dist.head.site_shape else _colours(dist)
    shape = (*dist.parameters["event_shape"][:2], channels)
    reach = 1 + 2 * dist.parameters["num_blocks"]
    return multiscale.connectivity(shape, _num_scales(dist), reach, _patch(dist))[None]


MULTISCALE_PIXEL_CNN = exact(_multiscale_log_prob, _multiscale_connectivity)
