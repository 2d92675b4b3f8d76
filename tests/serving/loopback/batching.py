"""Requests that are answered together: merged along their first axis, run once, and split."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import grpc
import numpy as np
from numpy.typing import NDArray

from tests.serving.loopback.status import Refused, failed_precondition, invalid

Feeds = dict[str, NDArray]
Run = Callable[[Feeds, str], NDArray]


@dataclass(frozen=True)
class Parameters:
    """What BatchingParameters say, with TF Serving's defaults.

    Attributes:
        max_rows: int. The largest request; the largest batch too, unless requests are split.
        max_batch: int. The largest batch that is run.
        timeout: seconds that a request waits for others.
    """

    max_rows: int = 1000
    max_batch: int = 1000
    timeout: float = 0.0


@dataclass
class Task:
    """A request in the queue, and the answer that it waits for."""

    feeds: Feeds
    rows: int
    answer: Future[NDArray]


class Queues:
    """A queue for each signature, told apart by the tensors that are fed and fetched."""

    def __init__(self, run: Run, parameters: Parameters) -> None:
        self._run, self._parameters = run, parameters
        self._queues: dict[tuple[str, ...], queue.Queue[Task]] = {}
        self._lock = threading.Lock()

    def run(self, feeds: Feeds, fetch: str) -> NDArray:
        """Waits for the batch that the request becomes part of.

        Raises:
            Refused: If the request cannot be batched, or its batch fails: then every request of it does.
        """
        rows = {value.shape[0] if value.ndim else None for value in feeds.values()}
        if None in rows:
            raise invalid("Batching Run() input tensors must have at least one dimension")
        if len(rows) != 1:
            raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
        task = Task(feeds, rows.pop(), Future())
        if task.rows > self._parameters.max_rows:
            raise invalid(f"Task size {task.rows} is larger than maximum input batch size {self._parameters.max_rows}")
        self._queue(feeds, fetch).put(task)
        return task.answer.result()

    def _queue(self, feeds: Feeds, fetch: str) -> queue.Queue[Task]:
        key = (fetch, *sorted(feeds))
        with self._lock:
            if key not in self._queues:
                self._queues[key] = queue.Queue()
                threading.Thread(target=self._serve, args=(self._queues[key], fetch), daemon=True).start()
            return self._queues[key]

    def _serve(self, tasks: queue.Queue[Task], fetch: str) -> None:
        while True:
            batch = self._collect(tasks)
            try:
                answers = self._answer(batch, fetch)
            except Exception as error:
                for task in batch:
                    task.answer.set_exception(error)
            else:
                for task, answer in zip(batch, answers, strict=True):
                    task.answer.set_result(answer)

    def _collect(self, tasks: queue.Queue[Task]) -> list[Task]:
        """The next request and those that come before its time is up, as long as there is room."""
        batch = [tasks.get()]
        until = time.monotonic() + self._parameters.timeout
        while sum(task.rows for task in batch) < self._parameters.max_batch:
            try:
                batch.append(tasks.get(timeout=max(0.0, until - time.monotonic())))
            except queue.Empty:
                break
        return batch

    def _answer(self, batch: list[Task], fetch: str) -> list[NDArray]:
        merged = merge([task.feeds for task in batch])
        rows, size = sum(task.rows for task in batch), self._parameters.max_batch
        parts = [
            self._run({name: value[start : start + size] for name, value in merged.items()}, fetch)
            for start in range(0, max(rows, 1), size)
        ]
        answer = np.concatenate(parts)
        if len(answer) != rows:
            raise failed_precondition("Batched output tensor's 0th dimension does not equal that of the input tensors")
        return np.split(answer, np.cumsum([task.rows for task in batch])[:-1])


def merge(requests: list[Feeds]) -> Feeds:
    """Joins requests along their first axis.

    Raises:
        Refused: If two differ in the rest of their shape or in their type.
    """
    merged = {}
    for name in requests[0]:
        values = [feeds[name] for feeds in requests]
        if len({value.shape[1:] for value in values}) > 1:
            raise failed_precondition(f"Tensors with name '{name}' from different tasks have different shapes")
        if len({value.dtype for value in values}) > 1:
            raise Refused(grpc.StatusCode.INTERNAL, "Tensor concat operation failed")
        merged[name] = np.concatenate(values)
    return merged
