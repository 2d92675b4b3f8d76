"""SavedModels for TF Serving: folders `base/<version>/` that appear whole or not at all."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfar import files
from tfar.distributions import Autoregressive
from tfar.heads.base import check_positive_int
from tfar.serving import metadata, warmup
from tfar.serving.errors import ExportError, os_error
from tfar.serving.replay import Run, example_batch, numpy_runner, replay
from tfar.serving.signatures import Signature, signatures

WARMUP = "tf_serving_warmup_requests"
# Operations that TF Serving has no kernel for: they call back into Python.
_PYTHON_OPS = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}


def export_saved_model(dist: Autoregressive, base_path: str | os.PathLike[str], version: int | None = None) -> Path:
    """Writes `base_path/<version>/`, which TF Serving serves as it is.

    The folder is written under a hidden name, read back, run and compared with the distribution, and only then renamed:
    a server that watches `base_path` never sees half a version, and what fails leaves nothing. The signatures, where B
    is the batch and a conditional model takes `conditional_input` or `conditional_<name>` besides:

        serving_default, log_prob   value [B, *event]                                -> log_prob [B]
        site_log_probs              value [B, *event]                                -> site_log_probs [B, sites]
        sample                      seed int32 [B, 2]                                -> value [B, *event]
        sample_from_noise           noise [B, sites, noise_size], member_noise [B]   -> value [B, *event]
        complete                    value, observed [B, *event], seed int32 [B, 2]   -> value [B, *event]

    All but seeds are float32; `observed` too, 1 where observed and 0 elsewhere, which every client can send.
    `member_noise` is an input of ensembles alone. A request whose inputs have another shape or differ in their number of
    rows fails. A row that is outside the support, NaN, or observed in a pattern that the order forbids is NaN in the
    output, and leaves the other rows alone. `assets.extra/tfar.json` says what was exported and with which versions, and
    `assets.extra/tf_serving_warmup_requests` makes the server run every signature before it takes requests.

    Args:
        dist: a distribution whose condition is not bound: the condition is an input.
        base_path: folder of all versions; it is made if it is missing.
        version: int. Default: one more than the highest there, from 1.

    Returns:
        The path of the version.

    Raises:
        ValueError: If the distribution cannot be exported, or `base_path` or `version` is not one.
        FileExistsError: If the version exists.
        ExportError: If what was written differs from the distribution, or TF Serving could not run it.
        OSError: If it could not be written, for example to a full disk.

    Example:
        >>> path = export_saved_model(tfar.MADE([4], [8]), "exported/made")
        >>> float(tf.saved_model.load(path).signatures["log_prob"](value=tf.zeros([1, 4]))["log_prob"][0]) < 0.0
        True
    """
    parts = signatures(dist)
    path = _version_path(base_path, version)
    functions = trace(parts)
    with files.replacing(path) as temporary:
        write(dist, functions, temporary)
        _check_operations(temporary)
        loaded = tf.saved_model.load(temporary)
        replay(dist, parts, numpy_runner(functions, parts), numpy_runner(loaded.signatures, parts))
        _write_extra(dist, parts, temporary, path)
        _replay_warmup(temporary, numpy_runner(loaded.signatures, parts))
    return path


def _version_path(base_path: str | os.PathLike[str], version: int | None) -> Path:
    try:
        base = Path(base_path)
    except TypeError as error:
        raise ValueError(f"Expected `base_path` to be the path of a folder; received {base_path!r}.") from error
    if base.exists() and not base.is_dir():
        raise ValueError(f"Expected `base_path` to be a folder; {base} is a file.")
    if version is None:
        present = [int(p.name) for p in base.iterdir() if p.name.isdecimal()] if base.exists() else []
        version = max(present, default=0) + 1
    path = base / str(check_positive_int("version", version))
    if path.exists():
        raise FileExistsError(f"Expected a version that does not exist yet; {path} does.")
    return path


def trace(parts: Mapping[str, Signature]) -> dict[str, Any]:
    """A concrete function for each signature; those that are one signature share it."""
    traced = {id(part): part.concrete() for part in {id(p): p for p in parts.values()}.values()}
    return {name: traced[id(part)] for name, part in parts.items()}


def write(dist: Autoregressive, functions: Mapping[str, Any], folder: Path) -> None:
    """Saves the functions; the module holds raw tf.Variables, as the C++ runtime does not find those of Keras."""
    module = tf.Module(name="tfar")
    module.weights = list(dist.variables)
    try:
        tf.saved_model.save(module, folder, signatures=dict(functions))
    except tf.errors.OpError as error:
        raise os_error(error) from error


def _check_operations(folder: Path) -> None:
    """Refuses what loads and then fails at the first request: compiled functions and calls into Python.

    Raises:
        ExportError: If the graph holds one.
    """
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((folder / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    called = sorted({node.op for node in nodes} & _PYTHON_OPS)
    if called:
        raise ExportError(
            f"The network calls into Python ({', '.join(called)}), which a server cannot: use TensorFlow operations."
        )
    compiled = sorted(f.signature.name for f in graph.library.function if f.attr["_XlaMustCompile"].b)
    if compiled or any(node.attr["_XlaMustCompile"].b for node in nodes):
        raise ExportError(
            f"The network holds functions with jit_compile=True ({', '.join(compiled)}), which TF Serving cannot run, "
            "as it disables XLA: leave the compilation to the callers."
        )


def _write_extra(dist: Autoregressive, parts: Mapping[str, Signature], folder: Path, path: Path) -> None:
    """Writes what TF Serving does not load as part of the model: the description and the requests that warm it up."""
    extra = folder / "assets.extra"
    extra.mkdir()
    files.write_json(extra / "tfar.json", metadata.describe(dist, parts, folder))
    specs = {name: spec for part in parts.values() for name, spec in part.inputs.items()}
    batch = example_batch(dist, specs)
    batch["value"] = (
        parts["sample"].function(**{k: tf.constant(batch[k]) for k in parts["sample"].inputs})["value"].numpy()
    )
    requests = [(name, {key: batch[key] for key in part.inputs}) for name, part in parts.items()]
    warmup.write_requests(extra / WARMUP, path.parent.name, requests)


def _replay_warmup(folder: Path, run: Run) -> None:
    """Runs the warm-up records as they were written: a server that fails one of them does not serve the version.

    Raises:
        ExportError: If one fails.
    """
    for name, inputs in warmup.read_requests(folder / "assets.extra" / WARMUP):
        try:
            run(name, inputs)
        except Exception as error:
            raise ExportError(f"The warm-up request of signature {name!r} fails: {error}") from error
