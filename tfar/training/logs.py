"""Callbacks that record a run: a table of metrics, TensorBoard, pictures of samples, and the samples themselves."""

import csv
import glob
import io
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar import files
from tfar.training.arguments import check_int
from tfar.training.run_folder import Resumable

TILE_PIXELS = 32
_EPOCH = re.compile(r"epoch-(\d+)(?:-|$)")


class MetricsLog(Resumable):
    """Writes a row of a CSV file after every epoch: `epoch` (from 0), then the metrics in alphabetical order.

    With a `Backup` in the same `fit`, a resumed run removes the rows of epochs that it repeats, so that the file contains
    every epoch once. The file is replaced as a whole: a kill leaves the old one or the new one.

    Args:
        path: path of the CSV file. A run that starts at epoch 0 replaces an existing one.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "metrics.csv"
        >>> model = tfar.training.DensityModel(tfar.MADE(event_shape=[4], hidden_units=[8]))
        >>> model.compile(optimizer="adam")
        >>> _ = model.fit(np.eye(4), epochs=2, verbose=0, callbacks=[MetricsLog(path)])
        >>> [line.split(",")[0] for line in path.read_text().splitlines()]
        ['epoch', '0', '1']
    """

    def __init__(self, path: Any) -> None:
        super().__init__()
        self.path = Path(path)
        self.replaced = (self.path.with_name(glob.escape(self.path.name)),)
        self.rows: list[dict[str, str]] = []

    def restore(self, state: Any, epoch: int) -> None:
        rows = read_rows(self.path) if state is None else state
        self.rows = [row for row in rows if int(row["epoch"]) < epoch]
        if self.path.exists():
            self._write()

    def state(self) -> Any:
        return self.rows

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.rows.append({"epoch": str(epoch), **{name: repr(float(v)) for name, v in (logs or {}).items()}})
        self._write()

    def _write(self) -> None:
        columns = ["epoch", *sorted({name for row in self.rows for name in row} - {"epoch"})]
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        files.write_bytes(self.path, text.getvalue().encode())


class BoardLog(keras.callbacks.Callback):
    """Writes the metrics of every epoch for TensorBoard, in the runs `train` and `validation` of a folder.

    Writing does not need the TensorBoard package. A resumed run writes the epochs that it repeats again, with the same values.

    Args:
        log_dir: folder of TensorBoard.
    """

    def __init__(self, log_dir: Any) -> None:
        super().__init__()
        self.log_dir = Path(log_dir)
        self._writers: dict[str, Any] = {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        for name, value in (logs or {}).items():
            run = "validation" if name.startswith("val_") else "train"
            if run not in self._writers:
                self._writers[run] = tf.summary.create_file_writer(str(self.log_dir / run))
            with self._writers[run].as_default(step=epoch):
                write_scalar(name.removeprefix("val_"), float(value))
            self._writers[run].flush()

    def on_train_end(self, logs: Any = None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}


class SampleGrid(Resumable):
    """Draws a grid of samples after an epoch: for TensorBoard, and as PNG files if a folder is given.

    The noise is the same every time, so that the grids show the same samples as they improve.

    Args:
        log_dir: folder of TensorBoard; the grids are the run `samples` in it.
        num_samples: int.
        every: int. Number of epochs from one grid to the next.
        seed: int. The seed of `dist.sample`.
        pictures: None, or the folder for `epoch-0001.png`, ... A run removes the pictures of epochs that it is yet to train.
        conditional_input: None, or the condition of each sample of a conditional model, in place of `num_samples`.

    Raises:
        ValueError: If a number is below 1; in `fit`, if the events are not images `(H, W)` or `(H, W, C)` with 1 or 3 channels.
    """

    def __init__(
        self,
        log_dir: Any,
        num_samples: int = 16,
        every: int = 1,
        seed: int = 0,
        pictures: Any = None,
        conditional_input: Any = None,
    ) -> None:
        super().__init__()
        self.num_samples, self.every = check_int("num_samples", num_samples, 1), check_int("every", every, 1)
        self.log_dir, self.pictures = Path(log_dir), None if pictures is None else Path(pictures)
        self.replaced = () if self.pictures is None else (self.pictures / "epoch-*.png",)
        self.seed, self.conditional_input = seed, conditional_input
        self._writer: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        shape = self.model.dist.event_shape
        if not is_image(shape):
            raise ValueError(
                f"Expected events of shape (H, W) or (H, W, C) with 1 or 3 channels; received {tuple(shape)}."
            )

    def restore(self, state: Any, epoch: int) -> None:
        if self.pictures is not None:
            remove_later(self.pictures.glob("epoch-*.png"), epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if (epoch + 1) % self.every:
            return
        dist = self.model.dist
        support = dist.head.support()
        low, top = (support.low, support.num_values - 1) if support.num_values else (0.0, None)
        if self.conditional_input is None:
            samples = dist.sample(self.num_samples, seed=self.seed)
        else:
            samples = dist.sample(1, seed=self.seed, conditional_input=self.conditional_input)[0]
        image = grid(np.asarray(samples) - low, top)
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.log_dir / "samples"))
        png = tf.io.encode_png(image).numpy()
        with self._writer.as_default(step=epoch):
            write_image("samples", png, image.shape)
        self._writer.flush()
        if self.pictures is not None:
            files.write_bytes(self.pictures / f"epoch-{epoch + 1:04d}.png", png)

    def on_train_end(self, logs: Any = None) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class SampleHistory(keras.callbacks.Callback):
    """Keeps samples of chosen epochs in memory, drawn from the same noise each time, for `tfar.plots.samples_over_training`.

    To draw from averaged weights, place it after `keras.callbacks.SwapEMAWeights(swap_on_epoch=True)` in the list of callbacks.
    The samples before the first epoch are always drawn from the initial weights.

    Args:
        epochs: ints of at least 0, the numbers of finished epochs after which to draw; 0 is before the first.
        num_samples: int.
        seed: int. The seed of `dist.sample`.
        conditional_input: None, or the condition of `dist.sample`. A batch of conditions gives `num_samples` for each.

    Attributes:
        samples: dict of float32 arrays `[num_samples, *event_shape]` by the numbers of epochs, with `num_samples * conditions`
            rows if there is a batch of conditions: first one sample of each condition, then the next. A `fit` that starts at
            epoch 0 empties it.

    Raises:
        ValueError: If `epochs` is empty or has a number below 0, or `num_samples` is below 1.

    Example:
        >>> history = SampleHistory(epochs=[0, 2], num_samples=3)
        >>> model = tfar.training.DensityModel(tfar.MADE(event_shape=[2, 2], hidden_units=[8]))
        >>> model.compile(optimizer="adam")
        >>> _ = model.fit(np.eye(4).reshape([4, 2, 2]), epochs=2, verbose=0, callbacks=[history])
        >>> {epoch: x.shape for epoch, x in history.samples.items()}
        {0: (3, 2, 2), 2: (3, 2, 2)}
    """

    def __init__(
        self, epochs: Sequence[int], num_samples: int = 10, seed: int = 0, conditional_input: Any = None
    ) -> None:
        super().__init__()
        if isinstance(epochs, str) or not hasattr(epochs, "__iter__") or not len(epochs := list(epochs)):
            raise ValueError(f"Expected `epochs` of at least one number; received {epochs!r}.")
        self.epochs = frozenset(check_int("epochs", epoch, 0) for epoch in epochs)
        self.num_samples = check_int("num_samples", num_samples, 1)
        self.seed, self.conditional_input = seed, conditional_input
        self.samples: dict[int, np.ndarray] = {}

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 0:
            self.samples = {}
            self._draw(0)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._draw(epoch + 1)

    def _draw(self, epoch: int) -> None:
        if epoch in self.epochs:
            dist = self.model.dist
            drawn = dist.sample(self.num_samples, seed=self.seed, conditional_input=self.conditional_input)
            self.samples[epoch] = np.reshape(drawn, [-1, *drawn.shape[-len(dist.event_shape) :]])


