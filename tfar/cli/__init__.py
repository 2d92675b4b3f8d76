"""The command line: `tfar train`, `evaluate`, `sample`, `complete`, `export`, `serve`, `score` and `demo`."""

import os

# TensorFlow reads these when it is imported, which the commands do as late as they can.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from tfar.cli.app import app, main

__all__ = ["app", "main"]
