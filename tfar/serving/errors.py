"""What goes wrong when a model is exported."""

import errno
import os

import tensorflow as tf

_CODES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


class ExportError(RuntimeError):
    """What was written does not do what the distribution does, or could not be run where it is meant to run."""


def os_error(error: tf.errors.OpError) -> OSError:
    """The OSError behind an error of TensorFlow's file system, without the operation that met it."""
    code = next((code for code in _CODES if os.strerror(code) in error.message), errno.EIO)
    return OSError(code, os.strerror(code) if code != errno.EIO else error.message)
