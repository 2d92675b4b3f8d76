"""Damaged and hostile model files: each is refused with one line that names the file, before memory is allocated for it."""

import io
import json
import re
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import tfar
from tfar import model_files

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """The members of a good `.keras` file."""
    path = tmp_path_factory.mktemp("good") / "made.keras"
    dist = tfar.MADE(
        [4],
        [8],
        head=tfar.heads.Bernoulli(),
        conditional_shape={"c": (2,)},
        order=[2, 0, 1, 3],
        seed=2**31 - 1,
        jit_compile=False,
    )
    model = tfar.training.DensityModel(dist)
    model.compile("adam")
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def refusal(path):
    """The message of a refused file, which names it and is one line."""
    with pytest.raises(ValueError) as refused:
        tfar.load(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: expected a .keras file that DensityModel.save wrote; received ")
    assert "\n" not in message and len(message) < 800
    return message


def test_a_good_file_is_read(members, tmp_path):
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        assert tfar.load(written(tmp_path / "good.keras", members, compression)).event_shape == [4]


def changed_config(members, change):
    config = json.loads(members["config.json"])
    change(config["config"]["dist"]["config"])
    return {**members, "config.json": json.dumps(config)}


def set_to(name, value):
    return lambda config: config.update({name: value})


CONFIGS = {
    "unknown head": (lambda config: config["head"].update(class_name="Beta", registered_name="tfar>Beta"), "Beta"),
    "no event shape": (lambda config: config.pop("event_shape"), "event_shape"),
    "absurd event shape": (set_to("event_shape", [10**15]), r"event_shape \[1000000000000000\]; the limit is"),
    "large event shape": (set_to("event_shape", [2**13, 2**14]), r"event_shape \[8192, 16384\]; the limit is"),
    "absurd tuple": (
        set_to("event_shape", {"class_name": "__tuple__", "items": [10**15]}),
        r"event_shape \[1000000000000000\]; the limit is",
    ),
    "negative event shape": (set_to("event_shape", [-4]), r"event_shape \[-4\]"),
    "nested event shape": (set_to("event_shape", [[4]]), r"event_shape \[\[4\]\]"),
    "absurd condition": (set_to("conditional_shape", {"c": [10**12]}), "conditional_shape"),
    "absurd layer": (set_to("hidden_units", [10**7]), "hidden_units 10000000, which is more than the file has weights"),
    "absurd number": (set_to("num_masks", 10**9), "num_masks 1000000000, which is more than"),
    "no list": (set_to("hidden_units", None), ""),
    "no dict": (lambda config: config.update(head=3), ""),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_that_makes_no_model_is_refused(name, members, tmp_path):
    change, message = CONFIGS[name]
    path = written(tmp_path / "bad.keras", changed_config(members, change))
    assert re.search(message, refusal(path))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"3", b"\xff", b'{"config": []}', b"{}"])
def test_a_config_json_that_is_none_is_refused(content, members, tmp_path):
    refusal(written(tmp_path / "bad.keras", {**members, "config.json": content}))


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 100_000, "[" * 1000 + "]" * 1000])
def test_deep_json_is_refused(deep, members, tmp_path):
    path = written(tmp_path / "deep.keras", {**members, "config.json": deep})
    assert "JSON nested deeper than 64 levels" in refusal(path)


def test_brackets_in_strings_do_not_count():
    texts = ['"' + "[" * 100 + '"', '["\\"' + "[" * 100 + '\\\\"]', "[" * 64 + "]" * 64, "[[]," * 50 + "0" + "]" * 50]
    for text in texts:
        assert model_files.parse_json(text.encode()) == json.loads(text)
    for text in ("[" * 65 + "]" * 65, '["' + "]" * 100 + '",' + "[" * 64 + "]" * 65):
        with pytest.raises(ValueError, match="deeper than 64"):
            model_files.parse_json(text.encode())
    for text in ('"' + '\\"' * 200_000, '"' + "[" * 1_000_000, '"\\' * 200_000):
        with pytest.raises(ValueError):  # An unterminated string, found in linear time.
            model_files.parse_json(text.encode())


def test_members_are_those_that_keras_writes(members, tmp_path):
    assert "'model.weights.npz'" in refusal(written(tmp_path / "a.keras", {**members, "model.weights.npz": b""}))
    assert "'../x'" in refusal(written(tmp_path / "b.keras", {**members, "../x": b""}))
    assert "'assets/../../x'" in refusal(written(tmp_path / "c.keras", {**members, "assets/../../x": b""}))
    missing = {name: content for name, content in members.items() if name != "model.weights.h5"}
    assert "model.weights.h5" in refusal(written(tmp_path / "d.keras", missing))
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "e.keras", "w") as archive:
        for name, content in [*members.items(), *members.items()]:
            archive.writestr(name, content)
    assert "several members of one name" in refusal(tmp_path / "e.keras")


def hdf5(write):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        write(file)
    return content.getvalue()


def compressed(file):
    file.create_dataset("a", (1 << 20, 64), "float32", compression="gzip", data=np.zeros([1 << 20, 64], np.float32))


def of_other_file(file):
    file.create_dataset("a", (4,), "uint8", external=[("/etc/passwd", 0, 4)])


