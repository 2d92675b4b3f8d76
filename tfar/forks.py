"""Refuses TensorFlow in a forked child of a process that used it, where it hangs for ever.

A fork copies the memory of TensorFlow but not its threads, so the first operation that needs a thread waits for one that does
not exist. Start such processes with "spawn" or "forkserver", for example `multiprocessing.get_context("spawn")`.
"""

import os

_user: int | None = None


def check_not_forked() -> None:
    """Records that this process uses TensorFlow, or refuses if a parent did before the fork.

    It sees only the uses that call this function. Other uses of TensorFlow in the parent go unnoticed.

    Raises:
        RuntimeError: If the process is a fork of one that called this function.
    """
    global _user
    process = os.getpid()
    if _user is None:
        _user = process
    if _user != process:
        raise RuntimeError(
            f"Process {process} was forked from process {_user} after that had used TensorFlow, whose threads a fork does not "
            'copy, so that it would hang. Start the process with multiprocessing.get_context("spawn"), or use TensorFlow only '
            "after the fork."
        )
