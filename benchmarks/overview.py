"""One row for each model: its papers, its page, and the cases whose results stand for it in the tables of all models."""

from __future__ import annotations

import configparser
import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import machine, render, results
from benchmarks.cases import load_cases, model_names
from benchmarks.results import Result

DATA = {
    "mnist": "binarised MNIST",
    "movielens_100k": "MovieLens 100K, nats a rating",
    "red_wine": "red wine, ten folds",
    "photo_patches_32": "colour patches of 32 x 32",
    "grey_patches_32": "grey patches of 32 x 32",
    "speech_8_bit": "speech, 8 bits",
    "newsgroups20": "20 Newsgroups",
    "movie_sentences": "sentences of film reviews",
    "kjv": "verses of the King James Bible",
    "kjv_windows": "five verses of the King James Bible",
    "kjv_flat_windows": "five verses of the King James Bible, as one text",
    "wandering_mnist_2": "videos of two wandering digits",
}
NOT_MEASURED = "not measured"
MODELS_HEADER = ("model", "paper", "test data", "negative log-likelihood, nats", "one sample, ms")
CHOICE_HEADER = ("model", "test data", "trained network", "negative log-likelihood, nats")
COSTS_HEADER = ("model", "network", "event", "log_prob, ms", "sample, ms", "train step, ms", "batch")


@dataclasses.dataclass(frozen=True)
class Model:
    """A model in the tables of all models.

    Args:
        name: str. Name of the class in tfar.
        slug: str. Start of the names of its cases, and name of its page in `docs/models` with `_` for `-`.
        papers: pairs of a citation and its address.
        likelihood: str. The likelihood case that stands for the model.
        speed: str or None. The speed case that stands for the model.
    """

    name: str
    slug: str
    papers: Sequence[tuple[str, str]]
    likelihood: str
    speed: str | None

    @property
    def page(self) -> str:
        """Name of the model's page, without its suffix."""
        return self.slug.replace("-", "_")


