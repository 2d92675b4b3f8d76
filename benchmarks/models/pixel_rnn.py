"""Row LSTM and Diagonal BiLSTM, ICML 2016 (van den Oord et al.): speed and likelihoods, with all their settings."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from benchmarks import tfar_side
from benchmarks.cases import Contestant, LikelihoodCase, ModelCases, Settings, SpeedCase, Target
from benchmarks.peers import torch_pixel_cnn, torch_pixel_rnn
from benchmarks.ratios import ratio_to_fastest, ratio_within

OURS, TORCH, PIXEL_CNN = "tfar", "PyTorch", "tfar, PixelCNN of equal weights"
NAIVE = "sample, naive"
MNIST = (28, 28)

# The paper's sizes for binary MNIST: one layer of h = 32 and seven of h = 16, then 32 features before the logit.
ONE_LAYER, SEVEN_LAYERS, OUTPUT_FILTERS = (32,), (16,) * 7, 32
QUICK = (4,)
SAMPLE_TO_LOG_PROB, NAIVE_TO_SAMPLE = 3.0, 200.0


@dataclasses.dataclass(frozen=True)
class PixelRNNSettings(Settings):
    """Settings of a PixelRNN; `hidden_units` has the features of each layer, `output_filters` those before the sigmoid."""

    hidden_units: tuple[int, ...] = ONE_LAYER
    output_filters: tuple[int, ...] = (OUTPUT_FILTERS,)
    learning_rate: float = 2e-3
    ema_momentum: float | None = 0.9995
    batch_size: int = 16
    clip_norm: float | None = 1.0


# Likelihood. The paper gives batches of 16 and RMSProp, and neither learning rates nor epochs. These are chosen so that a case
# trains for less than an hour on two cores. Both forms of the Diagonal BiLSTM train for the same number of epochs.
DIAGONAL = PixelRNNSettings(max_epochs=6, decay_epochs=3, decay_factor=0.5)
ROW = PixelRNNSettings(max_epochs=14, decay_epochs=6, decay_factor=0.65)


def make_model(hidden_units: tuple[int, ...], *, diagonal: bool, seed: int = 0, **arguments: Any) -> Any:
    """tfar's DiagonalBiLSTM or RowLSTM over images of 28 x 28 bits."""
    import tfar

    model: Any = tfar.DiagonalBiLSTM if diagonal else tfar.RowLSTM
    arguments = {"output_filters": [OUTPUT_FILTERS], "seed": seed, **arguments}
    return model(MNIST, hidden_units[0], len(hidden_units), **arguments)


def build_model(settings: PixelRNNSettings, event_size: int, **arguments: Any) -> tuple[Any, Any]:
    """The distribution of a likelihood case and the `DensityModel` that trains it."""
    import tfar

    outputs = list(settings.output_filters)
    dist = make_model(settings.hidden_units, output_filters=outputs, seed=settings.seed, **arguments)
    return dist, tfar.training.DensityModel(dist, seed=settings.seed)


def build_ours(hidden_units: tuple[int, ...], batch_size: int, *, diagonal: bool) -> Contestant:
    """Our contestant, in the form of the paper, as the peer's. One layer samples by whole passes too."""
    form = {"close_blind_spot": False} if diagonal else {}
    methods = ("ancestral", "naive") if len(hidden_units) == 1 else ("ancestral",)
    dist = make_model(hidden_units, diagonal=diagonal, **form)
    return tfar_side.contestant(dist, MNIST[0] * MNIST[1], batch_size, methods=methods)


def build_pixel_cnn(filters: int, batch_size: int) -> Contestant:
    """Our PixelCNN with about as many weights: what the recurrence costs."""
    import tfar

    dist = tfar.PixelCNN(MNIST, filters, output_filters=[OUTPUT_FILTERS])
    return tfar_side.contestant(dist, MNIST[0] * MNIST[1], batch_size)


