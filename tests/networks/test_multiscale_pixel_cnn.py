"""The scales and groups of a multiscale PixelCNN: its schedule, its completions, what it refuses, and faults that are found."""

from unittest import mock

import numpy as np
import pytest
import tensorflow as tf

import tfar
from tests.parameters import few_by_default
from tests.reference import multiscale as reference
from tests.registry import BY_NAME, randomize
from tests.shards import is_of_today
from tfar.networks import multiscale_pixel_cnn as multiscale
from tfar.networks import patches, scales

SMALL = {"num_blocks": 1, "jit_compile": False}


def two_scales(**kwargs):
    return randomize(tfar.MultiscalePixelCNN([4, 4], 4, base_size=1, **SMALL, **kwargs), scale=0.5)


@pytest.mark.slow(ci=is_of_today(0))
def test_the_density_of_two_scales_sums_to_one():
    """Over all 2^16 images, which are more than `check_normalized` enumerates."""
    bits = (np.arange(2**16)[:, None] >> np.arange(16)) & 1
    log_probs = two_scales().law.log_prob(tf.constant(bits.reshape(-1, 4, 4), tf.float32))
    assert np.exp(np.float64(log_probs)).sum() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.slow(ci=is_of_today(1))
def test_the_picture_of_a_scale_is_a_subsample_of_the_image():
    """The pixels `x[::2, ::2]` come first and have a density of their own, which is that of a model with one scale less."""
    dist = two_scales()
    smaller = tfar.MultiscalePixelCNN([2, 2], 4, base_size=1, **SMALL)
    for own, other in zip(smaller.network.weights, dist.network.weights, strict=False):
        own.assign(other)
    x = np.random.default_rng(0).integers(0, 2, [5, 4, 4]).astype(np.float32)
    observed = np.zeros([4, 4], bool)
    observed[::2, ::2] = True
    np.testing.assert_allclose(dist.log_prob(x, observed=observed), smaller.log_prob(x[:, ::2, ::2]), rtol=1e-5)


@pytest.mark.slow(ci=is_of_today(2))
def test_rows_and_columns_are_not_interchangeable():
    """The upper right pixels are decided before the lower left ones."""
    dist, x = two_scales(), np.zeros([1, 4, 4], np.float32)
    x[0, 0, 1] = 1.0
    assert abs(float(dist.log_prob(x)[0] - dist.log_prob(x.transpose(0, 2, 1))[0])) > 1e-3


@pytest.mark.parametrize(
    ("arguments", "steps"),
    few_by_default(
        [
            ({}, 49 + 6),
            ({"upscaling": "B", "patch_size": 7}, 49 + 6 * 49),
            ({"head": tfar.heads.Categorical(4), "event_shape": [28, 28, 3], "filters": 6}, 49 * 3 + 6 * 3),
            ({"head": tfar.heads.DiscretizedLogisticMixture(2), "event_shape": [28, 28, 3]}, 49 + 6),
        ]
    ),
)
def test_number_of_steps(arguments, steps):
    """The pixels of the base, and one step for each group and site of a patch."""
    arguments = {"event_shape": [28, 28], "filters": 4, "base_size": 7, **SMALL, **arguments}
    assert tfar.MultiscalePixelCNN(**arguments).network.step_of_site.max() + 1 == steps


@pytest.mark.slow(ci=is_of_today(3))
def test_scales_can_share_their_networks():
    sizes = {"filters": 4, "base_size": 4, "num_blocks": 1}
    own, shared = (tfar.MultiscalePixelCNN([32, 32], share_scales=share, **sizes) for share in (False, True))
    base = own.network.base.count_params()
    assert own.network.count_params() - base == 3 * (shared.network.count_params() - base)


