"""Errors of exports."""

import errno
import os

import tensorflow as tf

_CODES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


class ExportError(RuntimeError):
    """An export differs from its distribution, or its runtime cannot run it."""


def os_error(error: tf.errors.OpError) -> OSError:
    """Converts an error of TensorFlow's file system to the OSError that caused it."""
    code = next((code for code in _CODES if os.strerror(code) in error.message), errno.EIO)
    return OSError(code, os.strerror(code) if code != errno.EIO else error.message)
