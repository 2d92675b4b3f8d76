"""Hardware and software versions for the result files. Names of machines and paths are left out."""

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
_BUT_RESULTS = (".", ":!benchmarks/results", ":!README.md", ":!docs")


def set_threads(num_threads: int = NUM_THREADS) -> None:
    """Sets the number of threads of TensorFlow and PyTorch. It must be called before either runs an operation."""
    set_tensorflow_threads(num_threads)
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(num_threads)


def set_tensorflow_threads(num_threads: int = NUM_THREADS) -> None:
    """Sets the number of threads of TensorFlow. It must be called before TensorFlow runs an operation."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(num_threads)
    tf.config.threading.set_inter_op_parallelism_threads(num_threads)


def use_batch_scheduling() -> None:
    """Sets the scheduling class of this thread, and of threads that it starts later, to SCHED_BATCH on Linux.

    In the default class a thread that wakes up may preempt the thread that woke it. For operations of about a millisecond this
    changes the measured time at random. Threads of the batch class do not preempt others in this way.
    """
    if hasattr(os, "SCHED_BATCH"):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def scheduling() -> str:
    """Returns the scheduling class of this thread: "batch" or "default"."""
    return "batch" if hasattr(os, "SCHED_BATCH") and os.sched_getscheduler(0) == os.SCHED_BATCH else "default"


def machine() -> dict[str, Any]:
    """Returns the processor, the number of cores and the memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": platform.system(),
        "devices": _devices(),
    }


def versions() -> dict[str, str | None]:
    """Returns the versions of Python, of the libraries (None if not installed) and of tfar, and the commit."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    import tfar

    return {**found, "tfar": tfar.__version__, "commit": commit()}


def commit() -> str | None:
    """Returns the commit of the working copy, with "+changes" if tracked files except results differ, or None."""
    head = _git("rev-parse", "HEAD")
    if head is None:
        return None
    return head + ("+changes" if _git("status", "--porcelain", "--untracked-files=no", "--", *_BUT_RESULTS) else "")


class OtherLoad:
    """Context manager that measures the load by other processes: `share`, from 0 to 1, or None if unknown.

    Times measured on a loaded machine are not comparable, because the load affects some operations more than others.
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
        """Returns the busy seconds of all processors (0 if unknown), those of this process and its children, and the time."""
        stat, busy = pathlib.Path("/proc/stat"), 0.0
        if stat.exists():
            user, nice, system, _, _, interrupt, soft, steal = map(int, stat.read_text().split("\n")[0].split()[1:9])
            busy = (user + nice + system + interrupt + soft + steal) / os.sysconf("SC_CLK_TCK")
        children = os.times()
        own = time.process_time() + children.children_user + children.children_system
        return busy, own, time.perf_counter()


def peak_memory_mib() -> float:
    """Returns the peak resident memory of this process in MiB.

    On Linux it is `VmHWM`, because `ru_maxrss` is inherited through `exec` and would include the peak of the parent process.
    """
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = 2**20 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def forget_peak_memory() -> None:
    """Resets the peak of `peak_memory_mib` to the current resident memory. Only Linux supports this."""
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
    """Returns the name of the processor and its widest vector instructions, which determine the speed of matrix products."""
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