JMLR = ("Uria et al. 2016", "https://arxiv.org/abs/1605.02226")
MODELS = (
    Model(
        "MADE",
        "made",
        [("Germain et al. 2015", "https://arxiv.org/abs/1502.03509")],
        "made-mnist-one-mask",
        "made-784-500",
    ),
    Model(
        "NADE",
        "nade",
        [("Larochelle and Murray 2011", "https://proceedings.mlr.press/v15/larochelle11a.html")],
        "nade-mnist",
        "nade-784-500",
    ),
    Model(
        "RNADE", "rnade", [("Uria et al. 2013", "https://arxiv.org/abs/1306.0186")], "rnade-red-wine", "rnade-64-512"
    ),
    Model(
        "OrderlessNADE",
        "orderless-nade",
        [("Uria et al. 2014", "https://proceedings.mlr.press/v32/uria14.html")],
        "orderless-nade-mnist",
        "orderless-nade-784-500-500",
    ),
    Model(
        "AnyOrderTransformer",
        "any-order-transformer",
        [("Pannatier et al. 2024", "https://arxiv.org/abs/2404.09562")],
        "any-order-transformer-mushrooms",
        "any-order-transformer-100-4x64",
    ),
    Model("ConvNADE", "conv-nade", [JMLR], "conv-nade-mnist", "conv-nade-28x28"),
    Model(
        "CFNADE",
        "cf-nade",
        [("Zheng et al. 2016", "https://arxiv.org/abs/1605.09477")],
        "cf-nade-movielens",
        "cf-nade-943-200",
    ),
    Model(
        "PixelCNN",
        "pixel-cnn",
        [("van den Oord et al. 2016a", "https://arxiv.org/abs/1601.06759")],
        "pixel-cnn-mnist",
        "pixel-cnn-28x28-64-batch-16",
    ),
    Model(
        "GatedPixelCNN",
        "gated-pixel-cnn",
        [("van den Oord et al. 2016b", "https://arxiv.org/abs/1606.05328")],
        "gated-pixel-cnn-mnist",
        "gated-pixel-cnn-10x128-batch-16",
    ),
    Model(
        "RowLSTM",
        "row-lstm",
        [("van den Oord et al. 2016a", "https://arxiv.org/abs/1601.06759")],
        "row-lstm-mnist",
        "row-lstm-1x32-batch-16",
    ),
    Model(
        "DiagonalBiLSTM",
        "diagonal-bilstm",
        [("van den Oord et al. 2016a", "https://arxiv.org/abs/1601.06759")],
        "diagonal-bilstm-mnist",
        "diagonal-bilstm-1x32-batch-16",
    ),
    Model(
        "SpatialLSTM",
        "spatial-lstm",
        [("Theis and Bethge 2015", "https://arxiv.org/abs/1506.03478")],
        "spatial-lstm-patches",
        "spatial-lstm-2x64-batch-16",
    ),
    Model(
        "PixelCNNPlusPlus",
        "pixel-cnn-plus-plus",
        [("Salimans et al. 2017", "https://arxiv.org/abs/1701.05517")],
        "pixel-cnn-plus-plus-patches",
        "pixel-cnn-plus-plus-28x28",
    ),
    Model(
        "MultiscalePixelCNN",
        "multiscale-pixel-cnn",
        [("Reed et al. 2017", "https://arxiv.org/abs/1703.03664")],
        "multiscale-pixel-cnn-mnist",
        "multiscale-pixel-cnn-32x32x3-batch-16",
    ),
    Model(
        "WaveNet",
        "wavenet",
        [("van den Oord et al. 2016c", "https://arxiv.org/abs/1609.03499")],
        "wavenet-speech",
        "wavenet-10x3-batch-1",
    ),
    Model(
        "DocNADE",
        "doc-nade",
        [("Larochelle and Lauly 2012", "https://papers.nips.cc/paper/4613-a-neural-autoregressive-topic-model")],
        "doc-nade-newsgroups",
        "doc-nade-2000-50",
    ),
    Model(
        "RecurrentLanguageModel",
        "recurrent-language-model",
        [("Dai and Le 2015", "https://arxiv.org/abs/1511.01432")],
        "recurrent-language-model-movie-sentences",
        "recurrent-language-model-40-256",
    ),
    Model(
        "SequenceAutoencoder",
        "sequence-autoencoder",
        [("Dai and Le 2015", "https://arxiv.org/abs/1511.01432")],
        "sequence-autoencoder-movie-sentences",
        None,
    ),
    Model(
        "HierarchicalAutoencoder",
        "hierarchical-autoencoder",
        [("Li et al. 2015", "https://arxiv.org/abs/1506.01057")],
        "hierarchical-autoencoder-kjv",
        None,
    ),
    Model(
        "SentenceVAE",
        "sentence-vae",
        [("Bowman et al. 2016", "https://arxiv.org/abs/1511.06349")],
        "sentence-vae-movie-sentences",
        "sentence-vae-40-128",
    ),
    Model(
        "VideoPixelNetwork",
        "video-pixel-network",
        [("Kalchbrenner et al. 2017", "https://arxiv.org/abs/1610.00527")],
        "video-pixel-network-wandering-mnist",
        "video-pixel-network-10x32x32",
    ),
    Model(
        "DARN", "darn", [("Gregor et al. 2014", "https://arxiv.org/abs/1310.8499")], "darn-mushrooms", "darn-784-200"
    ),
    Model(
        "PixelVAE",
        "pixel-vae",
        [("Gulrajani et al. 2017", "https://arxiv.org/abs/1611.05013")],
        "pixel-vae-mnist-2-layers",
        "pixel-vae-12x16-batch-16",
    ),
)


def project_urls(path: pathlib.Path = machine.ROOT / "setup.cfg") -> dict[str, str]:
    """Returns the addresses of the project by name, such as "Documentation" and "Source", which setup.cfg defines."""
    config = configparser.ConfigParser()
    config.read(path, encoding="utf-8")
    return dict(line.split(" = ") for line in config["metadata"]["project_urls"].strip().splitlines())


def model_of(case: str) -> Model:
    """Returns the model that a case belongs to, by the start of the name of the case.

    Raises:
        ValueError: If no model has such cases.
    """
    found = [model for model in MODELS if case.startswith(f"{model.slug}-")]
    if not found:
        raise ValueError(f"Expected a case of one of {[model.slug for model in MODELS]}. Received: {case!r}")
    return max(found, key=lambda model: len(model.slug))


