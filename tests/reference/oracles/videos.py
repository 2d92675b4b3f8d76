"""The Video Pixel Network."""

from typing import Any

import numpy as np

from tests.reference import video_pixel_network
from tests.reference.oracles.images import weights_of_gated
from tests.reference.oracles.parts import Array, exact, inputs_of, sum_of_sites, weights_of


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else tuple(size)


def _colours(dist: Any) -> int:
    return int(np.prod(dist.parameters["event_shape"][3:]))


def _has_two_stacks(dist: Any) -> bool:
    return dist.parameters["decoder"] == "gated"


def _dilations(dist: Any) -> list[int]:
    rates = dist.parameters["dilation_rates"]
    return [rates[block % len(rates)] for block in range(dist.parameters["num_encoder_blocks"])]


def _by_frame(condition: Any, num_frames: int) -> Array | None:
    """Returns all parts of the condition of each frame, `[T, K]`, in the order of their names."""
    parts = [condition[name] for name in sorted(condition)] if isinstance(condition, dict) else [condition]
    if condition is None:
        return None
    parts = [np.asarray(part, np.float64) for part in parts]
    return np.array([np.concatenate([p if p.ndim == 1 else p[t] for p in parts]) for t in range(num_frames)])


def _log_prob(dist: Any, x: Array, condition: Any) -> float:
    frames = inputs_of(dist, x.ravel()).reshape(*x.shape[:3], -1)
    weights, y = weights_of(dist.network), _by_frame(condition, len(x))
    two_stacks = None
    if _has_two_stacks(dist):
        two_stacks = {name.removeprefix("decoder/"): v for name, v in weights_of_gated(dist.network).items()}
    params = video_pixel_network.parameters(weights, frames, _colours(dist), _dilations(dist), y, two_stacks)
    return sum_of_sites(dist.head, params, x.ravel())


def _connectivity(dist: Any) -> Array:
    shape, arguments = tuple(dist.parameters["event_shape"]), dist.parameters
    count = int(np.prod(shape))
    sets = np.eye(count, dtype=bool).reshape(*shape[:3], _colours(dist), count)
    sizes = _pair(arguments["first_kernel_size"]), _pair(arguments["kernel_size"])
    how = arguments["num_decoder_blocks"], _dilations(dist)
    return video_pixel_network.connectivity(sets, *sizes, *how, two_stacks=_has_two_stacks(dist))[None]


VIDEO_PIXEL_NETWORK = exact(_log_prob, _connectivity)
