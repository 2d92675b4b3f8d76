"""Training on several machines, where `fit` cannot go."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfar import private
from tfar.training.arguments import check_int
from tfar.training.checks import DataCheck, LossCheck
from tfar.training.density_model import DensityModel
from tfar.training.run_folder import Backup, Run

MakeDataset = Callable[[tf.distribute.InputContext, int], tf.data.Dataset]


def fit_multi_worker(
    make_dist: Callable[[], Any],
    make_dataset: MakeDataset,
    *,
    strategy: tf.distribute.Strategy,
    epochs: int,
    optimizer: Any = "adam",
    seed: int = 0,
    backup_dir: Any = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> keras.callbacks.History:
    """Trains a distribution under a `tf.distribute` strategy with a loop of its own.

    Keras's `fit` fails under `MultiWorkerMirroredStrategy`. Every worker calls this function with the same arguments, and
    every worker ends with the same weights. The loss of an update is summed over all replicas and divided by the number of
    rows in all of them, so that workers may have batches of different sizes, or none at the end of an epoch.

    The randomness of training is a function of (seed, number of the batch), as in `DensityModel`.

    Args:
        make_dist: makes the distribution; it is called once, in the scope of the strategy.
        make_dataset: `(input_context, epoch) -> tf.data.Dataset`: the batches of one worker in one epoch, in any form that
            `DensityModel` takes. The context has `input_pipeline_id`, `num_input_pipelines` and `get_per_replica_batch_size`.
            A resumed run repeats the shuffling if it is a function of the epoch. A distribution that awaits data is
            initialised with the first batch of epoch 0, which every worker makes with a context of one pipeline and one replica.
        strategy: the strategy, made before any other call of TensorFlow, as `MultiWorkerMirroredStrategy` demands.
        epochs: int.
        optimizer: a name, or an optimizer, of which a copy is made in the scope.
        seed: int.
        backup_dir: None, or a folder that all workers can read. The first worker alone writes to it, after every epoch;
            a run that is started again continues from there.
        callbacks: Keras callbacks, called on every worker at the beginning and the end of the training and of each epoch.
            Pass those that write files to the first worker alone.

    Returns:
        A `keras.callbacks.History`: `history["loss"]` is the loss of each epoch that ran, and `model` is the trained
        `DensityModel`, whose `dist` is the distribution.

    Raises:
        ValueError: If `strategy` is not a strategy, `epochs` is below 1, an epoch has no rows, or a row is outside the support.

    Example:
        >>> def make_dataset(context, epoch):
        ...     data = tf.data.Dataset.from_tensor_slices(np.eye(4, dtype=np.float32))
        ...     data = data.shard(context.num_input_pipelines, context.input_pipeline_id)
        ...     return data.batch(context.get_per_replica_batch_size(2))
        >>> make_dist = lambda: tfar.MADE(event_shape=[4], hidden_units=[8])
        >>> strategy = tf.distribute.get_strategy()  # tf.distribute.MultiWorkerMirroredStrategy() on a cluster
        >>> history = fit_multi_worker(make_dist, make_dataset, strategy=strategy, epochs=2)
        >>> len(history.history["loss"])
        2
    """
    if not isinstance(strategy, tf.distribute.Strategy):
        raise ValueError(f"Expected `strategy` to be a tf.distribute.Strategy; received {type(strategy).__name__}.")
    epochs = check_int("epochs", epochs, 1)
    with strategy.scope():
        model = DensityModel(make_dist(), seed=seed)
        model.compile(optimizer=_copy(optimizer))
        model.optimizer.build(model.trainable_variables)
        history = keras.callbacks.History()
        backup = [] if backup_dir is None else [Backup(backup_dir)]
        if model.dist.awaits_data:
            model.initialize(make_dataset(tf.distribute.InputContext(), 0))
        check = DataCheck(model.dist)
        callbacks = [*backup, history, LossCheck(), *callbacks]
        with check.raising(), Run(model, callbacks, is_writer=_is_chief(strategy)) as run:
            told = keras.callbacks.CallbackList(run.callbacks, model=model, add_history=False)
            _run_epochs(model, make_dataset, strategy, epochs, check, told)
    return history


def _run_epochs(
    model: DensityModel,
    make_dataset: MakeDataset,
    strategy: tf.distribute.Strategy,
    epochs: int,
    check: DataCheck,
    told: keras.callbacks.CallbackList,
) -> None:
    update = tf.function(
        lambda batch: strategy.run(model.train_step, args=(batch,)), reduce_retracing=True, autograph=False
    )
    model.stop_training = False
    told.on_train_begin()
    for epoch in range(private.initial_epoch(model), epochs):
        told.on_epoch_begin(epoch)
        model.reset_metrics()
        data = strategy.distribute_datasets_from_function(
            lambda context, epoch=epoch: check.data(make_dataset(context, epoch))
        )
        empty = True
        for batch in data:
            update(batch)
            empty = False
        if empty:
            raise ValueError(f"Expected `make_dataset` to give at least one batch; received none in epoch {epoch}.")
        logs = {"loss": float(model.metrics[0].result())}
        told.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    told.on_train_end()


def _copy(optimizer: Any) -> keras.optimizers.Optimizer:
    """An optimizer whose variables belong to the strategy in scope."""
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return type(optimizer).from_config(optimizer.get_config())
    return keras.optimizers.get(optimizer)


def _is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the first worker, or the only one."""
    resolver = strategy.cluster_resolver
    if resolver is None or resolver.task_type is None:
        return True
    chiefs = ("chief",) if "chief" in resolver.cluster_spec().jobs else ("worker",)
    return resolver.task_type in chiefs and resolver.task_id == 0
