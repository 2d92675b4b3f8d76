"""The commands on people's own files: names of columns, missing values, units, held-out rows, class labels."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfar
from tests.cli.conftest import SMALL
from tests.cli.tables import printed
from tfar.cli import models, run_data, runs, train
from tfar.cli.settings import Settings
from tfar.cli.trained_on import TrainedOn

NAMES = ["ph", "alcohol", "sugar"]


def write(path: Path, rows: np.ndarray, names: list[str]) -> Path:
    """Writes a table, with an empty cell for NaN."""
    lines = [",".join("" if np.isnan(v) else repr(float(v)) for v in row) for row in rows]
    path.write_text("\n".join([",".join(names), *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def rows(table: Path) -> np.ndarray:
    return np.genfromtxt(table, delimiter=",", skip_header=1)


@pytest.fixture(scope="module")
def gaps(rows: np.ndarray) -> np.ndarray:
    """The table with a fifth of its values missing."""
    return np.where(np.random.default_rng(1).random(rows.shape) < 0.2, np.nan, rows)


@pytest.fixture(scope="module")
def gaps_run(invoke: Any, gaps: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a model of any order on the table with missing values."""
    folder = tmp_path_factory.mktemp("gaps")
    data, out = write(folder / "gaps.csv", gaps * [1.0, 1e4, 1.0], NAMES), folder / "run"
    invoke("train", "made", "--order", "random", "--num-masks", "fresh", "--data", data, "--out", out, *SMALL)
    return out


def scores(path: Path) -> np.ndarray:
    return np.loadtxt(path, delimiter=",", skiprows=1)[:, 1]


# Columns -------------------------------------------------------------------------------------------------------------


def test_columns_are_matched_by_name(table_run: Path, rows: np.ndarray, invoke: Any, tmp_path: Path) -> None:
    other = write(
        tmp_path / "other.csv", np.insert(rows[:, [2, 0, 1]], 1, 7.0, axis=1), ["sugar", "id", "ph", "alcohol"]
    )
    expected = tfar.load(table_run).log_prob(rows)
    invoke("evaluate", table_run, "--data", other, "--out", tmp_path / "scores.csv")
    np.testing.assert_allclose(scores(tmp_path / "scores.csv"), expected, rtol=1e-4)
    invoke("export", table_run, "--out", tmp_path / "exported", "--version", 7)
    description = json.loads((tmp_path / "exported" / "7" / "assets.extra" / "tfar.json").read_text())
    assert description["data"]["columns"] == NAMES
    invoke("score", tmp_path / "exported", other, "--out", tmp_path / "served.csv")
    np.testing.assert_allclose(scores(tmp_path / "served.csv"), expected, rtol=1e-4)
    lacking = write(tmp_path / "lacking.csv", rows[:, :2], ["ph", "colour"])
    message = "expected the columns ph, alcohol, sugar, as the model was trained on; missing alcohol, sugar; received ph, colour"
    for command in (("score", tmp_path / "exported", lacking), ("evaluate", table_run, "--data", lacking)):
        assert message in invoke(*command, "--out", tmp_path / "none.csv", code=1).stderr


