"""Video Pixel Network, ICML 2017 (Kalchbrenner et al.): speed and likelihoods, with all their settings."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from benchmarks import tfar_side, videos
from benchmarks.cases import Contestant, LikelihoodCase, Medians, ModelCases, Settings, SpeedCase, Target
from benchmarks.peers import torch_video
from benchmarks.ratios import ratio_to_fastest, ratio_within

OURS, TORCH = "tfar", "PyTorch"
VIDEO = (10, 32, 32)
# Of the paper's sizes, 128 features, 8 and 12 blocks and an LSTM of 256, an eighth and a third, for training on two cores.
SIZES = {"filters": 16, "num_encoder_blocks": 3, "num_decoder_blocks": 4, "lstm_filters": 32}
QUICK_VIDEO = (3, 8, 8)
QUICK_SIZES = {"filters": 2, "num_encoder_blocks": 1, "num_decoder_blocks": 1, "lstm_filters": 4}
SAMPLE_TO_LOG_PROB, TIMES_A_PASS_A_PIXEL = 3.0, 100.0
ONE_PIXEL = "sample, one pixel"


@dataclasses.dataclass(frozen=True)
class VideoSettings(Settings):
    """Settings of a model of videos; `hidden_units` has the number of filters."""

    hidden_units: tuple[int, ...] = (SIZES["filters"],)
    num_encoder_blocks: int = SIZES["num_encoder_blocks"]
    num_decoder_blocks: int = SIZES["num_decoder_blocks"]
    learning_rate: float = 2e-3
    ema_momentum: float | None = 0.999
    batch_size: int = 4
    clip_norm: float | None = 1.0
    max_epochs: int = 4
    decay_epochs: int = 2
    decay_factor: float = 0.5

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes of the network."""
        blocks = {"num_encoder_blocks": self.num_encoder_blocks, "num_decoder_blocks": self.num_decoder_blocks}
        return {"filters": self.hidden_units[0], "lstm_filters": 2 * self.hidden_units[0], **blocks}


def build_model(settings: VideoSettings, event_size: int, *, factorized: bool = False) -> tuple[Any, Any]:
    """The distribution of a likelihood case and the `DensityModel` that trains it."""
    import tfar

    if factorized:
        dist: Any = factorized_video(VIDEO, seed=settings.seed, **settings.sizes)
    else:
        dist = tfar.VideoPixelNetwork(VIDEO, seed=settings.seed, **settings.sizes)
    return dist, tfar.training.DensityModel(dist, seed=settings.seed)


def factorized_video(event_shape: tuple[int, int, int], *, seed: int, **sizes: int) -> Any:
    """The paper's baseline: the pixels of a frame are independent of each other given the past (section 5).

    The encoder and the LSTM are those of the model. The decoder has as many blocks, without masks, and sees the state alone.
    """
    import keras
    import tensorflow as tf

    import tfar
    from tfar.layers import FrameConv2D
    from tfar.layers.causal import Parallel
    from tfar.networks.frame_decoder import multiplicative_block, multiplicative_layers

    class Network(keras.layers.Layer):
        """Parameters of each frame, from the state of the LSTM before it."""

        def __init__(self) -> None:
            super().__init__()
            model = tfar.VideoPixelNetwork(event_shape, seed=seed, **sizes).network
            self.first, self.encoder, self.lstm = model.first, model.encoder, model.lstm
            self.seeds = iter(range(10_000, 20_000))
            width = 2 * sizes["filters"]
            self.widen = self.convolution("widen", model.lstm_filters, width, 1)
            self.decoder = [
                multiplicative_layers(self.convolution, f"block_{n}", sizes["filters"], (3, 3))
                for n in range(sizes["num_decoder_blocks"])
            ]
            self.hidden = self.convolution("hidden", width, width, 1)
            self.params = self.convolution("params", width, 1, 1)

        def convolution(self, name: str, inputs: int, filters: int, kernel_size: Any) -> Any:
            initializer = keras.initializers.GlorotUniform(seed=seed + next(self.seeds))
            layer = FrameConv2D(filters, kernel_size, kernel_initializer=initializer, name=name)
            layer.build((None, *event_shape, inputs))
            return layer

        def call(self, x: Any) -> Any:
            run, features = Parallel(), self.first(x[:, :-1, ..., None])
            for block in self.encoder:
                features = multiplicative_block(run, block, features)
            context = tf.pad(self.lstm(features), [[0, 0], [1, 0], [0, 0], [0, 0], [0, 0]])
            features = self.widen(context)
            for block in self.decoder:
                features = multiplicative_block(run, block, features)
            return self.params(tf.nn.relu(self.hidden(tf.nn.relu(features))))

    return tfar.Autoregressive(Network(), tfar.heads.Bernoulli(), event_shape)


