"""Least-squares coder of grey images: `python -m benchmarks.peers.least_squares` prints the bits per pixel of the test patches.

A pixel is predicted from twelve earlier pixels, with a linear function for each class of neighbourhoods. The classes are twenty
levels of activity (how much the neighbours differ), and one for each way in which the border cuts the neighbourhood. The
residuals of a class have the frequencies of its training residuals, smoothed by a discretised Laplace. All tables come from the
training images, and whole images are coded, the first pixel too. The bits are those of an arithmetic coder.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

NUM_LEVELS, NUM_CLASSES = 256, 20
# The earlier pixels by their rows and columns relative to the pixel: two rows above, and two pixels to the left.
NEIGHBOURS = [(-2, c) for c in range(-2, 3)] + [(-1, c) for c in range(-2, 3)] + [(0, -2), (0, -1)]
LEFT, ABOVE, ABOVE_LEFT, ABOVE_RIGHT = (NEIGHBOURS.index(place) for place in ((0, -1), (-1, 0), (-1, -1), (-1, 1)))
FAR_LEFT, FAR_ABOVE = NEIGHBOURS.index((0, -2)), NEIGHBOURS.index((-2, 0))
# The difference of a pixel and a prediction is rounded after the prediction is cut to a multiple of 1 / PHASES.
PHASES = 4
# Weight of the Laplace beside the counts of the residuals, in pixels, and of the ridge of the predictors.
PRIOR, RIDGE = 20.0, 1e-3


@dataclasses.dataclass(frozen=True)
class Coder:
    """A trained coder.

    Args:
        limits: float `[NUM_CLASSES - 1]`. Limits between the levels of activity.
        weights: float `[K, 13]`. Predictor of each class, of the neighbours and 1.
        frequencies: float `[K, PHASES, 2 * NUM_LEVELS]`. Frequencies of the residuals -256 .. 255 of each class and phase.
    """

    limits: NDArray[np.float64]
    weights: NDArray[np.float64]
    frequencies: NDArray[np.float64]

    def bits(self, images: NDArray) -> NDArray[np.float64]:
        """Returns the bits of each pixel of images `[N, H, W]` of whole numbers 0 .. 255, `[N, H, W]`."""
        images = np.asarray(images, np.int64)
        values = images.reshape(len(images), -1)
        return np.stack([self._bits_of(image, row) for image, row in zip(images, values, strict=True)])

    def _bits_of(self, image: NDArray, values: NDArray) -> NDArray[np.float64]:
        probs = self.probs(image)
        return -np.log2(probs[np.arange(values.size), values]).reshape(image.shape)

    def probs(self, image: NDArray) -> NDArray[np.float64]:
        """Returns the probabilities of the levels of each pixel of an image `[H, W]`, `[H W, NUM_LEVELS]`."""
        neighbours, border = neighbourhoods(image[None])
        classes = classify(neighbours, border, self.limits)
        base, phase = split(predictions(neighbours, self.weights[classes]))
        residuals = np.arange(NUM_LEVELS)[None] - base[:, None] + NUM_LEVELS
        rows = self.frequencies[classes, phase]
        found = np.take_along_axis(rows, residuals, axis=1)
        return found / found.sum(axis=1, keepdims=True)


def train(images: NDArray) -> Coder:
    """Returns the coder of training images `[N, H, W]` of whole numbers 0 .. 255."""
    images = np.asarray(images, np.int64)
    neighbours, border = neighbourhoods(images)
    levels = activity(neighbours[border == 0])
    limits = np.quantile(levels, np.arange(1, NUM_CLASSES) / NUM_CLASSES) if levels.size else np.zeros(NUM_CLASSES - 1)
    classes = classify(neighbours, border, limits)
    values, count = images.reshape(-1), NUM_CLASSES + NUM_BORDERS
    inputs = np.concatenate([neighbours, np.ones([len(values), 1])], axis=1)
    weights, frequencies = np.zeros([count, inputs.shape[1]]), np.zeros([count, PHASES, 2 * NUM_LEVELS])
    for number in range(count):
        own = classes == number
        weights[number] = least_squares(inputs[own], values[own])
        base, phase = split(predictions(neighbours[own], weights[number]))
        residuals = values[own] - base
        prior = laplace(np.abs(residuals).mean() if own.any() else NUM_LEVELS / 4)
        for part in range(PHASES):
            counts = np.bincount(residuals[phase == part] + NUM_LEVELS, minlength=2 * NUM_LEVELS)
            frequencies[number, part] = counts + PRIOR * prior
    return Coder(limits, weights, frequencies)


def neighbourhoods(images: NDArray) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Returns the neighbours of all pixels, `[N H W, 12]`, 0 outside the image, and the number of the border, 0 for none."""
    _, height, width = images.shape
    padded = np.pad(np.asarray(images, np.float64), [(0, 0), (2, 0), (2, 2)])
    parts = [padded[:, 2 + r : 2 + r + height, 2 + c : 2 + c + width] for r, c in NEIGHBOURS]
    rows, columns = np.arange(height), np.arange(width)
    above = np.minimum(rows, 2)
    sides = 3 * np.minimum(columns, 2) + np.minimum(width - 1 - columns, 2)
    border = np.broadcast_to(9 * (2 - above)[:, None] + (8 - sides), images.shape)
    return np.stack(parts, axis=-1).reshape(-1, len(NEIGHBOURS)), border.reshape(-1)


