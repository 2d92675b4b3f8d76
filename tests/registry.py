"""One small case of every public distribution and its variants: what the conformance suite runs over."""

import datetime
import os
from collections.abc import Mapping

import tfar
from tests.cases import Case as Case
from tests.cases import (
    audio,
    categorical,
    conv_nade,
    factorized,
    gated_pixel_cnn,
    laplaces,
    latent_variable,
    made,
    nade,
    normals,
    orderless,
    own_network,
    pixel_cnn,
    pixel_cnn_plus_plus,
    rnade,
    wavenet,
)
from tests.cases import randomize as randomize

NUM_SHARDS = 4

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
    rnade("laplaces", head=laplaces, order="reverse", scale_gradients=False),
    rnade("one-site", event_shape=(1,), scale_gradients=False),
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
    # Of three filters, a block has none that its relu lets through.
    pixel_cnn_plus_plus("wide", (3, 5, 1), 2, filters=5, num_levels=2, kernel_size=(4, 5), activation="relu"),
    wavenet("one-hot-conditional", conditional_shape={"speaker": (2,), "features": (3, 2)}, hop_length=2, main=True),
    wavenet("one-hot"),
    wavenet("one-hot-stacks", (5,), num_stacks=2),
    wavenet("kernel-size-3", (7,), kernel_size=3),
    wavenet("scaled", (5,), one_hot_inputs=False),
    wavenet("binary", (8,), head=tfar.heads.Bernoulli),
    wavenet("normals", (2,), head=normals),
    wavenet("laplaces", (4,), head=laplaces, conditional_shape=(4, 2)),
    wavenet("audio", (3, 1), head=audio),
    wavenet("channels", (3, 2)),
    wavenet("channels-normals", (2, 2), head=normals, conditional_shape=(3,)),
    wavenet("learned-upsampling", (5,), conditional_shape=(3, 2), hop_length=2, upsampling="learned"),
    wavenet("any-length", (6,), any_length=True),
    wavenet(
        "any-length-conditional",
        (4,),
        any_length=True,
        conditional_shape={"speaker": (2,), "features": (None, 2)},
        hop_length=2,
    ),
    factorized("bernoulli-conditional", conditional_shape=(2,), main=True),
    factorized("table", (2, 2), head=categorical),
    factorized("normals", (2,), head=normals),
    own_network(),
    own_network(conditional=True),
    latent_variable(),
)

BY_NAME = {case.name: case for case in CASES}
MAIN = tuple(case.name for case in CASES if case.main and case.oracle is not None)
VARIANTS = tuple(case.name for case in CASES if not case.main)


def shard_of_today(environment: Mapping[str, str] = os.environ, today: datetime.date | None = None) -> str:
    """Returns the shard "k/n" of the variants that TFAR_SHARD names; else one by the date: four days cover all."""
    today = datetime.date.today() if today is None else today
    return environment.get("TFAR_SHARD") or f"{today.toordinal() % NUM_SHARDS}/{NUM_SHARDS}"


def variants_in(shard: str) -> set[str]:
    """Returns the names of the variants of a shard "k/n", k from 0.

    Raises:
        ValueError: If it is no such shard.
    """
    number, count = (int(part) for part in shard.split("/"))
    if not 0 <= number < count:
        raise ValueError(f"Expected a shard k/n with 0 <= k < n; received {shard!r}.")
    return set(VARIANTS[number::count])