def virtual(file):
    layout = h5py.VirtualLayout((4,), "uint8")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "a", (4,))
    file.create_virtual_dataset("a", layout)


WEIGHTS = {
    "compressed zeros": (compressed, "weights of more than"),
    "never written": (lambda file: file.create_dataset("a", (10**15,), "float32"), "weights of more than"),
    "many": (lambda file: [file.create_dataset(str(i), (1 << 20,), "float32") for i in range(9)], "weights of more"),
    "external": (of_other_file, "stored in another file"),
    "virtual": (virtual, "stored in another file"),
    "external link": (lambda file: file.update(a=h5py.ExternalLink("/tmp/x.h5", "/")), "'a' that are a link"),
    "soft link": (lambda file: file.create_group("g").update(a=h5py.SoftLink("/b")), "'a' that are a link"),
    "text": (lambda file: file.create_dataset("a", data="text"), "not an array of numbers"),
    "objects": (lambda file: file.create_dataset("a", (3,), h5py.vlen_dtype("int32")), "not an array of numbers"),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_are_no_weights_are_refused_unread(name, members, tmp_path):
    write, message = WEIGHTS[name]
    path = written(tmp_path / "bad.keras", {**members, "model.weights.h5": hdf5(write)})
    assert path.stat().st_size < 1 << 20
    assert message in refusal(path)


@pytest.mark.parametrize("name", ["never written", "external", "external link"])
def test_weights_of_their_own_are_refused_unread(name, members, tmp_path):
    """A `.weights.h5` file, as of an unfinished run, is checked as the weights in a `.keras` file are."""
    write, message = WEIGHTS[name]
    path = tmp_path / "bad.weights.h5"
    path.write_bytes(hdf5(write))
    model = tfar.training.load_model(written(tmp_path / "good.keras", members))
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: expected weights .*{re.escape(message)}"):
        model.load_weights(path)
    path.write_bytes(hdf5(lambda file: file.create_dataset("a", data=[1.0])))
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: expected weights") as refused:
        model.load_weights(path)
    assert "\n" not in str(refused.value)


def test_a_group_that_holds_itself_is_read_once(members, tmp_path):
    refusal(
        written(tmp_path / "bad.keras", {**members, "model.weights.h5": hdf5(lambda file: file.update(a=file["/"]))})
    )


def zeros(path, name, megabytes, **others):
    """An archive with a member of so many megabytes of zeros, which take a thousandth of it on disk."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for other, content in others.items():
            archive.writestr(other, content)
        with archive.open(name, "w") as member:
            for _ in range(megabytes):
                member.write(bytes(1 << 20))
    return path


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5", "metadata.json", "assets/x"])
def test_an_archive_bomb_is_refused_before_it_unpacks(name, members, tmp_path):
    others = {key: content for key, content in members.items() if key != name}
    path = zeros(tmp_path / "bomb.keras", name, 100, **others)
    assert path.stat().st_size < 300_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "unpacks to 104," in refusal(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


def test_weights_beside_a_bomb_do_not_make_room_for_it(members, tmp_path):
    """The file as a whole expands eleven times only, and one member of it a thousand times."""
    noise = np.random.default_rng(0).bytes(10 << 20)
    path = zeros(tmp_path / "bomb.keras", "assets/x", 100, **members, **{"assets/noise": noise})
    assert "'assets/x' of 104,857,600 bytes" in refusal(path)


BOMB = """
import resource, sys
import tfar
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    tfar.load(sys.argv[1])
except ValueError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow(ci=True)
def test_a_bomb_takes_no_memory_of_the_process(members, tmp_path):
    """In a process of its own, by the memory that the system gave it."""
    others = {key: content for key, content in members.items() if key != "model.weights.h5"}
    path = zeros(tmp_path / "bomb.keras", "model.weights.h5", 600, **others)
    done = subprocess.run([sys.executable, "-c", BOMB, path], cwd=ROOT, capture_output=True, text=True, check=True)
    message, megabytes = done.stdout.splitlines()
    assert message.startswith(f"{path}: ") and int(megabytes) < 100


@pytest.mark.parametrize(
    "error", [KeyError("head"), MemoryError(), RecursionError("deep"), OSError("cut"), ValueError("a\nb")]
)
def test_every_error_of_a_reader_names_the_file_in_one_line(error):
    with pytest.raises(ValueError) as raised, model_files.reading("x/y.json", "a table"):
        raise error
    assert str(raised.value).startswith("x/y.json: expected a table; received ") and "\n" not in str(raised.value)
    assert raised.value.__cause__ is error


def test_a_file_is_named_once():
    with (
        pytest.raises(ValueError, match=r"^a\.json: expected b; received c$"),
        model_files.reading("a.json", "d"),
        model_files.reading("a.json", "b"),
    ):
        raise ValueError("c")


def test_read_json(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text('{"a": [1, "é"]}', encoding="utf-8")
    assert model_files.read_json(path, "numbers") == {"a": [1, "é"]}
    with pytest.raises(FileNotFoundError):
        model_files.read_json(tmp_path / "b.json", "numbers")
    monkeypatch.setattr(model_files, "MAX_JSON_BYTES", 10)
    with pytest.raises(ValueError, match=r"a\.json: expected numbers; received more than 10 bytes of JSON"):
        model_files.read_json(path, "numbers")