def build_peer(hidden_units: tuple[int, ...], batch_size: int, *, diagonal: bool, sample: bool) -> Contestant:
    """The PyTorch peer."""
    sizes = (hidden_units[0], len(hidden_units), OUTPUT_FILTERS)
    network = torch_pixel_rnn.make_pixel_rnn(*sizes, diagonal=diagonal)
    return torch_pixel_cnn.build(network, MNIST, batch_size, sample=sample)


def no_slower_target(operation: str) -> Target:
    """At most the peer's time."""
    value = functools.partial(ratio_to_fastest, ours=OURS, peers=(TORCH,), operation=operation)
    return Target(f"{OURS}: {operation} / PyTorch", "<=", 1.0, value)


def sample_target() -> Target:
    """A batch of samples within so many log_probs of it."""
    value = functools.partial(ratio_within, ours=OURS, operation="sample", unit="log_prob")
    return Target(f"{OURS}: sample / log_prob", "<=", SAMPLE_TO_LOG_PROB, value)


def naive_target() -> Target:
    """Whole passes, one for each pixel, take at least so many times as long."""
    value = functools.partial(ratio_within, ours=OURS, operation=NAIVE, unit="sample")
    return Target(f"{OURS}: naive / sample", ">=", NAIVE_TO_SAMPLE, value)


def speed_case(
    name: str,
    hidden_units: tuple[int, ...],
    *,
    diagonal: bool,
    pixel_cnn_filters: int,
    batch_size: int = 16,
    quick: bool = False,
) -> SpeedCase:
    """One of the models beside a PixelCNN of equal weights and the peer's, whose samples by whole passes are left out."""
    ours = functools.partial(build_ours, hidden_units, batch_size, diagonal=diagonal)
    pixel_cnn = functools.partial(build_pixel_cnn, pixel_cnn_filters, batch_size)
    peer = functools.partial(build_peer, hidden_units, batch_size, diagonal=diagonal, sample=False)
    settings = {
        "event_shape": list(MNIST),
        "filters": hidden_units[0],
        "num_layers": len(hidden_units),
        "output_filters": [OUTPUT_FILTERS],
        "batch_size": batch_size,
        "dtype": "float32",
    }
    targets = [] if quick else [no_slower_target("log_prob"), no_slower_target("train_step"), sample_target()]
    if len(hidden_units) == 1 and not quick:
        targets.append(naive_target())
    return SpeedCase(name, settings, {OURS: ours, PIXEL_CNN: pixel_cnn, TORCH: peer}, targets, quick=quick)


def likelihood_case(
    name: str,
    settings: PixelRNNSettings,
    paper: float | None,
    target: float | None,
    *,
    note: str = "",
    **arguments: Any,
) -> LikelihoodCase:
    """A model on binarised MNIST."""
    model = "DiagonalBiLSTM" if arguments["diagonal"] else "RowLSTM"
    return LikelihoodCase(
        name,
        f"{model} {len(settings.hidden_units)} x {settings.hidden_units[0]}{note}",
        "mnist",
        settings,
        functools.partial(build_model, **arguments),
        paper,
        "the paper's: van den Oord et al. 2016, binarised MNIST table",
        target,
        event_shape=MNIST,
    )


CASES = ModelCases(
    speed=[
        speed_case("diagonal-bilstm-1x32-batch-16", ONE_LAYER, diagonal=True, pixel_cnn_filters=40),
        speed_case("diagonal-bilstm-7x16-batch-16", SEVEN_LAYERS, diagonal=True, pixel_cnn_filters=52),
        speed_case("row-lstm-1x32-batch-16", ONE_LAYER, diagonal=False, pixel_cnn_filters=42),
        speed_case("diagonal-bilstm-quick", QUICK, diagonal=True, pixel_cnn_filters=4, batch_size=4, quick=True),
    ],
    likelihood=[
        likelihood_case("diagonal-bilstm-mnist", DIAGONAL, 80.75, 84.0, diagonal=True),
        likelihood_case(
            "diagonal-bilstm-mnist-blind-spot",
            DIAGONAL,
            80.75,
            None,
            note=", blind spot not closed",
            diagonal=True,
            close_blind_spot=False,
        ),
        likelihood_case("row-lstm-mnist", ROW, 80.54, 84.5, diagonal=False),
    ],
)