# Rows above (0, 1, 2 or more), columns to the left and to the right (likewise), less the whole neighbourhood.
NUM_BORDERS = 26


def activity(neighbours: NDArray) -> NDArray[np.float64]:
    """Returns the sum of the absolute differences of neighbours that are beside each other, `[pixels]`."""
    pairs = [(LEFT, FAR_LEFT), (LEFT, ABOVE_LEFT), (ABOVE, ABOVE_LEFT), (ABOVE, ABOVE_RIGHT), (ABOVE, FAR_ABOVE)]
    return np.sum([np.abs(neighbours[:, one] - neighbours[:, other]) for one, other in pairs], axis=0)


def classify(neighbours: NDArray, border: NDArray, limits: NDArray) -> NDArray[np.int64]:
    """Returns the class of each pixel: the level of activity, or at the border what is missing."""
    levels = np.searchsorted(limits, activity(neighbours), side="right")
    return np.where(border == 0, levels, NUM_CLASSES - 1 + border)


def predictions(neighbours: NDArray, weights: NDArray) -> NDArray[np.float64]:
    """Returns the predictions `[pixels]`, within the levels; `weights` are `[13]` or `[pixels, 13]`."""
    found = (neighbours * weights[..., :-1]).sum(axis=-1) + weights[..., -1]
    return np.clip(found, 0.0, NUM_LEVELS - 1.0)


def split(predicted: NDArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the whole part of predictions and their phase."""
    steps = np.floor(predicted * PHASES + 0.5).astype(np.int64)
    return steps // PHASES, steps % PHASES


def least_squares(inputs: NDArray, values: NDArray) -> NDArray[np.float64]:
    """Returns the weights that minimise the squared error; the ridge decides those of columns of zeros."""
    gram = inputs.T @ inputs + RIDGE * np.eye(inputs.shape[1])
    return np.linalg.solve(gram, inputs.T @ values)


def laplace(scale: float) -> NDArray[np.float64]:
    """Returns the probabilities of the residuals -256 .. 255 in proportion to exp(-|residual| / scale), with a floor."""
    found = np.exp(-np.abs(np.arange(-NUM_LEVELS, NUM_LEVELS)) / max(scale, 0.3)) + 1e-7
    return found / found.sum()


def bits_per_pixel(train_images: NDArray, test_images: NDArray) -> float:
    """Returns the mean bits of the pixels of test images, by the coder of the training images."""
    coder = train(train_images)
    return float(coder.bits(test_images).mean())


def beside(splits: object) -> dict[str, float]:
    """Returns the bits per pixel of the test patches, for the result of a case; the noise of the splits is taken off."""
    parts = [np.floor(np.asarray(getattr(splits, name))).reshape(-1, 32, 32) for name in ("train", "test")]
    return {"least squares, 20 classes": round(bits_per_pixel(*parts), 4)}


def main() -> int:
    """Prints what the coder needs."""
    from benchmarks import data

    for name, bits in beside(data.load("grey_patches_32")).items():
        print(f"{name}: {bits:.4f} bits per pixel")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