def test_outputs_have_the_names_of_the_columns(table_run: Path, table: Path, invoke: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", np.array([True, False, False]))
    invoke("sample", table_run, "--num-samples", 2, "--out", tmp_path / "samples.csv")
    mask = ("--observed", tmp_path / "mask.npy")
    invoke("complete", table_run, "--data", table, *mask, "--rows", 2, "--out", tmp_path / "completed.csv")
    for name in ("samples.csv", "completed.csv"):
        assert (tmp_path / name).read_text().splitlines()[0] == "ph,alcohol,sugar"
    given, written = (path.read_text().splitlines()[1].split(",")[0] for path in (table, tmp_path / "completed.csv"))
    assert float(given) == float(written) and len(written) <= len(given) + 1, "a value keeps its few digits"


# Missing values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", models.MODELS)
@pytest.mark.parametrize(("order", "num_masks"), [("natural", 1), ("random", 1), ("random", None)])
def test_takes_missing_is_what_the_law_allows(model: str, order: str, num_masks: int | None) -> None:
    arguments: dict[str, Any] = {
        "conv_nade": {"filters": [4], "kernel_sizes": [2]},
        "video_pixel_network": {"filters": 2, "num_encoder_blocks": 1, "num_decoder_blocks": 1},
        "wavenet": {"num_layers": 2, "num_stacks": 1},
        "darn": {"latent_units": [3]},
        "pixel_vae": {"latent_dim": 2, "filters": 4, "num_blocks": 0, "encoder_filters": [3]},
        "sentence_vae": {"max_length": 5, "latent_dim": 2, "units": 4, "embedding_dim": 3},
    }.get(model, {})
    shapes = {"video_pixel_network": (3, 4, 4), **dict.fromkeys(models.OF_ITEMS, (16,))}
    shape = shapes.get(model) or models.event_shape(model, (4, 4))
    heads = {"rnade": tfar.heads.NormalMixture(2), "cf_nade": tfar.heads.Categorical(6)}
    head = heads.get(model, tfar.heads.Bernoulli())
    options = {
        "hidden_units": (4,) if "nade" in model or model == "made" else None,
        "order": order,
        "num_masks": num_masks,
    }
    try:
        dist = models.make(model, shape, head, 0, options, arguments)
    except ValueError as error:
        assert "has no option" in str(error)
        return
    assert getattr(dist.law, "allows_any_pattern", False) == models.takes_missing(model, order, num_masks)


@pytest.mark.slow(ci=True)
def test_empty_cells_are_not_observed(gaps_run: Path, gaps: np.ndarray, invoke: Any, tmp_path: Path) -> None:
    rows, data, dist = gaps * [1.0, 1e4, 1.0], gaps_run.parent / "gaps.csv", tfar.load(gaps_run)
    expected = dist.log_prob(np.nan_to_num(rows), observed=~np.isnan(rows))
    invoke("evaluate", gaps_run, "--data", data, "--split", "all", "--out", tmp_path / "scores.csv")
    np.testing.assert_allclose(scores(tmp_path / "scores.csv"), expected, rtol=1e-4, atol=1e-4)
    invoke("complete", gaps_run, "--data", data, "--out", tmp_path / "completed.csv")
    completed = np.loadtxt(tmp_path / "completed.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(completed[~np.isnan(rows)], rows[~np.isnan(rows)], rtol=1e-6)
    assert np.isfinite(completed).all()
    invoke("export", gaps_run, "--out", tmp_path / "exported")
    output = invoke("score", tmp_path / "exported", data, "--out", tmp_path / "served.csv").output
    np.testing.assert_allclose(scores(tmp_path / "served.csv"), expected, rtol=1e-4, atol=1e-4)
    assert "The log_prob of 0 rows is NaN." in output


def test_a_model_of_one_order_names_those_that_take_missing_values(
    table_run: Path, gaps: np.ndarray, invoke: Any, tmp_path: Path
) -> None:
    data = write(tmp_path / "gaps.csv", gaps, NAMES)
    for command in (("train", "made", "--out", tmp_path / "run"), ("evaluate", table_run), ("complete", table_run)):
        out = () if command[0] != "complete" else ("--out", tmp_path / "c.csv")
        message = invoke(*command, "--data", data, *out, code=1).stderr
        assert "Models that take missing values: orderless_nade, conv_nade" in message
    assert not (tmp_path / "run").exists()


# Units ---------------------------------------------------------------------------------------------------------------


def test_real_values_are_standardised_by_the_training_rows(gaps_run: Path, gaps: np.ndarray) -> None:
    from tfar.data.hashing import split_of_rows

    head = tfar.load(gaps_run).head
    used = gaps[split_of_rows(0, 0, len(gaps), 0.1, 0.1) == 0] * [1.0, 1e4, 1.0]
    np.testing.assert_allclose(head.units.loc, np.nanmean(used, axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(head.units.scale, np.nanstd(used, axis=0), rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({}, tfar.heads.Standardized),
        ({"head": "LaplaceMixture:2"}, tfar.heads.Standardized),
        ({"standardize": False}, tfar.heads.NormalMixture),
        ({"model": "rnade"}, tfar.heads.NormalMixture),
    ],
)
def test_the_head_of_real_values(options: dict[str, Any], chosen: type, table: Path) -> None:
    settings = Settings(data=str(table), **options)
    assert type(runs.make_head(settings, run_data.load(settings)[0])) is chosen


def test_whole_numbers_are_classes_and_have_no_units(tmp_path: Path) -> None:
    np.save(tmp_path / "counts.npy", np.arange(300).reshape([100, 3]) % 7)
    settings = Settings(data=str(tmp_path / "counts.npy"))
    assert runs.make_head(settings, run_data.load(settings)[0]).get_config()["num_classes"] == 7


def test_unix_times_name_their_column(invoke: Any, tmp_path: Path) -> None:
    times = 1.7e9 + np.random.default_rng(0).normal(size=[100, 1]) * 50.0
    data = write(tmp_path / "times.csv", np.concatenate([times, times - 1.7e9], axis=1), ["when", "what"])
    message = invoke("train", "made", "--data", data, "--out", tmp_path / "run", code=1).stderr
    assert "column 'when': Expected a scale of at least" in message and "Subtract an offset" in message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {},
            "real values. Head: NormalMixture of standardised values (another: --head; --no-standardize takes the values",
        ),
        ({"standardize": False}, "Head: NormalMixture (another: --head; --standardize standardises)."),
    ],
)
def test_train_says_what_it_chose(options: Any, said: str, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tfar.cli.printing import make_console

    settings = Settings(data=str(table), **options)
    splits, _ = run_data.load(settings)
    run_data.say(settings, splits, runs.make_head(settings, splits), make_console())
    output = capsys.readouterr().out
    assert said in output and "Columns: ph, alcohol, sugar." in output


# The held-out rows ---------------------------------------------------------------------------------------------------


def test_the_file_of_training_is_scored_on_its_held_out_rows(
    table_run: Path, table: Path, invoke: Any, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.csv"
    shutil.copy(table, copy)
    held_out = tfar.data.from_files(table).num_test
    for data in (table, copy):
        output = invoke("evaluate", table_run, "--data", data).output
        assert printed(output, "rows") == held_out < 120 and "Only the test rows are scored" in output
    copy.write_text(copy.read_text() + "0.1,0.2,0.3\n")
    output = invoke("evaluate", table_run, "--data", copy).output
    assert printed(output, "rows") == 121 and "test rows" not in output


def test_the_file_of_training_is_read_as_in_training(invoke: Any, tmp_path: Path) -> None:
    """One key of an archive was trained on; the other holds other rows of the same shape."""
    from tfar.cli import rows
    from tfar.cli.trained_on import TrainedOn

    np.savez(tmp_path / "two.npz", a=np.zeros([50, 2]), b=np.arange(200.0).reshape([100, 2]))
    data = str(tmp_path / "two.npz")
    _, trained = run_data.load(Settings(data=data, key="b"))
    trained = TrainedOn.from_json(json.loads(json.dumps(trained.as_json())))
    held_out = rows.read_rows(data, (2,), None, None, 10, trained, prefer_held_out=True)
    assert held_out.is_held_out and next(iter(held_out.batches)).value.max() > 1.0
    other = rows.read_rows(data, (2,), None, None, 10, trained, rows.Reading(key="a"), prefer_held_out=True)
    assert (other.split, other.count, other.is_held_out) == ("all", 50, False)


def test_a_resumed_run_needs_the_same_content(table_run: Path, table: Path) -> None:
    settings = Settings(data=str(table), head="NormalMixture:2", ema=0.9, hidden_units=(8,), epochs=2, batch_size=200)
    config = runs.describe(settings, *run_data.load(settings))
    runs.check_same_data(table_run, config)
    config["data"]["files"]["sha256"] = "another"
    with pytest.raises(ValueError, match="the data have changed"):
        runs.check_same_data(table_run, config)


# Labels and images ---------------------------------------------------------------------------------------------------


@pytest.mark.slow(ci=True)
def test_a_keras_file_with_labels_as_the_condition(invoke: Any, tmp_path: Path) -> None:
    """The pixels are the label, so that the wrong label is costly."""
    labels = np.random.default_rng(0).integers(0, 2, 700)
    images = np.broadcast_to(labels[:, None, None], [700, 4, 4]).astype(np.uint8)
    parts = {"x_train": images[:600], "y_train": labels[:600], "x_test": images[600:], "y_test": labels[600:]}
    np.savez(tmp_path / "mnist.npz", **parts)
    out, data = tmp_path / "run", tmp_path / "mnist.npz"
    fast = ["--hidden-units", "8", "--epochs", "20", "--batch-size", "100", "--learning-rate", "0.03"]
    invoke("train", "made", "--data", data, "--condition", "y", "--out", out, *fast)
    message = invoke("train", "factorized", "--data", data, "--condition", "y", "--out", tmp_path / "f", code=1).stderr
    assert "factorized takes no --condition" in message
    output = invoke("evaluate", out, "--data", data).output
    assert printed(output, "rows") == 100
    dist, classes = tfar.load(out), np.eye(2, dtype=np.float32)[labels[600:]]
    right, wrong = (-np.mean(dist.log_prob(images[600:], conditional_input=c)) for c in (classes, 1.0 - classes))
    assert printed(output, "negative log-likelihood") == pytest.approx(right, abs=1e-3)
    assert right + 1.0 < wrong
    invoke("sample", out, "--condition", 1, "--num-samples", 50, "--out", tmp_path / "ones.npy")
    assert np.load(tmp_path / "ones.npy").mean() > 0.8
    assert "expected --condition, one of 0 to 1" in invoke("sample", out, "--out", tmp_path / "s.npy", code=1).stderr
    assert (
        "expected one of 0, 1; received 7"
        in invoke("sample", out, "--condition", 7, "--out", tmp_path / "s.npy", code=1).stderr
    )


@pytest.mark.slow(ci=True)
def test_labels_of_a_table_follow_the_model(invoke: Any, tmp_path: Path) -> None:
    """The commands that `train` recommends run, and both exports know the columns, of which the labels are one."""
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=[200, 2]), rng.integers(0, 3, 200)
    data = write(
        tmp_path / "bottles.csv", np.column_stack([values[:, 0], labels, values[:, 1]]), ["ph", "kind", "sugar"]
    )
    run, exported = tmp_path / "run", tmp_path / "exported"
    said = " ".join(invoke("train", "made", "--data", data, "--condition", "kind", "--out", run, *SMALL).output.split())
    assert f"tfar sample {run} --condition 0 --out samples.csv" in said
    invoke("sample", run, "--condition", "0", "--num-samples", 2, "--out", tmp_path / "samples.csv")
    invoke("export", run, "--out", exported, "--format", "both")
    known = {
        "columns": ["ph", "sugar"],
        "condition": {"name": "kind", "num_classes": 3, "classes": None},
    }
    said = json.loads((exported / "model.json").read_text())
    assert {name: value for name, value in said.items() if value is not None} == known
    other = write(tmp_path / "new.csv", np.column_stack([labels, values[:, ::-1]]), ["kind", "sugar", "ph"])
    invoke("score", exported, other, "--out", tmp_path / "scores.csv")
    expected = tfar.load(run).log_prob(values, conditional_input=np.eye(3)[labels])
    np.testing.assert_allclose(scores(tmp_path / "scores.csv"), expected, rtol=1e-4)


def test_the_axis_of_channels_is_added_where_a_model_needs_it(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 4, [60, 4, 4]).astype(np.uint8))
    arguments = {"num_blocks": 1, "num_levels": 1, "filters": 4, "num_components": 2}
    settings = Settings("pixel_cnn_plus_plus", str(tmp_path / "images.npy"), arguments=arguments)
    splits, trained = run_data.load(settings)
    assert tuple(runs.build(runs.describe(settings, splits, trained)).dist.event_shape) == (4, 4, 1)


def test_options_of_files_are_refused_for_a_named_data_set(invoke: Any, tmp_path: Path) -> None:
    options = ("--data", "digits", "--key", "x", "--condition", "y", "--out", tmp_path / "run")
    message = invoke("train", "made", *options, code=1).stderr
    assert "--key, --condition: expected files as --data; received the data set digits" in message


# The run folder ------------------------------------------------------------------------------------------------------


def test_load_takes_the_folder_of_a_run(table_run: Path, rows: np.ndarray, tmp_path: Path) -> None:
    np.testing.assert_array_equal(
        tfar.load(table_run).log_prob(rows), tfar.load(table_run / "model.keras").log_prob(rows)
    )
    with pytest.raises(FileNotFoundError, match=r"the folder of a finished run; .* has no model\.keras"):
        tfar.load(tmp_path)


@pytest.mark.parametrize("installed", [True, False])
def test_tensorboard_is_recommended_with_its_extra(
    installed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tfar.cli.printing import make_console

    monkeypatch.setattr(train.importlib.util, "find_spec", lambda name: object() if installed else None)
    train._hint(Settings(data="digits"), Path("runs/digits"), TrainedOn(), make_console())
    assert ('pip install "tfar[tensorboard]"' in capsys.readouterr().out) != installed
