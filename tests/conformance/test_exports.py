"""Exports of each kind, read where tfar is not installed: the C++ runtime, TensorFlow's Python, and TFLite.

All exports are written first and then read by one process for each runtime.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import tfar
from tests.conformance import kinds
from tests.conformance.selection import selected_cases
from tests.registry import BY_NAME, Case
from tfar.serving.signatures import signatures

RUNTIMES = ("cpp", "python", "tflite")
ROWS = 5
BAD_ROWS = (1, 3)


def copy() -> tfar.OrderlessNADE:
    """A copy with other orders and a temperature."""
    dist = BY_NAME["OrderlessNADE-bernoulli"].make()
    return dist.with_orders([[2, 0, 4, 1, 3], [0, 1, 2, 3, 4]]).with_temperature(0.7)


COPY = Case("OrderlessNADE-copy", copy, (5,), conditional_shape=(3,))
# The signatures of texts, such as `encode` and `perplexity`, are compared in `tests/serving/test_exported_contract.py`.
OTHERS = [case for case in kinds.IN_CI if not case.ends]
pytestmark = kinds.over(default=kinds.DEFAULT[:1], in_ci=[*kinds.DEFAULT[1:], *OTHERS, COPY])
SERVING = Path(__file__).parent.parent / "serving"


class Exports:
    """Writes the exports of a case, and what the live distribution gives for the same batches."""

    def __init__(self, case: Any, folder: Path) -> None:
        self.dist, rng = case.make(), np.random.default_rng(1)
        self.live, self.folder = self.dist.copy(jit_compile=False), folder
        self._expected: dict[tuple[str, str], np.ndarray] = {}
        self.signatures = signatures(self.dist)
        self.batches = {"good": self._good(rng)}
        self.batches["bad"] = self._bad(self.batches["good"])
        self.batches["single"] = {name: rows[2:3] for name, rows in self.batches["good"].items()}
        self.runs = [(name, batch) for name in self.signatures for batch in self.batches]

    def _good(self, rng: Any) -> dict[str, np.ndarray]:
        specs = {name: spec for s in self.signatures.values() for name, spec in s.inputs.items()}
        batch = {name: rng.normal(size=(ROWS, *spec.shape[1:])).astype(np.float32) for name, spec in specs.items()}
        batch["seed"] = tfar.random.row_seeds(7, ROWS).numpy()
        batch["noise"] = self.dist.law.uniform_noise(batch["seed"]).numpy()
        batch["member_noise"] = self.dist.law.member_noise(batch["seed"]).numpy()
        batch["observed"] = self._observed()
        # Other draws than those of the seeds, with which a completion would draw what is missing again.
        batch["value"] = self._live("sample", batch, seed=8)
        return batch

    def _observed(self) -> np.ndarray:
        """Row i observes the first i sites of an order that all members share, or nothing."""
        network, law = self.dist.network, self.dist.law
        marks, size = (
            np.zeros([ROWS, network.num_sites], np.float32),
            int(np.prod(self.dist.head.site_shape, dtype=int)),
        )
        orders = network.orders if law.orders is None else np.asarray(law.orders)
        if len(orders) == 1 or law.allows_any_pattern:
            for row in range(ROWS):
                marks[row, orders[0][:row]] = 1.0
        return np.repeat(marks, size, axis=1).reshape(ROWS, *network.event_shape)

    def _bad(self, good: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        bad = {name: rows.copy() for name, rows in good.items()}
        impossible = np.float32(self.dist.head.support().high + 1.0)
        for name in ("value", "noise"):
            rows = bad[name].reshape(ROWS, -1)
            rows[BAD_ROWS[0], -1], rows[BAD_ROWS[1], 0] = np.nan, impossible
        bad["observed"][:] = 1.0
        return bad

    def _eager(self, name: str, batch: dict[str, np.ndarray]) -> np.ndarray:
        part = self.signatures[name]
        (output,) = part.function(**{key: tf.constant(batch[key]) for key in part.inputs}).values()
        return output.numpy()

    def condition(self, batch: dict[str, np.ndarray]) -> Any:
        """The conditional input of a batch."""
        shape = self.dist.conditional_shape
        if isinstance(shape, dict):
            return {name: batch[f"conditional_{name}"] for name in shape}
        return None if shape is None else batch["conditional_input"]

    def _live(self, name: str, batch: dict[str, np.ndarray], seed: int = 7) -> np.ndarray:
        """What the public methods of the distribution give; the seeds and the noise of the batch are those of the seed 7."""
        condition = self.condition(batch)
        given = {"conditional_input": condition}
        if name in ("sample", "sample_from_noise"):
            result = (
                self.live.sample(ROWS, seed=seed) if condition is None else self.live.sample(1, seed=seed, **given)[0]
            )
        elif name == "complete":
            result = self.live.complete(batch["value"], batch["observed"], seed=seed, **given)
        elif name == "observed_log_prob":
            result = self.live.log_prob(batch["value"], observed=batch["observed"], **given)
        elif name == "site_log_probs":
            result = self.live.site_log_probs(batch["value"], **given)
        else:
            result = self.live.log_prob(batch["value"], **given)
        return np.asarray(result)

    def expected(self, name: str, batch: str) -> np.ndarray:
        """What the distribution gives; for bad rows, of which public methods raise, the function that was exported."""
        if (name, batch) not in self._expected:
            method = self._live if batch == "good" else self._eager
            self._expected[name, batch] = method(name, self.batches[batch])
        return self._expected[name, batch]

    def write(self) -> None:
        self.path = tfar.serving.export_saved_model(self.dist, self.folder / "made")
        tfar.serving.export_tflite(self.dist, self.folder / "made.tflite")
        inputs = {f"{batch}/{name}": rows for batch, b in self.batches.items() for name, rows in b.items()}
        np.savez(self.folder / "inputs.npz", **inputs)

    def job(self, runtime: str) -> dict[str, Any]:
        return {
            "saved_model": str(self.path),
            "tflite": str(self.folder / "made.tflite"),
            "signatures": tensor_names(self.path),
            "inputs": str(self.folder / "inputs.npz"),
            "runs": self.runs,
            "outputs": str(self.folder / f"{runtime}.npz"),
        }

    def outputs(self, runtime: str) -> dict[str, np.ndarray]:
        return dict(np.load(self.folder / f"{runtime}.npz"))


def tensor_names(path: Path) -> dict[str, Any]:
    """The tensors of each signature: what a server reads in the folder."""
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((path / "saved_model.pb").read_bytes())
    return {
        name: {"inputs": {k: t.name for k, t in s.inputs.items()}, "outputs": {k: t.name for k, t in s.outputs.items()}}
        for name, s in model.meta_graphs[0].signature_def.items()
        if not name.startswith("__")
    }


def start(runtime: str, jobs: list[dict[str, Any]], folder: Path) -> subprocess.Popen:
    """Starts one process that runs all jobs and does not see tfar."""
    (folder / f"{runtime}.json").write_text(json.dumps(jobs))
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, str(SERVING / "read_exports.py"), runtime, str(folder / f"{runtime}.json")]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder, env=environment)


def finish(runtime: str, process: subprocess.Popen) -> None:
    """Waits for it, and raises RuntimeError if it failed."""
    _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{runtime} failed with {process.returncode}: {errors[-2000:]}")


@pytest.fixture(scope="module")
def exports(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Name -> the exports of the cases that were selected, or the error that stopped them."""
    folder = tmp_path_factory.mktemp("exports")
    made: dict[str, Any] = {}
    for case in selected_cases(request):
        (folder / case.name).mkdir()
        try:
            made[case.name] = Exports(case, folder / case.name)
            made[case.name].write()
        except Exception as error:
            made[case.name] = error
    written = [e for e in made.values() if isinstance(e, Exports)]
    readers = [(runtime, start(runtime, [e.job(runtime) for e in written], folder)) for runtime in RUNTIMES]
    for runtime, process in readers:
        finish(runtime, process)
    return made


