"""PixelVAE: a variational autoencoder whose decoder is a Gated PixelCNN."""

from collections.abc import Sequence
from typing import Any

import keras

from tfar.distributions import images
from tfar.distributions.arguments import check_head, class_inputs, shape_tuple
from tfar.distributions.factorized import Factorized
from tfar.distributions.gated_pixel_cnn import make_network
from tfar.distributions.latent_variable import LatentVariable
from tfar.heads import Bernoulli, Head, Normal
from tfar.heads.base import check_positive_int
from tfar.laws.annealing import LinearAnnealing
from tfar.networks.latent_images import Convolutions, halved

CONDITIONS = ("bias", "upsample")


@keras.saving.register_keras_serializable("tfar")
class PixelVAE(LatentVariable):
    """Variational autoencoder over images: latents explain what is global, and a Gated PixelCNN the rest.

        p(x) = E_{z ~ N(0, I)} prod_i p(x_i | x_<i, z),    q(z | x) = N(loc(x), diag(scale(x))^2)

    The encoder is a network of convolutions. The decoder is that of `tfar.GatedPixelCNN`, so that a sample computes what
    depends on z once and every feature of a pixel once. z enters it in one of two ways:

        "bias"      V z is added to the features before every gate of both stacks, and to the output layers
        "upsample"  convolutions enlarge z to a map of the image's size, whose value at a pixel enters every gate

    With two levels, the latent is a map, such as 7 x 7 for images of 28 x 28 and two stages of the encoder. Its prior has a
    latent vector of `latent_dim` standard normals itself, given which a second Gated PixelCNN decides the map:

        p(x, z1, z2) = p(z2) p(z1 | z2) p(x | z1),    q(z1, z2 | x) = q(z1 | x) q(z2 | z1)

    `dist.prior` is the distribution of the map, a `tfar.LatentVariable`.

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        latent_dim: int. Number of latents.
        filters: int, a multiple of C. Number of features of each stack of the decoder.
        num_blocks: int. Number of blocks of the decoder after the first. Few blocks leave more to the latents.
        head: the head of a value: Bernoulli for binary images, Categorical for any number of levels. Default: Bernoulli.
        condition: "bias" or "upsample".
        num_levels: 1, or 2 for two levels of latents, with condition="upsample".
        map_channels: int. Number of latents at each place of the map, with two levels.
        encoder_filters: sequence of int. Features of each stage of the encoder, which halves height and width. The maps of
            "upsample" have the same in reverse order. With two levels, the last stage belongs to the encoder of the upper level.
        first_kernel_size: int or (height, width) of the first block of the decoder.
        kernel_size: int or (height, width) of its other blocks.
        output_filters: sequence of int, multiples of C. Features of the 1x1 convolutions before the parameters. Default: two of
            `filters`.
        kl_annealing_steps: int. The weight of the KL term in the training loss rises linearly from `1 / kl_annealing_steps` at
            the first step to 1; 1 for a weight of 1 from the start.
        one_hot_inputs: as for `tfar.GatedPixelCNN`.
        seed: int. Determines the initial weights.
        jit_compile: bool. Compile eager calls with XLA.
        name: str.

    Raises:
        ValueError: If a size is out of range, if features cannot be split evenly among the channels, or if `condition` is
            unknown or does not fit `num_levels`.

    Example:
        >>> dist = tfar.PixelVAE([4, 4], 2, filters=4, num_blocks=1, encoder_filters=[4])
        >>> images = dist.decode([[0.0, 0.0], [1.0, 0.0]]).sample(4, seed=1)  # four of each latent
        >>> images.shape, dist.elbo(images, seed=2).shape
        (TensorShape([4, 2, 4, 4]), TensorShape([4, 2]))

    References:
        Gulrajani, Kumar, Ahmed, Taiga, Visin, Vazquez and Courville. PixelVAE: a latent variable model for natural images.
        ICLR 2017, sections 3.1 and 3.2. https://arxiv.org/abs/1611.05013

    Notes:
        The settings of the paper for binarised MNIST are `latent_dim=16, filters=16, num_blocks=12, kernel_size=5`. Its code
        normalises weights, and its output layers are gated; here weights are not normalised, and a ReLU precedes the output
        layers as in `tfar.GatedPixelCNN`. The channels at a place of the map depend on each other, where those of the paper
        are independent. "upsample" adds the map to every gate, where the paper concatenates it to the input. The layers of the
        map have layer normalisation, which keeps it from saturating the gates at the beginning of training.
    """

    def __init__(
        self,
        event_shape: Any,
        latent_dim: int,
        *,
        filters: int = 16,
        num_blocks: int = 4,
        head: Head | None = None,
        condition: str = "bias",
        num_levels: int = 1,
        map_channels: int = 4,
        encoder_filters: Sequence[int] = (32, 64, 64),
        first_kernel_size: int | Sequence[int] = 7,
        kernel_size: int | Sequence[int] = 5,
        output_filters: Sequence[int] | None = None,
        kl_annealing_steps: int = 10_000,
        one_hot_inputs: bool | None = None,
        seed: int = 0,
        jit_compile: bool = True,
        name: str = "PixelVAE",
    ) -> None:
        head = Bernoulli() if head is None else check_head(head)
        shape, seed = images.image_shape(event_shape), check_positive_int("seed", seed, lowest=0)
        inputs, make = class_inputs(head, one_hot_inputs), Convolutions(seed)
        if condition not in CONDITIONS:
            raise ValueError(f"Expected `condition` to be one of {CONDITIONS}; received {condition!r}.")
        stages = _stages(encoder_filters, condition, num_levels)
        top_shape = (check_positive_int("latent_dim", latent_dim),)
        latent_shape: tuple[int, ...] = top_shape
        kernels: dict[str, Any] = {
            "first_kernel_size": first_kernel_size,
            "kernel_size": kernel_size,
            "num_blocks": num_blocks,
        }
        top = Factorized(top_shape, Normal(), trainable=False, jit_compile=jit_compile)
        prior: Factorized | LatentVariable = top
        if num_levels == 2:
            latent_shape = (*halved(shape, len(stages)), check_positive_int("map_channels", map_channels))
            prior = _map_prior(make, top, latent_shape, filters, encoder_filters[-1], seed, jit_compile, **kernels)
        params = 2 * latent_shape[-1]
        network = make.encoder(shape, stages, params, num_classes=inputs["num_classes"], to_map=num_levels == 2)
        decoder = make_network(
            shape,
            filters,
            head,
            **kernels,
            output_filters=(filters, filters) if output_filters is None else output_filters,
            conditional_shape=latent_shape,
            condition_network=None if condition == "bias" else make.upsampling(latent_shape, shape[:2], stages[::-1]),
            condition_outputs=condition == "bias",
            seed=seed,
            **inputs,
        )
        steps = check_positive_int("kl_annealing_steps", kl_annealing_steps)
        super().__init__(
            prior,
            Factorized(latent_shape, Normal(), network=network, conditional_shape=shape, jit_compile=jit_compile),
            images.ImageAutoregressive(decoder, head, jit_compile=jit_compile),
            kl_weight=LinearAnnealing(steps, start=1.0 / steps),
            jit_compile=jit_compile,
            name=name,
        )


