"""Suppresses the messages that TensorFlow prints when it starts."""

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Captures what native code writes to stderr in the block, and prints it only if the block raises.

    TensorFlow writes some messages (processor features, missing GPU drivers) before it applies its log level.
    """
    with tempfile.TemporaryFile() as kept:
        saved = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(saved, kept.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def load_tensorflow() -> None:
    """Imports tfar and TensorFlow without their startup messages. A command calls it after checking its options."""
    with silenced():
        import tensorflow as tf

        import tfar.training  # noqa: F401 - registers the classes that saved models refer to
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    tf.get_logger().setLevel(logging.ERROR)
