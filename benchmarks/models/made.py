"""MADE: Germain, Gregor, Murray and Larochelle, ICML 2015. Its speed and its likelihoods, with all their settings."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from benchmarks import tfar_side
from benchmarks.cases import Contestant, LikelihoodCase, ModelCases, Settings, SpeedCase, Target
from benchmarks.peers import tfp_made, torch_made
from benchmarks.ratios import faster_than, ratio_to_fastest, ratio_within

# Speed: the same layers for everybody (no direct connections, which the peers lack), batch 100, float32, two threads.
SIZES = {"784-500": (784, (500,), 100), "784-500-500": (784, (500, 500), 100)}
QUICK_SIZE = (32, (64,), 20)
NUM_MASKS = 32
TFP, TORCH, TORCH_MASKS = "TFP", "PyTorch", f"PyTorch, {NUM_MASKS} masks"
PLAIN, MASKS = "tfar", f"tfar, {NUM_MASKS} masks"
OURS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "tfar, direct connections": {"direct_connections": True},
    MASKS: {"num_masks": NUM_MASKS},
    f"{MASKS}, random order": {"num_masks": NUM_MASKS, "order": "random"},
}
QUICK_OURS = (PLAIN, f"{MASKS}, random order")

# Likelihood: settings chosen on the validation sets, all of them here. Averaged weights and dropout of hidden units do what the
# papers' searches over widths did. The paper-width cases are the paper's own settings for MNIST.
VECTOR = Settings(
    hidden_units=(500,), dropout_rate=0.3, ema_momentum=0.99, weight_decay=0.01, max_epochs=600, patience=20
)
ONE_MASK = {
    "adult": dataclasses.replace(VECTOR, patience=12),
    "connect4": dataclasses.replace(VECTOR, dropout_rate=0.1, ema_momentum=0.999, max_epochs=100, patience=8),
    "dna": dataclasses.replace(VECTOR, dropout_rate=0.5, weight_decay=0.3),
}
MASK_SAMPLING = {
    "dna": dataclasses.replace(
        VECTOR,
        num_masks=None,
        dropout_rate=0.0,
        learning_rate=5e-3,
        weight_decay=0.05,
        ema_momentum=0.995,
        max_epochs=900,
        patience=60,
    ),
    "mushrooms": dataclasses.replace(
        VECTOR,
        num_masks=4,
        dropout_rate=0.0,
        learning_rate=3e-3,
        weight_decay=0.05,
        ema_momentum=0.995,
        patience=40,
    ),
}
IMAGE = Settings(
    hidden_units=(2500,),
    order="natural",
    dropout_rate=0.4,
    ema_momentum=0.999,
    weight_decay=0.01,
    batch_size=200,
    max_epochs=150,
    patience=10,
)
PAPER_WIDTH = Settings(hidden_units=(8000,), order="natural", degrees="random", optimizer="adagrad", learning_rate=0.01)
PAPER_WIDTH_32 = dataclasses.replace(PAPER_WIDTH, hidden_units=(8000, 8000), num_masks=32)
VECTORS = "the paper's: Germain et al. 2015, UCI table"
MNIST = "the paper's: Germain et al. 2015, binarised MNIST table"
#        data         one mask (paper's figure), mask sampling (paper's figure)
PAPER = {"adult": (13.12, 13.13), "connect4": (11.90, 11.90), "dna": (83.63, 79.66), "mushrooms": (9.68, 9.69)}
#        data         limit with one mask, with mask sampling
TARGETS = {"adult": (13.2, None), "connect4": (12.0, None), "dna": (83.7, 80.5), "mushrooms": (None, 9.75)}
MNIST_TARGET = 89.5


def build_distribution(event_size: int, hidden_units: Sequence[int], **arguments: Any) -> Any:
    """tfar's MADE over bits."""
    import tfar

    return tfar.MADE(
        event_shape=[event_size], hidden_units=list(hidden_units), head=tfar.heads.Bernoulli(), **arguments
    )


def build_model(settings: Settings, event_size: int) -> tuple[Any, Any]:
    """The distribution of a likelihood case and the `DensityModel` that trains it."""
    import tfar

    names = (
        "activation",
        "direct_connections",
        "order",
        "degrees",
        "num_masks",
        "num_eval_masks",
        "dropout_rate",
        "seed",
    )
    arguments = {name: getattr(settings, name) for name in names}
    dist = build_distribution(event_size, settings.hidden_units, **arguments)
    return dist, tfar.training.DensityModel(dist, seed=settings.seed)