def _stages(encoder_filters: Sequence[int], condition: str, num_levels: int) -> tuple[int, ...]:
    """Returns the features of the stages of the encoder from images to the lowest latent, or raises ValueError."""
    stages = shape_tuple("encoder_filters", encoder_filters)
    if num_levels not in (1, 2):
        raise ValueError(f"Expected `num_levels` to be 1 or 2; received {num_levels!r}.")
    if num_levels == 1:
        return stages
    if condition != "upsample":
        raise ValueError(
            f"Expected condition='upsample' with num_levels=2, whose lower latent is a map; received {condition!r}."
        )
    if len(stages) < 2:
        raise ValueError(
            "Expected `encoder_filters` of at least 2 stages with num_levels=2, of which the last one leads from the map to the "
            f"upper latent; received {encoder_filters!r}."
        )
    return stages[:-1]


def _map_prior(
    make: Convolutions,
    top: Factorized,
    shape: tuple[int, ...],
    filters: int,
    encoder_filters: int,
    seed: int,
    jit_compile: bool,
    **kernels: Any,
) -> LatentVariable:
    """Returns the distribution of a map of latents `[h, w, c]`: a Gated PixelCNN of normals, given the upper latent."""
    top_shape, channels = tuple(top.event_shape), shape[-1]
    network = make.encoder(shape, (encoder_filters,), 2 * top_shape[0], num_classes=None, to_map=False)
    width = -(-filters // channels) * channels  # features are split among the channels
    decoder = make_network(
        shape,
        width,
        Normal(),
        **kernels,
        output_filters=(width, width),
        conditional_shape=top_shape,
        condition_outputs=True,
        seed=seed + 1,
    )
    return LatentVariable(
        top,
        Factorized(top_shape, Normal(), network=network, conditional_shape=shape, jit_compile=jit_compile),
        images.ImageAutoregressive(decoder, Normal(), jit_compile=jit_compile),
        jit_compile=jit_compile,
    )
