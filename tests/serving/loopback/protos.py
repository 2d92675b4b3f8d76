"""The official messages without TensorFlow's Python, which takes seconds to import and is not part of a server."""

import importlib.util
import sys
import types


def import_messages_alone() -> None:
    """Lets `tensorflow.core.*_pb2` be imported by themselves; to be called before anything imports TensorFlow.

    Raises:
        RuntimeError: If TensorFlow has been imported.
    """
    if "tensorflow" in sys.modules:
        raise RuntimeError("Expected that nothing has imported TensorFlow yet; its messages cannot be had alone now.")
    spec = importlib.util.find_spec("tensorflow")
    package = types.ModuleType("tensorflow")
    package.__path__, package.__spec__ = list(spec.submodule_search_locations), spec
    sys.modules["tensorflow"] = package