def models_table(folder: pathlib.Path = results.FOLDER) -> str:
    """Returns the table of the README: papers, likelihood and the cost of a sample, with absolute links."""
    site, rows = project_urls()["Documentation"], []
    for model in MODELS:
        papers = ", ".join(f"[{citation}]({address})" for citation, address in model.papers)
        data, _, nll = likelihood(model, folder)
        link = f"[{model.name}]({site}/models/{model.page}.html)"
        rows.append([link, papers, data, nll, _per_event(_speed(model, folder), "sample")])
    return render.markdown_table(MODELS_HEADER, rows, left=3)


def choice_table(folder: pathlib.Path = results.FOLDER) -> str:
    """Returns the likelihood of the case that stands for each model."""
    rows = [[f"[{model.name}](models/{model.page}.md)", *likelihood(model, folder)] for model in MODELS]
    return render.markdown_table(CHOICE_HEADER, rows, left=3)


def costs_table(folder: pathlib.Path = results.FOLDER) -> str:
    """Returns the time of each operation for one event of a batch."""
    rows = []
    for model in MODELS:
        result = _speed(model, folder)
        network = ["", "", ""]
        if result is not None:
            sizes = str(model.speed).removeprefix(f"{model.slug}-")
            network = [sizes, _size(result), str(result.settings["batch_size"])]
        costs = [_per_event(result, operation) for operation in ("log_prob", "sample", "train_step")]
        rows.append([f"[{model.name}](models/{model.page}.md)", *network[:2], *costs, network[2]])
    return render.markdown_table(COSTS_HEADER, rows, left=3)


def tables_of_models(folder: pathlib.Path = results.FOLDER) -> dict[str, str]:
    """Returns the tables of the pages of the models: all likelihoods and all speeds of each."""
    cases = [load_cases(name) for name in model_names()]
    tables = {}
    for model in MODELS:
        likelihood = [c for part in cases for c in part.likelihood if model_of(c.name) == model]
        speed = [c for part in cases for c in part.speed if model_of(c.name) == model and not c.quick]
        tables[f"likelihood-of-{model.slug}"] = _of_cases(render.likelihood_table, "likelihood", likelihood, folder)
        if speed:
            tables[f"speed-of-{model.slug}"] = _of_cases(render.speed_table, "speed", speed, folder)
    return tables


def _of_cases(table: Callable[..., str], kind: str, cases: Sequence[Any], folder: pathlib.Path) -> str:
    return table(cases, [results.find(kind, case.name, folder) for case in cases])


def likelihood(model: Model, folder: pathlib.Path) -> list[str]:
    """Returns data, network and negative log-likelihood of the case that stands for the model."""
    (case,) = [c for name in model_names() for c in load_cases(name).likelihood if c.name == model.likelihood]
    result = results.find("likelihood", case.name, folder)
    data = DATA.get(case.data, case.data)
    if result is None:
        return [data, case.title, render.NOT_RUN]
    figures = result.figures
    nll = figures[case.figure] * (1 if case.relation == "<=" else -1)
    rows = f" ({figures['test_rows']} rows)" if "test_rows" in figures else ""
    if case.unit != "nats":
        bits = f" {case.unit}"
    else:
        bits = (
            f" ({figures['bits_per_dim']:.2f} bits per dimension)" if case.beside and "bits_per_dim" in figures else ""
        )
    return [data, case.title, f"{nll:.2f} ± {figures['standard_error']:.2f}{rows}{bits}"]


def _speed(model: Model, folder: pathlib.Path) -> Result | None:
    return None if model.speed is None else results.find("speed", model.speed, folder)


def _size(result: Result) -> str:
    """Returns the shape of an event of a speed case."""
    settings = result.settings
    shape = settings.get("event_shape") or settings.get("image_shape") or [settings["event_size"]]
    return " x ".join(map(str, shape))


def _per_event(result: Result | None, operation: str) -> str:
    """Returns the median time of an operation, divided by the number of events of the batch."""
    if result is None:
        return NOT_MEASURED
    found = result.figures["contestants"]["tfar"]["operations"].get(operation)
    return NOT_MEASURED if found is None else render.milliseconds(found["median_ms"] / result.settings["batch_size"])
