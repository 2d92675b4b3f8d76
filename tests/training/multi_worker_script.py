"""One worker: `python multi_worker_script.py RESULT [BACKUP] [EPOCHS]`, on a cluster if TF_CONFIG names one."""

import json
import os
import sys

import keras
import numpy as np
import tensorflow as tf

strategy = tf.distribute.MultiWorkerMirroredStrategy() if "TF_CONFIG" in os.environ else tf.distribute.get_strategy()

import tfar  # noqa: E402

ROWS = np.random.default_rng(0).integers(0, 2, (26, 6)).astype(np.float32)
GLOBAL_BATCH = 8


def make_dataset(context, epoch):
    """Global batches of 8, 8, 8 and 2 rows, dealt to the workers in blocks: the last worker has none of the last."""
    order = np.random.default_rng([5, epoch]).permutation(len(ROWS))
    data = tf.data.Dataset.from_tensor_slices(ROWS[order]).batch(context.get_per_replica_batch_size(GLOBAL_BATCH))
    return data.shard(context.num_input_pipelines, context.input_pipeline_id)


def make_dist():
    return tfar.MADE([6], [16], num_masks=None, num_eval_masks=2, order="random", jit_compile=False)


result, backup, epochs = [*sys.argv[1:], None, None][:3]
history = tfar.training.fit_multi_worker(
    make_dist,
    make_dataset,
    strategy=strategy,
    epochs=int(epochs or 3),
    optimizer=keras.optimizers.Adam(0.01),
    seed=3,
    backup_dir=backup or None,
)
weights = {str(i): np.asarray(v) for i, v in enumerate(history.model.dist.variables)}
log_prob = history.model.dist.log_prob(ROWS).numpy()
np.savez(
    result, log_prob=log_prob, history=json.dumps(history.history), replicas=strategy.num_replicas_in_sync, **weights
)
