"""Two exported models, and servers that serve them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import servers

import tfar
from tests import registry


@dataclass(frozen=True)
class Exported:
    """A distribution and the folder of its versions."""

    name: str
    dist: tfar.Autoregressive
    base_path: Path

    def condition(self, num_rows: int, seed: int = 0) -> dict[str, np.ndarray]:
        """The inputs that every signature has: nothing, or a random condition."""
        shape = self.dist.conditional_shape
        if shape is None:
            return {}
        return {"conditional_input": np.random.default_rng(seed).normal(size=(num_rows, *shape)).astype(np.float32)}


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    """`binary`, images of bits, and `table`, an ensemble over real numbers with a condition."""
    pytest.importorskip("tensorflow_serving", reason="the clients need tensorflow-serving-api")
    head = tfar.heads.NormalMixture(2, min_scale=0.3)
    dists = {
        "binary": tfar.MADE([2, 3], [16], seed=1, jit_compile=False),
        "table": tfar.MADE([4], [16], head=head, num_masks=2, conditional_shape=[2], seed=2, jit_compile=False),
    }
    made = {}
    for name, dist in dists.items():
        registry.randomize(dist)
        base_path = tmp_path_factory.mktemp("models") / name
        tfar.serving.export_saved_model(dist, base_path)
        made[name] = Exported(name, dist, base_path)
    return made


def _server(kind: str, exported: dict[str, Exported], folder: Path, *flags: str) -> Iterator[Any]:
    config = folder / "models.config"
    config.write_text(servers.model_config({name: model.base_path for name, model in exported.items()}))
    with servers.running(kind, [f"--model_config_file={config}", *flags], folder) as server:
        yield server


@pytest.fixture(scope="session", params=servers.KINDS)
def server(request: pytest.FixtureRequest, exported: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server that runs every request by itself."""
    yield from _server(request.param, exported, tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="session", params=servers.KINDS)
def batching_server(
    request: pytest.FixtureRequest, exported: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A server that merges requests as `export/batching.txt` says."""
    parameters = servers.ROOT / "export" / "batching.txt"
    flags = ["--enable_batching=true", f"--batching_parameters_file={parameters}"]
    yield from _server(request.param, exported, tmp_path_factory.mktemp("batching"), *flags)


@pytest.fixture(params=["grpc", "rest"])
def transport(request: pytest.FixtureRequest) -> str:
    """The interface that is asked."""
    return request.param