@pytest.mark.slow(ci=is_of_today(0))
def test_levels_of_a_head_may_start_anywhere():
    """The lowest and the highest value are inputs of -1 and 1."""
    dists = [
        randomize(
            tfar.MultiscalePixelCNN(
                [4, 2, 2],
                4,
                base_size=(2, 1),
                head=tfar.heads.DiscretizedLogisticMixture(2, low=low, high=low + 3, num_channels=2),
                **SMALL,
            )
        )
        for low in (0, 7)
    ]
    x = np.random.default_rng(0).integers(0, 4, [3, 4, 2, 2]).astype(np.float32)
    np.testing.assert_allclose(dists[0].log_prob(x), dists[1].log_prob(x + 7.0), rtol=1e-5)


def test_a_pixel_sees_earlier_pixels_of_its_own_patch_alone():
    """Of a group of 1 x 4 pixels in two patches of neighbours: what the network says of itself, and what changes in the pass."""
    sizes = {"base_size": (1, 4), "patch_size": (1, 2), "num_blocks": 0, "jit_compile": False}
    dist = randomize(tfar.MultiscalePixelCNN([2, 8], 4, upscaling="B", **sizes), scale=0.5)
    group = np.array([1, 3, 5, 7])  # upper right
    seen = np.asarray(dist.network.influences())[np.ix_(group, group)]
    np.testing.assert_array_equal(seen, [[0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]])
    x = np.zeros([5, 16], np.float32)
    x[1 + np.arange(4), group] = 1.0
    params = np.asarray(dist.network(tf.constant(x.reshape(5, 2, 8))))[:, group, 0]
    np.testing.assert_array_equal(np.abs(params[1:] - params[0]).T > 1e-6, seen)


# Completions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("upscaling", few_by_default(["A", "B"]))
def test_super_resolution_skips_what_is_observed(upscaling):
    """A completion with the seed of a sample gives the sample, and takes the steps of the last three groups alone."""
    dist = two_scales(upscaling=upscaling, patch_size=1)
    seeds, observed = tfar.random.row_seeds(1, 6), np.zeros([4, 4], bool)
    observed[::2, ::2] = True
    drawn = dist.law.sample(seeds)
    rows = tf.constant(np.tile(observed.reshape(1, 16), [6, 1]))
    known = tf.where(observed, drawn, tf.zeros_like(drawn))
    started = []

    def spy(kind):
        right = kind.start
        return mock.patch.object(kind, "start", lambda self, *args: started.append(self) or right(self, *args))

    with spy(patches.WholePhase), spy(patches.PatchPhase):
        completed = dist.law.complete(seeds, known, rows)
    np.testing.assert_array_equal(completed, drawn)
    assert [phase.shape for phase in started] == [(2, 2)] * 3
    assert len(np.unique(drawn, axis=0)) > 1


@pytest.mark.slow(ci=is_of_today(1))
def test_rows_may_observe_different_groups():
    dist, seeds = two_scales(), tfar.random.row_seeds(2, 4)
    steps = dist.network.step_of_site[0]
    observed = np.stack([steps < count for count in (0, 1, 4, 6)])
    drawn = dist.law.sample(seeds)
    known = tf.where(observed.reshape(4, 4, 4), drawn, tf.zeros_like(drawn))
    np.testing.assert_array_equal(dist.law.complete(seeds, known, tf.constant(observed)), drawn)


