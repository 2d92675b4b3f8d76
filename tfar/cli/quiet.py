"""TensorFlow without its greetings."""

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Keeps what native code writes on stderr to itself, unless the block fails: then it is printed.

    TensorFlow reports processor features and missing GPU drivers before any log level counts.
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
    """Imports tfar and TensorFlow quietly; the first thing a command does once its options are checked."""
    with silenced():
        import tensorflow as tf

        import tfar.training  # noqa: F401 - registers the classes that a saved model holds
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    tf.get_logger().setLevel(logging.ERROR)
