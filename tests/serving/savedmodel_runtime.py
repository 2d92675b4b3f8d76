"""Runs SavedModels with TensorFlow's C++ loader and session, which TF Serving is built on, without TensorFlow's Python.

What cannot run here cannot run in TF Serving, however well it loads in Python. XLA is disabled, as it is there.
A model may be run by several threads at once.
"""

import contextlib
import ctypes
import functools
import importlib.util
from collections.abc import Iterator
from ctypes import byref, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path

import numpy as np

# The types of TensorFlow, by number, that NumPy has too.
DTYPES = {
    1: np.dtype(np.float32),
    2: np.dtype(np.float64),
    3: np.dtype(np.int32),
    4: np.dtype(np.uint8),
    5: np.dtype(np.int16),
    6: np.dtype(np.int8),
    9: np.dtype(np.int64),
    10: np.dtype(np.bool_),
    19: np.dtype(np.float16),
}
CODES = {dtype: code for code, dtype in DTYPES.items()}

# The functions of the C interface that are used: result, arguments.
FUNCTIONS = {
    "TF_NewStatus": (c_void_p, []),
    "TF_DeleteStatus": (None, [c_void_p]),
    "TF_GetCode": (c_int, [c_void_p]),
    "TF_Message": (c_char_p, [c_void_p]),
    "TF_NewGraph": (c_void_p, []),
    "TF_NewSessionOptions": (c_void_p, []),
    "TF_LoadSessionFromSavedModel": (c_void_p, [*[c_void_p] * 2, c_char_p, c_void_p, c_int, *[c_void_p] * 3]),
    "TF_GraphOperationByName": (c_void_p, [c_void_p, c_char_p]),
    "TF_AllocateTensor": (c_void_p, [c_int, c_void_p, c_int, c_size_t]),
    "TF_TensorData": (c_void_p, [c_void_p]),
    "TF_TensorByteSize": (c_size_t, [c_void_p]),
    "TF_TensorType": (c_int, [c_void_p]),
    "TF_NumDims": (c_int, [c_void_p]),
    "TF_Dim": (c_int64, [c_void_p, c_int]),
    "TF_DeleteTensor": (None, [c_void_p]),
    "TF_SessionRun": (
        None,
        [*[c_void_p] * 4, c_int, *[c_void_p] * 2, c_int, c_void_p, c_int, *[c_void_p] * 2],
    ),
}


class Port(ctypes.Structure):
    """An output of an operation: TF_Output."""

    _fields_ = [("operation", c_void_p), ("index", c_int)]


@functools.cache
def library() -> ctypes.CDLL:
    """The C++ runtime of the installed TensorFlow, with XLA disabled."""
    folder = Path(importlib.util.find_spec("tensorflow").origin).parent
    ctypes.CDLL(str(folder / "libtensorflow_framework.so.2"), mode=ctypes.RTLD_GLOBAL)
    tf = ctypes.CDLL(str(folder / "libtensorflow_cc.so.2"), mode=ctypes.RTLD_GLOBAL)
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(tf, name)
        function.restype, function.argtypes = result, arguments
    tf._ZN10tensorflow21DisableXlaCompilationEv()
    return tf


class RuntimeStatus(RuntimeError):
    """What the runtime reports, with its code, which gRPC numbers alike: 3 is INVALID_ARGUMENT."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class SavedModel:
    """A version folder, loaded as a server loads it; what the runtime reports is raised as `RuntimeStatus`."""

    def __init__(self, tf: ctypes.CDLL, folder: str) -> None:
        self.tf, self.graph = tf, tf.TF_NewGraph()
        tags = (c_char_p * 1)(b"serve")
        with self._reported() as status:
            self.session = tf.TF_LoadSessionFromSavedModel(
                tf.TF_NewSessionOptions(), None, folder.encode(), tags, 1, self.graph, None, status
            )

    def run(self, feeds: dict[str, np.ndarray], fetch: str) -> np.ndarray:
        """Feeds tensors by name, `operation:index`, and fetches one."""
        ports = (Port * len(feeds))(*map(self._port, feeds))
        tensors = (c_void_p * len(feeds))(*map(self._tensor, feeds.values()))
        target, result = (Port * 1)(self._port(fetch)), (c_void_p * 1)()
        try:
            with self._reported() as status:
                self.tf.TF_SessionRun(
                    self.session, None, ports, tensors, len(feeds), target, result, 1, None, 0, None, status
                )
        finally:
            for tensor in tensors:
                self.tf.TF_DeleteTensor(tensor)
        return self._array(result[0])

    @contextlib.contextmanager
    def _reported(self) -> Iterator[int]:
        """A status of its own for each call, as threads share the model; raises what it reports."""
        status = self.tf.TF_NewStatus()
        try:
            yield status
            if self.tf.TF_GetCode(status):
                raise RuntimeStatus(self.tf.TF_GetCode(status), self.tf.TF_Message(status).decode())
        finally:
            self.tf.TF_DeleteStatus(status)

    def _port(self, name: str) -> Port:
        operation, index = name.split(":")
        pointer = self.tf.TF_GraphOperationByName(self.graph, operation.encode())
        if pointer is None:
            raise KeyError(f"The graph has no operation {operation!r}.")
        return Port(pointer, int(index))

    def _tensor(self, array: np.ndarray) -> int:
        array = np.ascontiguousarray(array)
        shape = (c_int64 * array.ndim)(*array.shape)
        tensor = self.tf.TF_AllocateTensor(CODES[array.dtype], byref(shape), array.ndim, array.nbytes)
        ctypes.memmove(self.tf.TF_TensorData(tensor), array.ctypes.data, array.nbytes)
        return tensor

    def _array(self, tensor: int) -> np.ndarray:
        tf = self.tf
        shape = [tf.TF_Dim(tensor, axis) for axis in range(tf.TF_NumDims(tensor))]
        content = ctypes.string_at(tf.TF_TensorData(tensor), tf.TF_TensorByteSize(tensor))
        array = np.frombuffer(content, DTYPES[tf.TF_TensorType(tensor)]).reshape(shape)
        tf.TF_DeleteTensor(tensor)
        return array
