"""On a read-only disk, the error that is shown is the first one, which names the file that was asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOUNT = 'mount -t tmpfs -o size=1m tmpfs "$0" && mkdir "$0/folder" && mount -o remount,ro "$0" && exec "$@"'

SCRIPT = """
import sys
from tfar import files

folder = sys.argv[1] + "/folder"
def write_file():
    with files.replacing(folder + "/out.json") as path, open(path, "w") as file:
        file.write("x")
def write_folder():
    with files.replacing(folder + "/made") as path:
        path.mkdir()
for write in (write_file, write_folder, lambda: files.write_json(folder + "/x.json", {})):
    try:
        write()
    except OSError as error:
        print(error)
"""


def on_read_only_disk(folder, script):
    command = ["unshare", "-rm", "sh", "-c", MOUNT, folder, sys.executable, "-c", script, folder]
    try:
        done = subprocess.run(
            list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
        )
    except FileNotFoundError:
        pytest.skip("needs unshare")
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"needs a mount of its own: {done.stderr[:200]}")
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


@pytest.mark.slow(ci=True)
def test_the_first_error_is_shown(tmp_path):
    found = on_read_only_disk(tmp_path, SCRIPT)
    expected = [
        f"could not write {tmp_path}/folder/{name}: Read-only file system" for name in ("out.json", "made", "x.json")
    ]
    assert [line.removeprefix("[Errno 30] ") for line in found] == expected


@pytest.mark.slow(ci=True)
def test_scoring_says_what_it_could_not_write(tmp_path):
    script = """
import sys
from pathlib import Path
from tfar.serving.partial_scores import PartialScores
try:
    PartialScores(Path(sys.argv[1]) / "folder" / "scores.csv", {})
except OSError as error:
    print(error)
"""
    (line,) = on_read_only_disk(tmp_path, script)
    assert f"could not write {tmp_path}/folder/.scores.csv.part: Read-only file system" in line
