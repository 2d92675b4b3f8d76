"""Exports SavedModels for TF Serving: complete folders `base/<version>/`."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfar import files
from tfar.heads.base import check_positive_int
from tfar.laws.signature import Signature
from tfar.serving import metadata, warmup
from tfar.serving.errors import ExportError, os_error
from tfar.serving.replay import Run, numpy_runner, replay
from tfar.serving.signatures import signatures

EXPORT_STEPS = ("tracing", "writing", "reading back", "comparing", "warming up")
WARMUP = "tf_serving_warmup_requests"
# Operations that call back into Python, for which TF Serving has no kernel.
_PYTHON_OPS = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}


def export_saved_model(
    dist: Any,
    base_path: str | os.PathLike[str],
    version: int | None = None,
    *,
    data: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Writes the SavedModel `base_path/<version>/`, which TF Serving can serve.

    The folder is written under a hidden name, read back, run, compared with the distribution and then renamed. A server that
    watches `base_path` therefore sees only complete versions, and a failed export leaves no files. The signatures of an
    autoregressive distribution, where B is the batch, and a conditional model also takes `conditional_input` or
    `conditional_<name>`:

        serving_default, log_prob   value [B, *event]                                -> log_prob [B]
        site_log_probs              value [B, *event]                                -> site_log_probs [B, sites]
        observed_log_prob           value, observed [B, *event]                      -> log_prob [B]
        sample                      seed int32 [B, 2]                                -> value [B, *event]
        sample_from_noise           noise [B, sites, noise_size], member_noise [B]   -> value [B, *event]
        complete                    value, observed [B, *event], seed int32 [B, 2]   -> value [B, *event]

    All inputs but seeds are float32, also `observed`, which is 1 where a value is observed and 0 elsewhere. Only ensembles take
    `member_noise`. A request fails if an input has another shape or another number of rows than the first input. A row that is
    NaN, outside of the support or observed in a pattern that the order does not allow gives NaN and does not affect other rows.
    `assets.extra/tfar.json` describes the export, and `assets.extra/tf_serving_warmup_requests` makes the server run every
    signature before it accepts requests.

    Args:
        dist: a distribution without a bound condition, because the condition is an input.
        base_path: folder of all versions. It is created if it does not exist.
        version: int. Default: one more than the highest version in the folder, or 1.
        data: JSON values that describe the data of the model, for `tfar score`: `columns`, the names of the columns of a row,
            which are matched by name; `condition`, the labels that are the condition, with the keys `name`, `num_classes` and
            `classes`.
        progress: called with the name of each of the `EXPORT_STEPS`, before it.

    Returns:
        The path of the version.

    Raises:
        ValueError: If the distribution cannot be exported, or `base_path` or `version` is not valid.
        FileExistsError: If the version exists.
        ExportError: If the export differs from the distribution, or TF Serving could not run it.
        OSError: If a file cannot be written, for example because the disk is full.

    Example:
        >>> path = export_saved_model(tfar.MADE([4], [8]), "exported/made")
        >>> float(tf.saved_model.load(path).signatures["log_prob"](value=tf.zeros([1, 4]))["log_prob"][0]) < 0.0
        True
    """
    return export_signatures(dist, signatures(dist), base_path, version, data=data, progress=progress)


def export_signatures(
    dist: Any,
    parts: Mapping[str, Signature],
    base_path: str | os.PathLike[str],
    version: int | None = None,
    *,
    data: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Writes a SavedModel with given signatures, which use the weights of a distribution; see `export_saved_model`."""
    say = progress or (lambda step: None)
    path = _version_path(base_path, version)
    say("tracing")
    functions = trace(parts)
    with files.replacing(path) as temporary:
        say("writing")
        write(dist, functions, temporary)
        _check_operations(temporary)
        say("reading back")
        loaded = tf.saved_model.load(temporary)
        run = numpy_runner(loaded.signatures)
        say("comparing")
        replay(dist.name, parts, run)
        say("warming up")
        _write_extra(dist, parts, temporary, path, data)
        _replay_warmup(temporary, run)
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
    """Traces a concrete function for each signature. Several names of one signature share a function."""
    traced = {id(part): part.concrete() for part in {id(p): p for p in parts.values()}.values()}
    return {name: traced[id(part)] for name, part in parts.items()}


def write(dist: Any, functions: Mapping[str, Any], folder: Path) -> None:
    """Saves the functions in a module of raw tf.Variables, because the C++ runtime cannot find the variables of Keras."""
    module = tf.Module(name="tfar")
    module.weights = list(dist.variables)
    try:
        tf.saved_model.save(module, folder, signatures=dict(functions))
    except tf.errors.OpError as error:
        raise os_error(error) from error


def _check_operations(folder: Path) -> None:
    """Refuses functions that a server can load but not run: functions compiled with XLA and calls into Python."""
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((folder / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    called = sorted({node.op for node in nodes} & _PYTHON_OPS)
    if called:
        raise ExportError(
            f"The network calls into Python ({', '.join(called)}), which a server cannot do. Use TensorFlow operations."
        )
    compiled = sorted(f.signature.name for f in graph.library.function if f.attr["_XlaMustCompile"].b)
    if compiled or any(node.attr["_XlaMustCompile"].b for node in nodes):
        raise ExportError(
            f"The network contains functions with jit_compile=True ({', '.join(compiled)}), which TF Serving cannot run because "
            "it disables XLA. Leave the compilation to the caller."
        )


def _write_extra(
    dist: Any, parts: Mapping[str, Signature], folder: Path, path: Path, data: Mapping[str, Any] | None
) -> None:
    """Writes the description and the warm-up requests, which are not part of the SavedModel itself."""
    extra = folder / "assets.extra"
    extra.mkdir()
    files.write_json(extra / "tfar.json", metadata.describe(dist, parts, folder, data))
    requests = [(name, part.example(0).inputs) for name, part in parts.items()]
    warmup.write_requests(extra / WARMUP, path.parent.name, requests)


def _replay_warmup(folder: Path, run: Run) -> None:
    """Runs the written warm-up requests, because a server does not serve a version for which one of them fails."""
    for name, inputs in warmup.read_requests(folder / "assets.extra" / WARMUP):
        try:
            run(name, inputs)
        except Exception as error:
            raise ExportError(f"The warm-up request of signature {name!r} fails: {error}") from error
