"""Checks of files from other people, made before anything is allocated for their content.

A damaged or hostile file leads to a `ValueError` of one line that names the file. The limits bound memory and recursion; they
do not make a file trustworthy. See SECURITY.md for what a model file can do.
"""

import contextlib
import io
import json
import math
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import h5py

CONFIG, METADATA, WEIGHTS, ASSETS = "config.json", "metadata.json", "model.weights.h5", "assets"
# The model in the folder of a run of `tfar train`.
RUN_MODEL = "model.keras"
# An archive or data set may always unpack to this size, and beyond it to a multiple of its size on disk.
FREE_BYTES = 1 << 24
MAX_EXPANSION = 20
MAX_JSON_BYTES = 1 << 26
MAX_JSON_DEPTH = 64
MAX_VALUES = 1 << 26
# Sizes of a configuration up to this one need no weights to match: levels, numbers of orders.
MIN_LARGEST_SIZE = 1 << 16
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.|\\\Z)*+"?|[\[\]{}]', re.DOTALL)
_SIZE = re.compile(r"(^|_)(units|filters|features|size)$|^num_")
_SHAPES = ("event_shape", "conditional_shape", "site_shape")


@contextlib.contextmanager
def reading(path: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Turns any error of a block that reads a file into a ValueError of one line that names the file.

    The content of a damaged file decides which error its reader raises: KeyError, RecursionError, MemoryError and many others.

    Args:
        path: the file.
        what: what the file was expected to be, for the message.

    Raises:
        ValueError: If the block raises an Exception, other than an OSError that names a file.

    Example:
        >>> with reading("run/config.json", "the configuration of a run"):
        ...     {}["head"]
        Traceback (most recent call last):
            ...
        ValueError: run/config.json: expected the configuration of a run; received KeyError: 'head'
    """
    try:
        yield
    except Exception as error:
        named = f"{os.fspath(path)}: "
        is_named = isinstance(error, ValueError) and str(error).startswith(named)
        if is_named or (isinstance(error, OSError) and error.filename):
            raise
        kind = "" if type(error) in (ValueError, OSError) else f"{type(error).__name__}: "
        reason = " ".join(f"{kind}{error}".split())
        raise ValueError(f"{named}expected {what}; received {shortened(reason)}") from error


def read_json(path: str | os.PathLike[str], what: str) -> Any:
    """Reads a JSON file of bounded size and depth.

    Args:
        path: the file.
        what: what the file was expected to be, for messages.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not JSON in UTF-8, is larger than 64 MiB or is nested deeper than 64 levels.
    """
    with open(path, "rb") as file, reading(path, what):
        return parse_json(file.read(MAX_JSON_BYTES + 1))


def parse_json(content: bytes) -> Any:
    """Parses JSON of bounded size and depth.

    Raises:
        ValueError: If the content is not JSON in UTF-8, is larger than 64 MiB or is nested deeper than 64 levels.

    Example:
        >>> parse_json(b"[" * 1000)
        Traceback (most recent call last):
            ...
        ValueError: JSON nested deeper than 64 levels
    """
    if len(content) > MAX_JSON_BYTES:
        raise ValueError(f"more than {MAX_JSON_BYTES} bytes of JSON")
    text = content.decode("utf-8")
    _check_depth(text)
    return json.loads(text)


def _check_depth(text: str) -> None:
    """Raises ValueError if brackets outside of strings are nested too deeply for the recursion of a parser."""
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        if match[0] in "[{":
            depth += 1
        elif match[0] in "]}":
            depth -= 1
        if depth > MAX_JSON_DEPTH:
            raise ValueError(f"JSON nested deeper than {MAX_JSON_DEPTH} levels")


def check_archive(
    path: str | os.PathLike[str], free_bytes: int = FREE_BYTES, max_expansion: int = MAX_EXPANSION
) -> dict[str, int]:
    """Checks that a ZIP archive does not unpack to far more than its size.

    Args:
        path: the archive.
        free_bytes: int. Every archive may unpack to this size.
        max_expansion: int. Beyond it, the archive and each member may unpack to this multiple of their size on disk.

    Returns:
        The unpacked size of each member.

    Raises:
        ValueError: If the file is not a ZIP archive, or its members are larger.
    """
    size = os.path.getsize(path)
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    # Members may overlap on disk, so the sum is compared with the size of the file, not with the sum of their sizes.
    total, limit = sum(member.file_size for member in members), free_bytes + max_expansion * size
    if total > limit:
        raise ValueError(f"an archive of {size:,} bytes that unpacks to {total:,}; the limit is {limit:,}")
    for member in members:
        limit = free_bytes + max_expansion * member.compress_size
        if member.file_size > limit:
            raise ValueError(f"{member.filename!r} of {member.file_size:,} bytes; the limit for its size is {limit:,}")
    names = [member.filename for member in members]
    if len(set(names)) < len(names):
        raise ValueError("an archive with several members of one name")
    return {member.filename: member.file_size for member in members}


@contextlib.contextmanager
def reading_model(path: str | os.PathLike[str]) -> Iterator[None]:
    """Checks a `.keras` file, and turns any error of the block that loads it into a ValueError that names the file.

    Checked before anything is unpacked or built: the members of the archive and their sizes, the depth of the JSON, the shapes
    of the configuration, and the size, type and place of every array of weights.

    Args:
        path: the `.keras` file.

    Raises:
        ValueError: If the file fails a check, or the block raises an Exception.
    """
    with reading(path, "a .keras file that DensityModel.save wrote"):
        _check_model(Path(path))
        yield


def _check_model(path: Path) -> None:
    sizes = check_archive(path)
    strange = [name for name in sizes if name not in (CONFIG, METADATA, WEIGHTS) and not _is_asset(name)]
    if strange:
        raise ValueError(f"an archive with {strange[0]!r}")
    with zipfile.ZipFile(path) as archive:
        config = parse_json(archive.read(CONFIG))
        weights = archive.read(WEIGHTS)
        num_weights = _check_weights(io.BytesIO(weights), len(weights))
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise ValueError(f"{CONFIG} without the configuration of a model")
    _check_sizes(config["config"], max(MIN_LARGEST_SIZE, num_weights))


def _is_asset(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return parts[:1] == (ASSETS,) and ".." not in parts and "\\" not in name


@contextlib.contextmanager
def reading_weights(path: str | os.PathLike[str]) -> Iterator[None]:
    """Checks the arrays of a `.weights.h5` file, and turns any error of the block that loads them into one that names the file.

    Args:
        path: the `.weights.h5` file.

    Raises:
        ValueError: If the file fails a check, or the block raises an Exception.
    """
    with reading(path, "weights that DensityModel.save_weights wrote"):
        with open(path, "rb") as file:
            _check_weights(file, os.path.getsize(path))
        yield


def _check_weights(content: BinaryIO, size: int) -> int:
    """Checks the arrays of an HDF5 file of `size` bytes before they are read, and returns the number of their values.

    A dataset may be compressed or may have no storage at all, and links may lead to other files.

    Raises:
        ValueError: If an array is not numbers of this file, or the arrays are far larger than the file.
    """
    limit = FREE_BYTES + MAX_EXPANSION * size
    num_bytes = num_values = 0

    def check(name: str, item: Any) -> None:
        nonlocal num_bytes, num_values
        if isinstance(item, h5py.Group):
            _check_links(item)
            return
        if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "biufV" or item.shape is None:
            raise ValueError(f"weights {name!r} that are not an array of numbers")
        if item.external or item.is_virtual:
            raise ValueError(f"weights {name!r} that are stored in another file")
        num_values += math.prod(item.shape)
        num_bytes += math.prod(item.shape) * item.dtype.itemsize
        if num_bytes > limit:
            raise ValueError(f"weights of more than {limit:,} bytes in {size:,} bytes of HDF5")

    with h5py.File(content, "r") as file:
        _check_links(file)
        file.visititems(check)
    return num_values


def _check_links(group: h5py.Group) -> None:
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"weights {name!r} that are a link")


def _check_sizes(config: Any, largest: int, key: str = "") -> None:
    """Checks the numbers of a configuration, which decide what its constructors allocate.

    A layer of n units has at least n weights, so no size can exceed the number of weights. The shape of an event can, because
    convolutions share weights.

    Raises:
        ValueError: If a shape or a size is absurd.
    """
    if isinstance(config, dict):
        for name, value in config.items():
            if name in _SHAPES:
                _check_shape(name, value)
            else:
                _check_sizes(value, largest, name)
    elif isinstance(config, list):
        for value in config:
            _check_sizes(value, largest, key)
    elif isinstance(config, int) and _SIZE.search(key) and config > largest:
        raise ValueError(f"a model with {key} {config}, which is more than the file has weights")


def _check_shape(name: str, shape: Any) -> None:
    """Checks a shape, Keras's form of a tuple, or a dict of shapes."""
    if isinstance(shape, dict):
        for value in [shape["items"]] if "items" in shape else shape.values():
            _check_shape(name, value)
        return
    sizes = shape if isinstance(shape, list) else [shape]
    if any(isinstance(size, list | dict) for size in sizes):
        raise ValueError(f"a model with {name} {shortened(str(shape))}")
    known = [size for size in sizes if isinstance(size, int)]
    if math.prod(known) > MAX_VALUES or min(known, default=0) < 0:
        raise ValueError(f"a model with {name} {shape}; the limit is {MAX_VALUES:,} values")


def shortened(text: str) -> str:
    """Cuts the middle out of a long text: Keras quotes a whole configuration before it says what is wrong."""
    return text if len(text) <= 500 else f"{text[:200]} ... {text[-300:]}"