@pytest.fixture
def export(exports: dict[str, Any], case: Any) -> Exports:
    """The exports of one case."""
    if isinstance(exports[case.name], Exception):
        raise exports[case.name]
    return exports[case.name]


@pytest.mark.parametrize("runtime", RUNTIMES)
class TestExports:
    def test_every_signature_gives_what_the_distribution_gives(self, export, case, runtime):
        outputs = export.outputs(runtime)
        errors = {key: str(value) for key, value in outputs.items() if key.startswith("error/")}
        assert not errors
        for name, batch in export.runs:
            if batch == "single":
                continue  # compared with its row of "good" below, which spares a third of the slow eager calls
            got, expected = outputs[f"{name}/{batch}"], export.expected(name, batch)
            # Few rows: none may differ by a draw on the edge of two values.
            tolerance = {"atol": 1e-4} if "value" in export.signatures[name].outputs else {"rtol": 1e-5, "atol": 1e-5}
            np.testing.assert_allclose(got, expected, **tolerance, err_msg=f"{name}, batch {batch}")

    def test_a_bad_value_makes_its_own_row_nan(self, export, case, runtime):
        outputs = export.outputs(runtime)
        for name in ("serving_default", "site_log_probs", "sample_from_noise"):
            bad = np.isnan(outputs[f"{name}/bad"]).reshape(ROWS, -1)
            assert bad.all(axis=1).tolist() == [row in BAD_ROWS for row in range(ROWS)], name
            assert bad.any(axis=1).tolist() == [row in BAD_ROWS for row in range(ROWS)], name
            good = [row for row in range(ROWS) if row not in BAD_ROWS]
            np.testing.assert_allclose(
                outputs[f"{name}/bad"][good], outputs[f"{name}/good"][good], rtol=1e-5, atol=1e-6
            )

    def test_a_row_does_not_depend_on_its_neighbours(self, export, case, runtime):
        outputs = export.outputs(runtime)
        for name in export.signatures:
            np.testing.assert_allclose(outputs[f"{name}/single"], outputs[f"{name}/good"][2:3], rtol=1e-5, atol=1e-5)

    def test_a_completion_keeps_what_is_observed(self, export, case, runtime):
        observed, value = export.batches["good"]["observed"], export.batches["good"]["value"]
        completed = export.outputs(runtime)["complete/good"]
        np.testing.assert_array_equal(completed[observed > 0], value[observed > 0])


def test_the_batch_is_the_first_axis_of_every_input_and_output(export, case):
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((export.path / "saved_model.pb").read_bytes())
    definitions = {n: s for n, s in model.meta_graphs[0].signature_def.items() if not n.startswith("__")}
    assert set(definitions) == set(export.signatures)
    for definition in definitions.values():
        for info in [*definition.inputs.values(), *definition.outputs.values()]:
            assert info.tensor_shape.dim[0].size == -1
            assert all(d.size > 0 for d in info.tensor_shape.dim[1:])
