"""The network of a multiscale PixelCNN: a small picture, and three groups of pixels for each doubling of its size."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfar import random
from tfar.networks.base import Weights
from tfar.networks.conditions import State, condition_size, flatten_condition
from tfar.networks.inputs import SiteEncoding
from tfar.networks.patches import PatchPhase, WholePhase, from_patches, to_patches
from tfar.networks.phases import Phase, PhasedNetwork
from tfar.networks.pixel_cnn import PixelCNNNetwork
from tfar.networks.scales import Scales
from tfar.networks.upscaling import GroupNetwork


@keras.saving.register_keras_serializable("tfar")
class MultiscalePixelCNNNetwork(PhasedNetwork):
    """A PixelCNN of a subsample of the image, and networks that double its size, one group of pixels after the other.

    The picture of a scale consists of blocks of 2 x 2 pixels. The upper left pixels are the picture of the scale before;
    the upper right, the lower left and the lower right ones are decided as groups, in this order. A group is split into
    patches that do not depend on each other. The sites of a patch are decided in raster order by a PixelCNN, whose first
    convolution covers the whole patch and whose other convolutions are 1x1. A patch of one site needs no PixelCNN.

    Args:
        event_shape: `[H, W]` or `[H, W, C]`.
        base_shape: (height, width) of the smallest picture. H and W are these times the same power of 2.
        filters: int. Number of features.
        params_size: int. Parameters of a site.
        site_shape: `()` or `(C,)`.
        num_blocks: int. Residual blocks of the PixelCNN of the smallest picture and of the network of each group.
        patch_size: (height, width) of a patch, in pixels of the group; they divide those of the smallest picture.
        share_scales: bool. Use the networks of the groups at all scales.
        conditional_shape: shape of the conditional input of one row, a dict of shapes, or None.
        num_classes, one_hot, low: as in `MaskedRasterNetwork`.
        kernel_initializer: initializer of all kernels, each with a different seed.
        seed: int. Determines the initial weights.

    References:
        Reed et al. Parallel multiscale autoregressive density estimation. ICML 2017. https://arxiv.org/abs/1703.03664
    """

    event_shape: tuple[int, ...]
    num_sites: int
    compiles_training = False
    any_order_hint = (
        "A multiscale model completes an image from a subsample: observe `x[::2, ::2]`, or `x[::4, ::4]` and so on, and then the "
        "groups after it in their order. A model in raster order, such as PixelCNN, GatedPixelCNN or PixelCNNPlusPlus, "
        "completes an image from its upper part."
    )

    def __init__(
        self,
        event_shape: tuple[int, ...],
        base_shape: tuple[int, int],
        filters: int = 64,
        params_size: int = 1,
        *,
        site_shape: tuple[int, ...] = (),
        num_blocks: int = 4,
        patch_size: tuple[int, int] = (1, 1),
        share_scales: bool = False,
        conditional_shape: Any = None,
        num_classes: int | None = None,
        one_hot: bool = False,
        low: float = 0.0,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(event_shape, site_shape, conditional_shape, **kwargs)
        height, width = self.event_shape[:2]
        self.image_shape = (height, width, self.event_shape[2] if len(self.event_shape) == 3 else 1)
        self.num_groups = self.num_sites // (height * width)
        self.filters, self.params_size, self.num_blocks = int(filters), int(params_size), int(num_blocks)
        self.share_scales = bool(share_scales)
        shapes = ((base_shape[0], base_shape[1]), (patch_size[0], patch_size[1]))
        self.scales = Scales((height, width, self.num_groups), *shapes)
        self.kernel_initializer, self.seed = keras.initializers.get(kernel_initializer), seed
        self._encoding = SiteEncoding(self.site_shape, num_classes, one_hot, low)
        self.one_hot, self._depth = self._encoding.one_hot, self.num_groups * self._encoding.inputs_per_site
        self._values = {"num_classes": num_classes, "one_hot": one_hot, "low": low, "site_shape": self.site_shape}
        self._make_layers()
        self.step_of_site = self.scales.schedule()[None]

    # Layers ----------------------------------------------------------------------------------------------------------

    def _make_layers(self) -> None:
        size = condition_size(self.conditional_shape)
        self.condition = self._dense("condition", self.filters, salt=0, use_bias=False) if size else None
        of_base = (self.filters,) if size else None
        self.base = self._pixel_cnn("base", self.scales.base_shape, of_base, (3, 3), use_residual=True)
        self.groups: list[GroupNetwork] = []
        self.patches: list[PixelCNNNetwork | None] = []
        has_patches = self.scales.sites_of_patch.size > 1
        for number in range(3 * (min(1, self.scales.count) if self.share_scales else self.scales.count)):
            self.groups.append(self._group(number, self.filters if has_patches else self.params_size))
            inside = None
            if has_patches:
                of_patch = (*self.scales.patch_size, self.filters)
                inside = self._pixel_cnn(
                    f"patch_{number}", self.scales.patch_size, of_patch, (1, 1), use_residual=False
                )
            self.patches.append(inside)

    def _pixel_cnn(
        self, name: str, size: tuple[int, int], condition: Any, kernel_size: Any, *, use_residual: bool
    ) -> Any:
        """Creates a PixelCNN whose first convolution covers a picture of the given size, wherever the pixel is."""
        return PixelCNNNetwork(
            (*size, *self.event_shape[2:]),
            self.filters,
            self.params_size,
            num_blocks=self.num_blocks if use_residual else 1,
            first_kernel_size=(2 * size[0] - 1, 2 * size[1] - 1),
            kernel_size=kernel_size,
            use_residual=use_residual,
            output_filters=(self.filters,),
            conditional_shape=condition,
            name=name,
            **self._values,
            **self._initial(name),
        )

    def _group(self, number: int, out_channels: int) -> GroupNetwork:
        sizes = ((1 + number % 3) * self._depth, self.filters, self.num_blocks, out_channels)
        size, name = condition_size(self.conditional_shape), f"group_{number}"
        return GroupNetwork(*sizes, size, name=name, **self._initial(name))

    def _initial(self, name: str) -> dict[str, Any]:
        """Returns the arguments of a part that determine its initial weights."""
        salt = int.from_bytes(name.encode(), "big") % 2**31
        seed = int(random.numpy_generator(self.seed, random.Stream.INITIAL_WEIGHTS, salt).integers(2**31))
        return {"kernel_initializer": self.kernel_initializer, "seed": seed, "dtype": self.dtype_policy}

    def build(self, input_shape: Any = None) -> None:
        """Creates all variables, whose shapes depend only on the configuration."""
        if self.condition is not None:
            self.condition.build((None, condition_size(self.conditional_shape)))
        for part in (self.base, *self.groups, *self.patches):
            if part is not None:
                part.build()
        self.built = True

    def _networks(self, scale: int, group: int) -> tuple[GroupNetwork, PixelCNNNetwork | None, str]:
        """Returns the network of a group, 1 to 3, of a scale, that of its patches, and the name of its step weights."""
        number = group - 1 + (0 if self.share_scales else 3 * scale)
        return self.groups[number], self.patches[number], f"patch_{number}"

    # In parallel -----------------------------------------------------------------------------------------------------

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        image = tf.reshape(tf.cast(x, tf.float32), [-1, *self.image_shape])
        condition = self._vector(conditional_input)
        base = tf.reshape(self.scales.part(image, 0, 0), [-1, *self.base.event_shape])
        params = self.base(base, self._base_condition(condition))
        params = tf.reshape(params, [-1, *self.scales.base_shape, self.num_groups * self.params_size])
        for scale in range(self.scales.count):
            parts = [self.scales.part(image, scale, group) for group in range(4)]
            own = [self._group_params(scale, group, parts, condition) for group in range(1, 4)]
            params = merged([params, *own])
        return tf.reshape(params, [-1, self.num_sites, self.params_size])

    def _group_params(self, scale: int, group: int, parts: Sequence[tf.Tensor], condition: Any) -> tf.Tensor:
        """Returns the parameters of a group of a scale, `[B, *shape, num_groups * params_size]`."""
        _, inside, _ = self._networks(scale, group)
        features = self._features(scale, group, parts[:group], condition)
        if inside is None:
            return tf.cast(features, tf.float32)
        size = self.scales.patch_size
        patches = tf.reshape(to_patches(parts[group], size), [-1, *inside.event_shape])
        params = inside(patches, to_patches(features, size))
        params = tf.reshape(params, [-1, *size, self.num_groups * self.params_size])
        return from_patches(params, self.scales.shape(scale))

    def _features(self, scale: int, group: int, known: Sequence[tf.Tensor], condition: Any) -> tf.Tensor:
        """Returns the features of the pixels of a group, or their parameters if it has no patches."""
        network, _, _ = self._networks(scale, group)
        inputs = tf.concat([self._encoded(part) for part in known], axis=-1)
        return network(tf.cast(inputs, self.compute_dtype), condition)

    def _encoded(self, part: tf.Tensor) -> tf.Tensor:
        """Returns the inputs `[B, H, W, depth]` of values `[B, H, W, C]`."""
        height, width, _ = part.shape[1:]
        values = tf.reshape(part, [-1, height, width, self.num_groups, *self.site_shape])
        return tf.reshape(self._encoding(values), [-1, height, width, self._depth])

    def _vector(self, conditional_input: Any) -> tf.Tensor | None:
        if self.conditional_shape is None:
            return None
        return flatten_condition(conditional_input, self.conditional_shape)

    def _base_condition(self, condition: tf.Tensor | None) -> tf.Tensor | None:
        return None if self.condition is None else self.condition(condition)

    # Influences ------------------------------------------------------------------------------------------------------

    def influences(self, sites: Any = None, member: int = 0, order: Any = None, num_sites: Any = None) -> NDArray:
        """See the base class. A group depends on the known groups of its scale in a window around the pixel."""
        chosen = np.arange(self.num_sites) if sites is None else np.asarray(sites, int)
        found = np.zeros((len(chosen), self.num_sites), bool)
        base = self.scales.part(self.scales.sites, 0, 0).ravel()
        for row, site in zip(found, chosen.tolist(), strict=True):
            scale, group, _, _ = self.scales.place(site)
            if group == 0:
                row[base] = self.base.influences([int(np.flatnonzero(base == site)[0])])[0]
            else:
                row[self.scales.known_sites(site, self._networks(scale, group)[0].reach)] = True
                row[self.scales.earlier_in_patch(site)] = True
        return found

    # In steps --------------------------------------------------------------------------------------------------------

    def step_weights(self) -> Weights:
        parts = {"base": self.base, **{f"patch_{k}": part for k, part in enumerate(self.patches) if part is not None}}
        return {f"{name}:{key}": w for name, part in parts.items() for key, w in part.step_weights().items()}

    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        state = {"group_0": tf.zeros([batch_size, *self.scales.base_shape, self.image_shape[2]])}
        condition = self._vector(conditional_input)
        return state if condition is None else {**state, "condition": condition}

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The smallest picture, and then the three groups of each scale. The state has the known groups of a scale."""
        keep = lambda state, picture: {**state, "group_0": picture}  # noqa: E731
        condition = lambda state: self._base_condition(state.get("condition"))  # noqa: E731
        base = PatchPhase(self.base, self.scales.base_shape, "base", condition, keep)
        scales = range(self.scales.count)
        return base, *(self._phase(scale, group) for scale in scales for group in range(1, 4))

    def _phase(self, scale: int, group: int) -> Phase:
        _, inside, name = self._networks(scale, group)
        shape = self.scales.shape(scale)

        def features(state: State) -> tf.Tensor:
            known = [state[f"group_{number}"] for number in range(group)]
            return self._features(scale, group, known, state.get("condition"))

        def end(state: State, picture: tf.Tensor) -> State:
            state = {**state, f"group_{group}": picture}
            if group < 3:
                return state
            whole = merged([state.pop(f"group_{number}") for number in range(4)])
            return {**state, "group_0": whole}

        if inside is None:
            return WholePhase(shape, features, end)
        return PatchPhase(inside, shape, name, lambda state: to_patches(features(state), self.scales.patch_size), end)


def merged(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the picture `[B, 2 H, 2 W, C]` of four groups `[B, H, W, C]`.

    Example:
        >>> merged([tf.fill([1, 1, 1, 1], k) for k in range(4)])[0, :, :, 0].numpy()
        array([[0, 1],
               [2, 3]], dtype=int32)
    """
    height, width, channels = parts[0].shape[1:]
    rows = [tf.stack(pair, axis=3) for pair in (parts[:2], parts[2:])]
    return tf.reshape(tf.stack(rows, axis=2), [-1, 2 * height, 2 * width, channels])
