"""Exports distributions to TF Serving and TFLite, and scores rows with exports."""

from tfar.serving.errors import ExportError
from tfar.serving.rounding import LogProbError, log_prob_error
from tfar.serving.saved_model import export_saved_model
from tfar.serving.scoring import Scored, score
from tfar.serving.tflite import export_tflite

__all__ = ["ExportError", "LogProbError", "Scored", "export_saved_model", "export_tflite", "log_prob_error", "score"]