def build_ours(event_size: int, hidden_units: Sequence[int], batch_size: int, **arguments: Any) -> Contestant:
    """One of our contestants: log_prob, the samplers and the train step that `fit` runs."""
    arguments = {"direct_connections": False, "seed": 0, **arguments}
    dist = build_distribution(event_size, hidden_units, **arguments)
    return tfar_side.contestant(dist, event_size, batch_size, methods=("ancestral", "fixed_point"))


def speed_targets() -> list[Target]:
    """No slower than the fastest peer; a batch of samples within eight log_probs; 50 times faster than TFP's."""
    targets = []
    for ours, torch in ((PLAIN, TORCH), (MASKS, TORCH_MASKS), (f"{MASKS}, random order", TORCH_MASKS)):
        rivals = (TFP, torch) if ours == PLAIN else (torch,)
        for operation in ("log_prob", "train_step"):
            value = functools.partial(ratio_to_fastest, ours=ours, peers=rivals, operation=operation)
            targets.append(Target(f"{ours}: {operation} / fastest peer", "<=", 1.0, value))
        sampling = functools.partial(ratio_within, ours=ours, operation="sample", unit="log_prob")
        targets.append(Target(f"{ours}: sample / log_prob", "<=", 8.0, sampling))
        speed_up = functools.partial(faster_than, ours=ours, peer=TFP, operation="sample")
        targets.append(Target(f"{ours}: TFP's sample / sample", ">=", 50.0, speed_up))
    return targets


def speed_case(name: str, size: tuple[int, tuple[int, ...], int], *, quick: bool = False) -> SpeedCase:
    """Everybody at one size."""
    event_size, hidden_units, batch_size = size
    torch = functools.partial(torch_made.build, *size, use_compile=not quick)
    variants = {name: OURS[name] for name in (QUICK_OURS if quick else OURS)}
    contestants = {ours: functools.partial(build_ours, *size, **arguments) for ours, arguments in variants.items()}
    contestants[TFP] = functools.partial(tfp_made.build, *size)
    contestants[TORCH] = torch
    contestants[TORCH_MASKS] = functools.partial(torch, num_masks=NUM_MASKS)
    settings = {"event_size": event_size, "hidden_units": list(hidden_units), "batch_size": batch_size}
    targets = [] if quick else speed_targets()  # so small a case measures the cost of a call, not of the model
    return SpeedCase(f"made-{name}", {**settings, "dtype": "float32"}, contestants, targets, quick=quick)


def likelihood_cases() -> list[LikelihoodCase]:
    """One mask or mask sampling on each data set, whichever the validation set prefers, and the paper's widths on MNIST."""
    cases = []
    for data, papers in PAPER.items():
        one_mask, sampling = TARGETS[data]
        if one_mask is not None:
            name, title = f"made-{data}-one-mask", "MADE 500"
            cases.append(_case(name, title, data, ONE_MASK[data], papers[0], VECTORS, one_mask))
        if sampling is not None:
            settings = MASK_SAMPLING[data]
            masks = "fresh masks" if settings.num_masks is None else f"{settings.num_masks} masks"
            name, title = f"made-{data}-{masks.replace(' ', '-')}", f"MADE 500, {masks}"
            cases.append(_case(name, title, data, settings, papers[1], VECTORS, sampling))
    cases.append(_case("made-mnist-one-mask", "MADE 2500", "mnist", IMAGE, 88.40, f"{MNIST}, 8000 units", MNIST_TARGET))
    wide = (("8000", "MADE 8000", PAPER_WIDTH, 88.40), ("8000-8000-32", "MADE 2x8000, 32 masks", PAPER_WIDTH_32, 86.64))
    for kind, title, settings, paper in wide:
        case = _case(f"made-mnist-{kind}", title, "mnist", settings, paper, MNIST, paper)
        cases.append(dataclasses.replace(case, paper_width=True))
    return cases


def _case(
    name: str, title: str, data: str, settings: Settings, paper: float, source: str, target: float
) -> LikelihoodCase:
    return LikelihoodCase(name, title, data, settings, build_model, paper, source, target)


CASES = ModelCases(
    speed=[speed_case(name, size) for name, size in SIZES.items()] + [speed_case("quick", QUICK_SIZE, quick=True)],
    likelihood=likelihood_cases(),
)