# Speed ---------------------------------------------------------------------------------------------------------------


def build_ours(video: tuple[int, int, int], sizes: Mapping[str, int], batch_size: int) -> Contestant:
    """Our contestant."""
    import tfar

    return tfar_side.contestant(tfar.VideoPixelNetwork(video, **sizes), video[0] * video[1] * video[2], batch_size)


def build_peer(video: tuple[int, int, int], sizes: Mapping[str, int], batch_size: int) -> Contestant:
    """The PyTorch peer, whose samples take a pass of the decoder for each pixel; one of these is measured."""
    return torch_video.build(video, batch_size, one_pixel=ONE_PIXEL, **sizes)


def pass_a_pixel(medians: Medians, *, num_pixels: int) -> float | None:
    """Returns the time of a pass of the peer's decoder for each pixel, divided by the time of our samples."""
    theirs, ours = medians.get(TORCH, {}).get(ONE_PIXEL), medians.get(OURS, {}).get("sample")
    return None if theirs is None or ours is None else num_pixels * theirs / ours


def speed_targets(video: tuple[int, int, int]) -> list[Target]:
    """The limits of a full case."""
    ratio = functools.partial(ratio_to_fastest, ours=OURS, peers=(TORCH,))
    found = [
        Target(f"{OURS}: {op} / PyTorch", "<=", 1.0, functools.partial(ratio, operation=op))
        for op in ("log_prob", "train_step")
    ]
    within = functools.partial(ratio_within, ours=OURS, operation="sample", unit="log_prob")
    found.append(Target(f"{OURS}: sample / log_prob", "<=", SAMPLE_TO_LOG_PROB, within))
    count = video[0] * video[1] * video[2]
    passes = functools.partial(pass_a_pixel, num_pixels=count)
    found.append(Target(f"PyTorch: {count} decoder passes / {OURS}: sample", ">=", TIMES_A_PASS_A_PIXEL, passes))
    return found


def speed_case(
    name: str, video: tuple[int, int, int], sizes: Mapping[str, int], batch_size: int, *, quick: bool = False
) -> SpeedCase:
    """The model beside the peer's."""
    make = {OURS: functools.partial(build_ours, video, sizes, batch_size)}
    make[TORCH] = functools.partial(build_peer, video, sizes, batch_size)
    settings = {"event_shape": list(video), **sizes, "batch_size": batch_size, "dtype": "float32"}
    return SpeedCase(name, settings, make, [] if quick else speed_targets(video), quick=quick)


def likelihood_case(
    name: str, digits: int, target: float | None, note: str = "", factorized: bool = False
) -> LikelihoodCase:
    """A model on videos of wandering digits."""
    return LikelihoodCase(
        name,
        f"VideoPixelNetwork {SIZES['filters']}{note}, a predicted frame",
        f"wandering_mnist_{digits}",
        VideoSettings(),
        functools.partial(build_model, factorized=factorized),
        None,
        "",
        target,
        event_shape=VIDEO,
        jit_compile=False,
        quick={"hidden_units": (2,), "num_encoder_blocks": 1, "num_decoder_blocks": 1, "batch_size": 4},
        run=videos.run,
    )


CASES = ModelCases(
    speed=[
        speed_case("video-pixel-network-10x32x32", VIDEO, SIZES, 16),
        speed_case("video-pixel-network-quick", QUICK_VIDEO, QUICK_SIZES, 4, quick=True),
    ],
    likelihood=[
        likelihood_case("video-pixel-network-wandering-mnist", 2, 51.2),
        likelihood_case("video-pixel-network-wandering-mnist-one-digit", 1, 27.4),
        likelihood_case(
            "video-pixel-network-wandering-mnist-factorized", 2, None, note=", pixels of a frame apart", factorized=True
        ),
    ],
)
