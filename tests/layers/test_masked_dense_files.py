"""What a file keeps of masked layers: every weight, those that the layer's own mask hides included."""

from pathlib import Path

import keras
import numpy as np
import pytest

import tfar


@pytest.mark.parametrize("connectivity_weights", [False, True])
def test_weights_of_all_masks_survive_a_file(tmp_path: Path, connectivity_weights: bool) -> None:
    def make(seed: int) -> tfar.training.DensityModel:
        dist = tfar.MADE(
            event_shape=[6],
            hidden_units=[8, 8],
            num_masks=4,
            degrees="random",
            connectivity_weights=connectivity_weights,
            seed=seed,
        )
        return tfar.training.DensityModel(dist)

    model, other = make(0), make(1)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
    model.save_weights(tmp_path / "made.weights.h5")
    other.load_weights(tmp_path / "made.weights.h5")
    for expected, loaded in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(loaded, expected)


def test_a_saved_ensemble_scores_as_before(tmp_path: Path) -> None:
    dist = tfar.MADE(event_shape=[6], hidden_units=[8], num_masks=4, order="random", degrees="random", seed=3)
    rows = np.random.default_rng(0).integers(0, 2, [20, 6])
    tfar.training.DensityModel(dist).save(tmp_path / "made.keras")
    loaded = tfar.load(tmp_path / "made.keras")
    np.testing.assert_allclose(loaded.log_prob(rows), dist.log_prob(rows), rtol=1e-6)
    assert keras.saving.load_model(tmp_path / "made.keras").built
