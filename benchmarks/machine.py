"""What a result says about where it was measured: hardware and versions, never names or paths."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import platform
import resource
import subprocess
import sys
import time
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ("tensorflow", "keras", "tensorflow-probability", "tf-keras", "numpy", "torch")
NUM_THREADS = 2
_BUT_RESULTS = (".", ":!benchmarks/results", ":!README.md")


def set_threads(num_threads: int = NUM_THREADS) -> None:
    """Gives TensorFlow and PyTorch the same number of threads; call it before either has run anything."""
    set_tensorflow_threads(num_threads)
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(num_threads)


def set_tensorflow_threads(num_threads: int = NUM_THREADS) -> None:
    """Gives TensorFlow its number of threads; call it before it has run anything."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(num_threads)
    tf.config.threading.set_inter_op_parallelism_threads(num_threads)


def use_batch_scheduling() -> None:
    """Asks Linux to schedule this thread, and those that it starts from now on, as batch work.

    A batch thread that is woken does not take the processor from the one that woke it. In the default class it may, and what is
    timed is then how often the threads of an operation of a millisecond happen to get in each other's way.
    """
    if hasattr(os, "SCHED_BATCH"):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def scheduling() -> str:
    """The scheduling class of this thread: "batch" or "default"."""
    return "batch" if hasattr(os, "SCHED_BATCH") and os.sched_getscheduler(0) == os.SCHED_BATCH else "default"


def machine() -> dict[str, Any]:
    """Processor, cores and memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": platform.system(),
        "devices": _devices(),
    }


def versions() -> dict[str, str | None]:
    """Versions of Python, of the libraries (None: not installed), of tfar and of its commit."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    import tfar

    return {**found, "tfar": tfar.__version__, "commit": commit()}


def commit() -> str | None:
    """The commit of the working copy, with "+changes" if tracked files but results differ; None outside one."""
    head = _git("rev-parse", "HEAD")
    if head is None:
        return None
    return head + ("+changes" if _git("status", "--porcelain", "--untracked-files=no", "--", *_BUT_RESULTS) else "")


class OtherLoad:
    """Measures what other processes take of the processors: `share`, from 0 to 1, of a `with` block (None: unknown).

    On a busy machine threads wait for each other, and everybody's times are wrong, some by far more than others.
    """

    share: float | None = None

    def __enter__(self) -> OtherLoad:
        self._start = self._read()
        return self

    def __exit__(self, *_: object) -> None:
        busy, own, now = (end - start for start, end in zip(self._start, self._read(), strict=True))
        if busy and now:
            self.share = round(max(busy - own, 0.0) / (now * (os.cpu_count() or 1)), 3)

    @staticmethod
    def _read() -> tuple[float, float, float]:
        """Busy seconds of all processors (0 if unknown), of this process and its children that have ended, and the clock."""
        stat, busy = pathlib.Path("/proc/stat"), 0.0
        if stat.exists():
            user, nice, system, _, _, interrupt, soft, steal = map(int, stat.read_text().split("\n")[0].split()[1:9])
            busy = (user + nice + system + interrupt + soft + steal) / os.sysconf("SC_CLK_TCK")
        children = os.times()
        own = time.process_time() + children.children_user + children.children_system
        return busy, own, time.perf_counter()


def peak_memory_mib() -> float:
    """Largest resident memory of this process so far, in MiB.

    Linux's `VmHWM` where there is one: there `ru_maxrss` survives `exec`, and would show the parent's peak.
    """
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = 2**20 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def forget_peak_memory() -> None:
    """Lets `peak_memory_mib` begin again at what is resident now, where the system can: on Linux."""
    control = pathlib.Path("/proc/self/clear_refs")
    if control.exists():
        control.write_text("5")


def _devices() -> list[str]:
    tf = sys.modules.get("tensorflow")
    if tf is None:
        return []
    gpus = tf.config.list_physical_devices("GPU")
    return [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus]


def _cpu_model() -> str:
    """The processor, and its widest vectors, as its name may leave open what decides how fast products are."""
    info = pathlib.Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    lines = (line.partition(":") for line in info.read_text().splitlines())
    fields = {name.strip(): value.strip() for name, _, value in lines}
    name, flags = fields.get("model name", platform.machine()), fields.get("flags", "").split()
    vectors = [shown for flag, shown in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags]
    return f"{name}, {vectors[0]}" if vectors else name


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
