"""Training: a Keras model around a distribution, and what a long run needs."""

from tfar.training.batches import Batches
from tfar.training.callbacks import Backup, ResumableEarlyStopping
from tfar.training.density_model import DensityModel, load
from tfar.training.logs import BoardLog, MetricsLog, SampleGrid, SampleHistory
from tfar.training.multi_worker import fit_multi_worker

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
]
