"""Training: a Keras model around a distribution, and callbacks for long runs."""

from tfar.training.batches import Batches
from tfar.training.callbacks import ResumableEarlyStopping
from tfar.training.density_model import DensityModel
from tfar.training.logs import BoardLog, MetricsLog, SampleGrid, SampleHistory
from tfar.training.multi_worker import fit_multi_worker
from tfar.training.run_folder import Backup
from tfar.training.saving import load, load_model

__all__ = [
    "Backup",
    "Batches",
    "BoardLog",
    "DensityModel",
    "MetricsLog",
    "ResumableEarlyStopping",
    "SampleGrid",
    "SampleHistory",
    "fit_multi_worker",
    "load",
    "load_model",
]