def write_scalar(tag: str, value: float) -> None:
    """Does what `tf.summary.scalar` does, without the TensorBoard package."""
    tf.summary.write(tag, tf.constant(value, tf.float32), metadata=_metadata("scalars", "DATA_CLASS_SCALAR"))


def write_image(tag: str, png: bytes, shape: tuple[int, ...]) -> None:
    """Does what `tf.summary.image` does with one encoded image `[H, W, ...]`, without the TensorBoard package."""
    content = tf.stack([str(shape[1]), str(shape[0]), png])
    tf.summary.write(tag, content, metadata=_metadata("images", "DATA_CLASS_BLOB_SEQUENCE"))


def _metadata(plugin: str, data_class: str) -> Any:
    plugin_data = tf.compat.v1.SummaryMetadata.PluginData(plugin_name=plugin)
    return tf.compat.v1.SummaryMetadata(plugin_data=plugin_data, data_class=data_class)


def is_image(shape: Any) -> bool:
    """Whether an event is an image: `(H, W)`, or `(H, W, C)` with 1 or 3 channels."""
    return len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 3))


def is_video(shape: Any) -> bool:
    """Whether an event is a video: `(T, H, W)` with W above 4, as 4 may be channels, or `(T, H, W, C)` with 1 or 3 channels."""
    return (len(shape) == 3 and shape[-1] > 4) or (len(shape) == 4 and shape[-1] in (1, 3))


def grid(images: np.ndarray, top: float | None = None) -> np.ndarray:
    """Arranges images `[N, H, W]` or `[N, H, W, 1 or 3]` in a square or nearly one, as uint8 `[..., ..., 1 or 3]`.

    Images are enlarged to at least 32 pixels, with grey gaps between them. White is the value `top` and black 0, or, without
    `top`, the highest and the lowest value.
    """
    images = images[..., None] if images.ndim == 3 else images
    low, high = (0.0, top) if top else (float(images.min()), float(images.max()))
    levels = np.clip((images - low) / max(high - low, 1e-12), 0.0, 1.0)
    zoom = max(1, TILE_PIXELS // max(images.shape[1:3]))
    tiles = np.rint(levels * 255.0).astype(np.uint8).repeat(zoom, axis=1).repeat(zoom, axis=2)
    count, height, width, channels = tiles.shape
    columns, gap = math.ceil(math.sqrt(count)), 2
    rows = -(-count // columns)
    canvas = np.full([rows * (height + gap) + gap, columns * (width + gap) + gap, channels], 96, np.uint8)
    for i, tile in enumerate(tiles):
        y, x = gap + (i // columns) * (height + gap), gap + (i % columns) * (width + gap)
        canvas[y : y + height, x : x + width] = tile
    return canvas


def remove_later(paths: Iterable[Path], epoch: int) -> None:
    """Removes the files of epochs after `epoch` that a run is yet to train: `epoch-0001.png`, `epoch-0001-name.wav`, ..."""
    for path in paths:
        numbered = _EPOCH.match(path.stem)
        if numbered and int(numbered[1]) > epoch:
            path.unlink()


def read_rows(path: Path) -> list[dict[str, str]]:
    """Returns the rows of a CSV file that `MetricsLog` wrote; none if there is no file."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