@pytest.mark.slow(ci=is_of_today(2))
def test_a_pattern_that_is_no_prefix_of_the_groups_is_refused():
    dist, left = two_scales(), np.zeros([4, 4], bool)
    left[:, :2] = True
    with pytest.raises(ValueError, match=r"observe `x\[::2, ::2\]`.*raster order, such as PixelCNN, GatedPixelCNN"):
        dist.complete(np.zeros([4, 4]), left)
    with pytest.raises(ValueError, match="raster order"):
        dist.log_prob(np.zeros([1, 4, 4]), observed=left)


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"event_shape": [30, 28]},
            r"height .* received 30\. .* are 28 \(of 7\) and 32 \(of 8\).*`base_size` of \(15, 14\)",
        ),
        ({"event_shape": [28, 29]}, r"width .* received 29\. .* are 28 \(of 7\) and 32 \(of 8\)"),
        (
            {"event_shape": [28, 56]},
            r"width .* received 56\. Choose a `base_size` of \(14, 28\) or \(7, 14\)\.$",
        ),
        (
            {"event_shape": [4, 4]},
            r"that of the base, 7, .* received 4\. Choose a `base_size` of \(2, 2\) or \(1, 1\)\.$",
        ),
        ({"event_shape": [7, 28]}, r"received 28\. Crop or pad the images to an even height and width\.$"),
        ({"event_shape": [28, 28], "base_size": 4}, r"`base_size` of \(14, 14\) or \(7, 7\)"),
        ({"event_shape": [28, 28], "upscaling": "C"}, "`upscaling` to be one of"),
        ({"event_shape": [28, 28], "upscaling": "B", "patch_size": 4}, r"divides the base of 7 x 7 pixels.*\[1, 7\]"),
        ({"event_shape": [28, 28], "filters": 5}, "multiple of 2"),
        ({"event_shape": [28, 28, 3], "filters": 8}, "multiple of 6"),
        ({"event_shape": [28]}, r"\[H, W\] or \[H, W, C\]"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        tfar.MultiscalePixelCNN(**{"filters": 4, "base_size": 7, **arguments})


# Faults --------------------------------------------------------------------------------------------------------------


GROUP_PARAMS = multiscale.MultiscalePixelCNNNetwork._group_params
PART = scales.Scales.part
FROM_PATCHES = patches.from_patches


def leaking(network, scale, group, parts, condition):
    """Gives a group the sum of the smaller picture and of itself in place of the smaller picture."""
    return GROUP_PARAMS(network, scale, group, [parts[0] + parts[group], *parts[1:]], condition)


def late(own, image, scale, group):
    """A subsample that begins one row too late."""
    part = PART(own, image, scale, group)
    return part if group or isinstance(image, np.ndarray) else tf.roll(part, -1, axis=1)


FAULTS = {
    "a group sees itself": (multiscale.MultiscalePixelCNNNetwork, "_group_params", leaking),
    "groups in another order": (scales, "OFFSETS", ((0, 0), (1, 0), (0, 1), (1, 1))),
    "a subsample off by one": (scales.Scales, "part", late),
}


@pytest.mark.parametrize("fault", few_by_default(FAULTS))
def test_faults_of_the_pass_are_found(fault):
    case = BY_NAME["MultiscalePixelCNN-groups"]
    with mock.patch.object(*FAULTS[fault]):
        dist = case.make()
        connectivity = case.oracle.connectivity(dist)
        with pytest.raises(tfar.testing.CheckError):
            tfar.testing.check_autoregressive(dist, connectivity=connectivity)


@pytest.mark.slow(ci=is_of_today(3))
def test_a_fault_of_the_steps_is_found():
    """Patches that are joined upside down."""
    dist = BY_NAME["MultiscalePixelCNN-patches-conditional"].make()
    wrong = lambda parts, shape: tf.reverse(FROM_PATCHES(parts, shape), [1])  # noqa: E731
    with mock.patch.object(patches, "from_patches", wrong), pytest.raises(tfar.testing.CheckError, match="step 2"):
        tfar.testing.check_steps(dist)


def test_the_reference_places_every_pixel_in_one_group():
    """By hand, for 4 x 4 pixels of two scales: group 1 is the base, and later scales have half the distance."""
    found = [[reference.place_of(r, c, 2)[:2] for c in range(4)] for r in range(4)]
    assert found == [
        [(4, 1), (1, 2), (2, 2), (1, 2)],
        [(1, 3), (1, 4), (1, 3), (1, 4)],
        [(2, 3), (1, 2), (2, 4), (1, 2)],
        [(1, 3), (1, 4), (1, 3), (1, 4)],
    ]
