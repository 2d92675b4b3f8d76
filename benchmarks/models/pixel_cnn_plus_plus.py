"""PixelCNN++: Salimans et al., ICLR 2017. Its speed and its likelihood, with all their settings."""

from __future__ import annotations

import functools
from typing import Any

from benchmarks import tfar_side
from benchmarks.cases import Contestant, LikelihoodCase, ModelCases, Settings, SpeedCase, Target
from benchmarks.peers import codecs, tfp_pixel_cnn
from benchmarks.ratios import faster_than, ratio_to_fastest

# Speed: TensorFlow Probability's own example of digits, with the names of its arguments.
IMAGE, BATCH = (28, 28, 1), 16
ARGUMENTS = {"num_resnet": 1, "num_hierarchies": 2, "num_filters": 32, "num_logistic_mix": 5, "dropout_p": 0.3}
QUICK_IMAGE, QUICK_BATCH = (4, 4, 1), 4
QUICK_ARGUMENTS = {**ARGUMENTS, "num_hierarchies": 1, "num_filters": 4}
OURS, PEER = "tfar", "TFP"
# Our time over the peer's, at most; and how many times faster a batch of samples must be.
SHARES, SAMPLES_FASTER = {"log_prob": 1.0, "train_step": 1.0}, 200.0

# Likelihood: patches of photographs. The paper's model of CIFAR-10 has 5 blocks, 3 levels and 160 filters and trains for days;
# this one is of a size for less than an hour of one core. Adam, averaged weights and dropout are the paper's; its learning rate
# falls as slowly as days of training ask for, here it falls in each of the last epochs. The limit: what PNG needs with a file a
# patch, as `python -m benchmarks.peers.codecs` prints it, in nats.
PATCH = (32, 32, 3)
PATCH_ARGUMENTS = {"num_blocks": 1, "num_levels": 2, "num_components": 10}
PATCHES = Settings(
    hidden_units=(48,),
    activation="concat_elu",
    dropout_rate=0.1,
    learning_rate=1e-3,
    ema_momentum=0.998,
    batch_size=16,
    max_epochs=10,
    patience=6,
    decay_epochs=5,
    decay_factor=0.6,
)
PNG_NATS = 5840.3


def build_ours(image: tuple[int, int, int], batch_size: int, arguments: dict[str, Any]) -> Contestant:
    """Our contestant: log_prob, the sampler and the train step that `fit` runs."""
    import tfar

    dist = tfar.PixelCNNPlusPlus.from_tfp(image, **arguments)
    event_size = image[0] * image[1] * image[2]
    return tfar_side.contestant(dist, event_size, batch_size)


def build_patches(settings: Settings, event_size: int) -> tuple[Any, Any]:
    """The distribution of the likelihood case and the `DensityModel` that trains it."""
    import tfar

    dist = tfar.PixelCNNPlusPlus(
        PATCH,
        filters=settings.hidden_units[0],
        dropout_rate=settings.dropout_rate,
        activation=settings.activation,
        seed=settings.seed,
        **PATCH_ARGUMENTS,
    )
    return dist, tfar.training.DensityModel(dist, seed=settings.seed)


def compare_codecs(splits: Any) -> dict[str, float]:
    """What codecs need for the test patches, in bits per dimension."""
    return codecs.bits_per_dim(splits.test)


def speed_targets() -> list[Target]:
    """No slower than the peer, and far faster at sampling."""
    targets = []
    for operation, share in SHARES.items():
        value = functools.partial(ratio_to_fastest, ours=OURS, peers=(PEER,), operation=operation)
        targets.append(Target(f"{OURS}: {operation} / {PEER}", "<=", share, value))
    faster = functools.partial(faster_than, ours=OURS, peer=PEER, operation="sample")
    return [*targets, Target(f"{PEER}: sample / {OURS}", ">=", SAMPLES_FASTER, faster)]


def speed_case(
    name: str, image: tuple[int, int, int], batch_size: int, arguments: dict[str, Any], *, quick: bool = False
) -> SpeedCase:
    """Both at one size."""
    sizes = (image, batch_size, arguments)
    contestants = {OURS: functools.partial(build_ours, *sizes), PEER: functools.partial(tfp_pixel_cnn.build, *sizes)}
    settings = {"image_shape": list(image), "batch_size": batch_size, **arguments, "dtype": "float32"}
    targets = [] if quick else speed_targets()
    return SpeedCase(f"pixel-cnn-plus-plus-{name}", settings, contestants, targets, quick=quick)


CASES = ModelCases(
    speed=[
        speed_case("28x28", IMAGE, BATCH, ARGUMENTS),
        speed_case("quick", QUICK_IMAGE, QUICK_BATCH, QUICK_ARGUMENTS, quick=True),
    ],
    likelihood=[
        LikelihoodCase(
            "pixel-cnn-plus-plus-patches",
            "PixelCNN++ 48",
            "photo_patches_32",
            PATCHES,
            build_patches,
            None,
            "",
            PNG_NATS,
            event_shape=PATCH,
            beside=compare_codecs,
        )
    ],
)
