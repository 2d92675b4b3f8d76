"""Exports found on disk: the newest version, one version, and what is told about anything else."""

import json
import os

import pytest

from tfar.exports import DESCRIPTION, find_export, sha256


def make_version(base, version):
    """A folder that looks like an export, which nobody loads here."""
    folder = base / str(version)
    (folder / "variables").mkdir(parents=True)
    (folder / "assets.extra").mkdir()
    names = ("saved_model.pb", "variables/variables.index")
    for name in names:
        (folder / name).write_text(f"{name} of {version}")
    checksums = {name: sha256([folder / name]) for name in names}
    (folder / DESCRIPTION).write_text(json.dumps({"sha256": checksums, "versions": {"tensorflow": "2.21.0"}}))
    return folder


def test_the_newest_version_is_taken_by_its_number(tmp_path):
    for version in (2, 10, 9):
        make_version(tmp_path / "made", version)
    (tmp_path / "made" / ".11.part").mkdir()
    (tmp_path / "made" / "notes").mkdir()
    found = find_export(tmp_path / "made")
    assert (found.path, found.base, found.is_pinned) == (tmp_path / "made" / "10", tmp_path / "made", False)


def test_a_version_is_taken_as_it_is_asked_for(tmp_path, monkeypatch):
    for version in (1, 2):
        make_version(tmp_path / "made", version)
    monkeypatch.chdir(tmp_path / "made" / "1")
    found = find_export(".")
    assert (found.path, found.base, found.is_pinned) == (tmp_path / "made" / "1", tmp_path / "made", True)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("gone", FileNotFoundError, "gone does not exist: expected the folder of an exported SavedModel"),
        ("made.keras", ValueError, r"a model that is not exported yet: tfar export .*made.keras --out FOLDER"),
        ("made.tflite", ValueError, "a TFLite file: export a SavedModel too"),
        ("rows.csv", ValueError, "expected the folder of an exported SavedModel; .*rows.csv is a file"),
        ("empty", ValueError, r"expected the folder of a version with saved_model.pb, or .*; it is empty"),
        (
            "run",
            ValueError,
            r"it holds config.json, model.keras \(a run of `tfar train`\? Export it first: tfar export",
        ),
        (
            "foreign",
            ValueError,
            r"foreign/1 is not an export of tfar: expected assets.extra/tfar.json in it; there is none",
        ),
        ("many", ValueError, "it holds a, b, c, d, e, ...$"),
    ],
)
def test_what_is_no_export_is_told_so(name, error, message, tmp_path):
    for file in ("made.keras", "made.tflite", "rows.csv"):
        (tmp_path / file).write_text("")
    for folder in ("empty", "run", "foreign/1", *(f"many/{letter}" for letter in "abcdef")):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "run" / "config.json").write_text("{}")
    (tmp_path / "run" / "model.keras").write_text("")
    (tmp_path / "foreign" / "1" / "saved_model.pb").write_text("")
    with pytest.raises(error, match=message):
        find_export(tmp_path / name)


def test_a_half_copied_version_is_told_so(tmp_path):
    version = make_version(tmp_path, 1)
    os.remove(version / "variables" / "variables.index")
    with pytest.raises(FileNotFoundError, match=r"is incomplete: expected variables/variables.index in it"):
        find_export(tmp_path)
    (version / DESCRIPTION).write_text("[]")
    with pytest.raises(ValueError, match=r"tfar.json: expected what an export writes"):
        find_export(tmp_path)


def test_a_damaged_file_is_found_by_its_checksum(tmp_path):
    version = make_version(tmp_path, 1)
    assert set(find_export(tmp_path).checksums()) == {"saved_model.pb", "variables/variables.index"}
    (version / "variables" / "variables.index").write_text("other")
    with pytest.raises(ValueError, match=r"variables.index is damaged: expected the checksum .* received"):
        find_export(tmp_path).checksums()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "Expecting value"),
        ("[" * 100_000, "JSON nested deeper than 64 levels"),
        ("{}", "KeyError: 'sha256'"),
        ('{"sha256": {}}', "KeyError: 'versions'"),
        ('{"sha256": {}, "versions": ["2.21.0"]}', "versions"),
        ('{"sha256": {}, "versions": {"tensorflow": 2}}', "versions"),
        ('{"sha256": ["saved_model.pb"], "versions": {}}', "sha256"),
        ('{"sha256": {"/dev/zero": "0"}, "versions": {}}', "the file '/dev/zero' outside of the version"),
        ('{"sha256": {"../../secret": "0"}, "versions": {}}', "the file '../../secret' outside of the version"),
    ],
)
def test_a_damaged_description_is_named_in_one_line(content, message, tmp_path):
    path = make_version(tmp_path, 1) / DESCRIPTION
    path.write_text(content)
    with pytest.raises(ValueError) as refused:
        find_export(tmp_path)
    assert str(refused.value).startswith(f"{path}: expected what an export writes; received ")
    assert message in str(refused.value) and "\n" not in str(refused.value)
