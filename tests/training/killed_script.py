"""`python killed_script.py WAY FOLDER KILL_EPOCH RESULT`: trains with a backup; may die in the middle of an epoch."""

import os
import signal
import sys

import keras
import numpy as np

import tfar
from tfar.training import Backup, DensityModel, ResumableEarlyStopping

way, folder, kill_epoch, result = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
rows = np.random.default_rng(0).integers(0, 2, (70, 6)).astype(np.float32)


class Kill(keras.callbacks.Callback):
    """`kill -9` in the middle of an epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == kill_epoch and batch == 2:
            os.kill(os.getpid(), signal.SIGKILL)


dist = tfar.MADE([6], [16], num_masks=None, num_eval_masks=2, order="random", jit_compile=False)
model = DensityModel(dist, seed=3)
model.compile(keras.optimizers.Adam(0.1, use_ema=True), jit_compile=False)
if way == "backup":
    backup = [Backup(folder)]
elif way == "keras":
    backup = [keras.callbacks.BackupAndRestore(folder)]
else:
    backup = [Backup(folder), ResumableEarlyStopping(folder, patience=3)]
history = model.fit(
    rows,
    validation_data=rows[:30],
    batch_size=16,
    epochs=12 if way == "stopping" else 5,
    verbose=0,
    callbacks=[*backup, Kill()],
)
weights = {
    str(i): np.asarray(v) for i, v in enumerate([*dist.variables, *(v.value for v in model.optimizer.variables)])
}
np.savez(result, epochs=history.epoch, **weights)
