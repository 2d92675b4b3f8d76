"""The command line: `tfar train`, `evaluate`, `sample`, `complete`, `export`, `serve`, `score`, `query` and `demo`."""

import os

# TensorFlow reads these variables when it is imported, so they must be set before any command imports it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from tfar.cli.app import app, main

__all__ = ["app", "main"]
