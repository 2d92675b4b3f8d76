"""Reads an exported SavedModel with TensorFlow alone, and writes its log_prob: run as a file, in a process of its own."""

import sys

import numpy as np
import tensorflow as tf

folder, rows, out = sys.argv[1:]
signature = tf.saved_model.load(folder).signatures["log_prob"]
np.save(out, signature(value=tf.constant(np.load(rows), tf.float32))["log_prob"].numpy())
if "tfar" in sys.modules:
    raise RuntimeError("Expected a process without tfar.")
