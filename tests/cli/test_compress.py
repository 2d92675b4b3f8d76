"""`tfar compress` and `tfar decompress`."""

import numpy as np
import pytest

import tfar


def test_a_run_stores_rows_and_restores_them(invoke, digits_run, tmp_path):
    archive, out, rows = tmp_path / "digits.tfar", tmp_path / "digits.npy", tmp_path / "rows.npy"
    test = tfar.data.load("digits").arrays("test")
    result = invoke("compress", digits_run, "digits", "-o", archive, "--bits", "6", "--max-activation", "3")
    assert f"Wrote {len(test)} rows in {archive.stat().st_size:,} bytes" in " ".join(result.output.split())
    invoke("decompress", digits_run, archive, "--out", out)
    np.testing.assert_array_equal(np.load(out), test)
    np.save(rows, test[:9])
    invoke("compress", digits_run, rows, "-o", archive, "--no-freeze", "--chunk-rows", "5")
    invoke("decompress", digits_run, archive, "--out", tmp_path / "digits.csv")
    lines = (tmp_path / "digits.csv").read_text().splitlines()
    assert len(lines) == 10 and [int(v) for v in lines[9].split(",")] == test[8].ravel().tolist()


def test_what_cannot_be_done_is_one_line(invoke, digits_run, tmp_path):
    bad = tmp_path / "bad.tfar"
    bad.write_bytes(b"no archive")
    result = invoke("decompress", digits_run, bad, "--out", tmp_path / "x.npy", code=1)
    assert "bytes that tfar.coding.compress wrote" in result.output
    assert not (tmp_path / "x.npy").exists()
    result = invoke("decompress", digits_run, bad, "--out", tmp_path / "x.txt", code=1)
    assert "--out" in result.output


@pytest.mark.slow(ci=True)
def test_a_model_that_cannot_be_frozen_or_has_a_condition_is_refused(invoke, tmp_path):
    for dist, message in [
        (tfar.NADE([64], 4), "activation='relu'"),
        (
            tfar.DARN([64], [4]),
            "a latent variable. It can compress without being frozen (on the command line: --no-freeze)",
        ),
        (tfar.MADE([64], [4], conditional_shape=[2]), "has a condition"),
    ]:
        model = tfar.training.DensityModel(dist)
        model.compile()
        model.save(tmp_path / "model.keras")
        result = invoke("compress", tmp_path / "model.keras", "digits", "-o", tmp_path / "x.tfar", code=1)
        assert message in " ".join(result.output.split())


@pytest.mark.slow(ci=True)
def test_a_run_of_a_model_with_latent_bits_stores_rows_by_bits_back(invoke, tmp_path):
    run, archive, out = tmp_path / "run", tmp_path / "digits.tfar", tmp_path / "digits.npy"
    invoke("train", "darn", "--data", "digits", "--out", run, "--epochs", "1", "--set", "latent_units=[6,3]")
    invoke("compress", run, "digits", "--split", "test", "-o", archive, "--no-freeze")
    invoke("decompress", run, archive, "--out", out)
    test, dist = tfar.data.load("digits").arrays("test"), tfar.load(run)
    np.testing.assert_array_equal(np.load(out), test)
    assert archive.stat().st_size < 1.05 * float(np.sum(dist.description_length(test, seed=0).total)) / 8 + 150
