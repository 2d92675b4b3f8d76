"""Files replaced atomically: what a failure leaves behind."""

import json
import os

import pytest

from tfar import files


def test_replaces_a_file_and_makes_the_folder(tmp_path):
    path = tmp_path / "a" / "b.txt"
    for content in ("one", "two"):
        with files.replacing(path, ".txt") as temporary:
            assert (
                temporary.parent == path.parent and temporary.name.startswith(".") and temporary.name.endswith(".txt")
            )
            temporary.write_text(content)
        assert path.read_text() == content and os.listdir(path.parent) == ["b.txt"]


def test_replaces_with_a_folder(tmp_path):
    with files.replacing(tmp_path / "1") as temporary:
        temporary.mkdir()
        (temporary / "x").write_text("x")
    assert (tmp_path / "1" / "x").read_text() == "x" and os.listdir(tmp_path) == ["1"]


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError("no")], ids=repr
)
def test_a_failure_leaves_the_old_file_and_no_rest(tmp_path, error, folder):
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(type(error)) as caught, files.replacing(path) as temporary:
        if folder:
            temporary.mkdir()
            (temporary / "half").write_text("half")
        else:
            temporary.write_text("half")
        raise error
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["x"]
    if isinstance(error, OSError):
        assert str(path) in str(caught.value) and caught.value.errno == 28


def test_a_writer_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(OSError, match="could not write"), files.replacing(tmp_path / "x"):
        pass


def test_write_json(tmp_path):
    files.write_json(tmp_path / "x.json", {"a": [1, 2]})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [1, 2]}
    with pytest.raises(TypeError):
        files.write_json(tmp_path / "x.json", {"a": object()})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [1, 2]} and os.listdir(tmp_path) == ["x.json"]
