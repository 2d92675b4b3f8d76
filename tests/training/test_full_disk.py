"""A disk that is full while weights are saved: an error that names the file, no crash and no leftover."""

import os
import shutil
import subprocess
import sys

import pytest

WAYS = ["save_weights", "save", "backup"]


@pytest.mark.slow(ci=True)
@pytest.mark.parametrize("way", WAYS)
def test_a_limit_on_the_size_of_files(way, start_script, finish, tmp_path):
    out = finish(start_script("full_disk_script.py", way, 20_000, tmp_path))
    assert out.startswith("OSError") and "could not write" in out and "File too large" in out
    assert out.splitlines()[-1] == "left: []" and os.listdir(tmp_path) == []


def can_mount():
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return shutil.which("unshare") is not None and subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.slow(ci=True)
@pytest.mark.parametrize("way", WAYS)
def test_a_full_disk(way, tmp_path):
    if not can_mount():
        pytest.skip("needs a user namespace in which a tmpfs can be mounted")
    script = os.path.join(os.path.dirname(__file__), "full_disk_script.py")
    command = 'mount -t tmpfs -o size=40k none "$1" && shift && exec "$@"'
    arguments = [str(tmp_path), sys.executable, script, way, "0", str(tmp_path)]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command, "sh", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd(), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr[-3000:]}"
    assert done.stdout.startswith("OSError") and "No space left on device" in done.stdout
    assert done.stdout.splitlines()[-1] == "left: []"
