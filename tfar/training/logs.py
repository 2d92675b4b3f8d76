"""Callbacks that keep how a run goes: a table of metrics, pictures of samples, and the samples themselves."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfar import files

TILE_PIXELS = 32


class MetricsLog(keras.callbacks.Callback):
    """Writes a row of a CSV file after every epoch: `epoch` (from 0), then the metrics in alphabetical order.

    A run that is resumed from epoch e drops the rows from e on, which the killed run may have written, so that each epoch
    stands there once. It must come after `Backup`, which says where the run goes on. The file is replaced as a whole: a kill
    leaves the old one or the new one.

    Args:
        path: of the CSV file. An existing one is continued if the run is resumed, and replaced if it starts at epoch 0.

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
        self.rows: list[dict[str, str]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        first = self.model._initial_epoch or 0
        self.rows = [row for row in read_rows(self.path) if int(row["epoch"]) < first] if first else []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.rows.append({"epoch": str(epoch), **{name: repr(float(v)) for name, v in (logs or {}).items()}})
        columns = ["epoch", *sorted({name for row in self.rows for name in row} - {"epoch"})]
        with files.replacing(self.path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)


class BoardLog(keras.callbacks.Callback):
    """Writes the metrics of every epoch for TensorBoard, in the runs `train` and `validation` of a folder.

    The TensorBoard package is needed to look at them, not to write them.

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


class SampleGrid(keras.callbacks.Callback):
    """Draws a grid of samples after an epoch: for TensorBoard, and as PNG files if a folder is given.

    The noise is the same every time, so that the grids show one set of samples getting better.

    Args:
        log_dir: folder of TensorBoard; the grids are the run `samples` in it.
        num_samples: int.
        every: int. Epochs between two grids.
        seed: int. What `dist.sample` takes.
        pictures: None, or the folder for `epoch-0001.png`, ...

    Raises:
        ValueError: If a number is below 1; in `fit`, if the events are not images `(H, W)` or `(H, W, C)` with 1 or 3 channels.
    """

    def __init__(
        self, log_dir: Any, num_samples: int = 16, every: int = 1, seed: int = 0, pictures: Any = None
    ) -> None:
        super().__init__()
        if num_samples < 1 or every < 1:
            raise ValueError(
                f"Expected `num_samples` and `every` of at least 1; received num_samples={num_samples}, every={every}."
            )
        self.log_dir, self.pictures = Path(log_dir), None if pictures is None else Path(pictures)
        self.num_samples, self.every, self.seed = num_samples, every, seed
        self._writer: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        shape = self.model.dist.network.event_shape
        if not is_image(shape):
            raise ValueError(
                f"Expected events of shape (H, W) or (H, W, C) with 1 or 3 channels; received {tuple(shape)}."
            )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if (epoch + 1) % self.every:
            return
        dist = self.model.dist
        support = dist.head.support()
        low, top = (support.low, support.num_values - 1) if support.num_values else (0.0, None)
        image = grid(np.asarray(dist.sample(self.num_samples, seed=self.seed)) - low, top)
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.log_dir / "samples"))
        png = tf.io.encode_png(image).numpy()
        with self._writer.as_default(step=epoch):
            write_image("samples", png, image.shape)
        self._writer.flush()
        if self.pictures is not None:
            with files.replacing(self.pictures / f"epoch-{epoch + 1:04d}.png") as temporary:
                temporary.write_bytes(png)

    def on_train_end(self, logs: Any = None) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class SampleHistory(keras.callbacks.Callback):
    """Keeps samples of chosen epochs, drawn from the same noise each time, for `tfar.plots.samples_over_training`.

    With averaged weights it stands after `keras.callbacks.SwapEMAWeights(swap_on_epoch=True)` in the list of callbacks, and then
    draws from the average; the first draw, before any training, is from the initial weights.

    Args:
        epochs: ints from 0 on, the numbers of epochs after which to draw; 0 is before the first.
        num_samples: int.
        seed: int. What `dist.sample` takes.
        conditional_input: what `dist.sample` takes, or None. A batch of conditions gives `num_samples` for each.

    Attributes:
        samples: a dict of float32 arrays `[num_samples, *event_shape]` by the numbers of epochs; `num_samples * conditions` of
            them, those of the first draw first, if there is a batch of conditions. Each `fit` from epoch 0 empties it.

    Raises:
        ValueError: If `epochs` has a negative number or none, or `num_samples` is below 1.

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
        self.epochs = frozenset(int(epoch) for epoch in epochs)
        if not self.epochs or min(self.epochs) < 0 or num_samples < 1:
            raise ValueError(
                "Expected `epochs` of at least one number, none below 0, and `num_samples` of at least 1; received "
                f"epochs={list(epochs)}, num_samples={num_samples}."
            )
        self.num_samples, self.seed, self.conditional_input = num_samples, seed, conditional_input
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
            self.samples[epoch] = np.reshape(drawn, [-1, *dist.network.event_shape])


def write_scalar(tag: str, value: float) -> None:
    """As `tf.summary.scalar` into the default writer, without the TensorBoard package."""
    tf.summary.write(tag, tf.constant(value, tf.float32), metadata=_metadata("scalars", "DATA_CLASS_SCALAR"))


def write_image(tag: str, png: bytes, shape: tuple[int, ...]) -> None:
    """As `tf.summary.image` of one encoded image `[H, W, ...]`, without the TensorBoard package."""
    content = tf.stack([str(shape[1]), str(shape[0]), png])
    tf.summary.write(tag, content, metadata=_metadata("images", "DATA_CLASS_BLOB_SEQUENCE"))


def _metadata(plugin: str, data_class: str) -> Any:
    plugin_data = tf.compat.v1.SummaryMetadata.PluginData(plugin_name=plugin)
    return tf.compat.v1.SummaryMetadata(plugin_data=plugin_data, data_class=data_class)


def is_image(shape: Any) -> bool:
    """Whether an event is an image: `(H, W)`, or `(H, W, C)` with 1 or 3 channels."""
    return len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 3))


def grid(images: np.ndarray, top: float | None = None) -> np.ndarray:
    """Puts images in a near square, enlarged to at least 32 pixels, with a gap of grey between them.

    Args:
        images: `[N, H, W]`, `[N, H, W, 1]` or `[N, H, W, 3]`.
        top: the value of white; black is 0. None: from the lowest to the highest value.

    Returns:
        uint8 `[rows * ..., columns * ..., 1 or 3]`.
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


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file that `MetricsLog` wrote; none if there is no file."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
