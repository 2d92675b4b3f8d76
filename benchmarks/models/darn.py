"""DARN: Gregor et al., ICML 2014. Its speed and its likelihoods, with all their settings."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from benchmarks import tfar_side
from benchmarks.cases import Contestant, LikelihoodCase, ModelCases, Settings, SpeedCase, Target
from benchmarks.peers import torch_darn
from benchmarks.ratios import ratio_to_fastest, ratio_within

# Speed: bits, latent bits in one layer, batch; float32, two threads. `log_prob` is the bound of one latent.
SIZE, QUICK_SIZE = (784, 200, 100), (32, 16, 20)
OURS, TORCH = "tfar", "PyTorch"
SAMPLE_TO_BOUND = 4.0

# Likelihood. The paper trains with RMSprop and adaptive weight noise; Adam with weight decay and averaged weights stand in for
# them. Every result is an importance-weighted bound, and the table of bounds has the plain bound beside it.
VECTOR = Settings(
    hidden_units=(100,),
    latent_units=(32,),
    gradient_estimator="half",
    importance_samples=200,
    activation="tanh",
    order="natural",
    learning_rate=3e-3,
    weight_decay=0.01,
    ema_momentum=0.99,
    batch_size=50,
    max_epochs=300,
    patience=20,
)
IMAGE = dataclasses.replace(
    VECTOR, hidden_units=(), latent_units=(500,), importance_samples=100, ema_momentum=0.999, learning_rate=1e-3
)
SETTINGS = {
    "mushrooms": VECTOR,
    "connect4": dataclasses.replace(VECTOR, ema_momentum=0.999, patience=10, batch_size=100),
    "dna": dataclasses.replace(VECTOR, weight_decay=0.3, max_epochs=1000),
    "mnist": dataclasses.replace(
        IMAGE, max_epochs=140, decay_epochs=20, decay_factor=0.85, patience=10, batch_size=200
    ),
}
SOURCE = "second-hand: Gregor et al. 2014, as later tables quote it"
#        data         the paper's figure, our limit
FIGURES = {"mushrooms": (9.55, 9.75), "connect4": (11.91, 12.0), "dna": (81.04, None), "mnist": (84.13, 90.0)}
# Short runs with each estimator, on a data set where latents help. The half one has twice the epochs too, because a
# step of VIMCO with ten latents takes about twice as long.
ESTIMATORS = (("half", 30), ("half", 60), ("vimco", 30), ("score_function", 30))


def build_model(settings: Settings, event_size: int) -> tuple[Any, Any]:
    """The distribution of a likelihood case and the `DensityModel` that trains it; without latents, the decoder alone."""
    import tfar

    if not settings.latent_units:
        network = tfar.networks.DARNNetwork((event_size,), order=settings.order, seed=settings.seed)
        dist: Any = tfar.Autoregressive(network, tfar.heads.Bernoulli())
    else:
        dist = tfar.DARN(
            [event_size],
            settings.latent_units,
            hidden_units=settings.hidden_units,
            encoder_units=settings.hidden_units or settings.latent_units,
            activation=settings.activation,
            order=settings.order,
            gradient_estimator=settings.gradient_estimator,
            seed=settings.seed,
        )
    return dist, tfar.training.DensityModel(dist, seed=settings.seed)


def _case(name: str, data: str, settings: Settings, paper: float | None, target: float | None) -> LikelihoodCase:
    units = "-".join(map(str, settings.latent_units))
    title = f"DARN {units}" if units else "DARN without latents"
    source = SOURCE if paper else ""
    return LikelihoodCase(f"darn-{name}", title, data, settings, build_model, paper, source, target)


def likelihood_cases() -> list[LikelihoodCase]:
    """Each data set, the same model without latents, and short runs with each gradient estimator."""
    cases = [_case(data, data, SETTINGS[data], *FIGURES[data]) for data in FIGURES]
    plain = dataclasses.replace(VECTOR, latent_units=(), gradient_estimator="", hidden_units=())
    cases.append(_case("mushrooms-no-latents", "mushrooms", plain, None, None))
    for estimator, epochs in ESTIMATORS:
        settings = dataclasses.replace(VECTOR, gradient_estimator=estimator, max_epochs=epochs, patience=epochs)
        case = _case(f"mushrooms-{estimator.replace('_', '-')}-{epochs}-epochs", "mushrooms", settings, None, None)
        cases.append(dataclasses.replace(case, title=f"{case.title}, {estimator.replace('_', ' ')}, {epochs} epochs"))
    return cases


def build_ours(event_size: int, latent_units: int, batch_size: int) -> Contestant:
    """Our contestant: the bound, the sampler and the train step that `fit` runs."""
    import tfar

    return tfar_side.contestant(tfar.DARN([event_size], [latent_units], seed=0), event_size, batch_size)


def speed_targets() -> list[Target]:
    """No slower than PyTorch, and a batch of samples within four bounds."""
    targets = []
    for operation in ("log_prob", "train_step", "sample"):
        value = functools.partial(ratio_to_fastest, ours=OURS, peers=(TORCH,), operation=operation)
        targets.append(Target(f"{OURS}: {operation} / PyTorch", "<=", 1.0, value))
    sampling = functools.partial(ratio_within, ours=OURS, operation="sample", unit="log_prob")
    return [*targets, Target(f"{OURS}: sample / elbo", "<=", SAMPLE_TO_BOUND, sampling)]


def speed_case(name: str, size: tuple[int, int, int], *, quick: bool = False) -> SpeedCase:
    """Both at one size."""
    event_size, latent_units, batch_size = size
    contestants = {OURS: functools.partial(build_ours, *size), TORCH: functools.partial(torch_darn.build, *size)}
    settings = {"event_size": event_size, "latent_units": latent_units, "batch_size": batch_size, "dtype": "float32"}
    targets = [] if quick else speed_targets()  # so small a case measures the cost of a call, not of the model
    return SpeedCase(f"darn-{name}", settings, contestants, targets, quick=quick)


CASES = ModelCases(
    speed=[speed_case("784-200", SIZE), speed_case("quick", QUICK_SIZE, quick=True)], likelihood=likelihood_cases()
)
