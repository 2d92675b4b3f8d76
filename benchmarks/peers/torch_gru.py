"""A GRU of audio in PyTorch, trained by truncated backpropagation through time: a peer of WaveNet.

The level before and the speaker are embedded; the state of a stream of files is carried from one chunk to the next, and is zero
at the beginning of each file. PyTorch uses one thread: the matrices of a step are small, and two threads wait for each other.
"""

from __future__ import annotations

import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.audio import AudioSettings
from benchmarks.peers.torch_side import torch_or_unavailable
from benchmarks.speech import SPEAKERS, Recording, Speech

NUM_LEVELS, EMBEDDING = 256, 64
BEGINNING = NUM_LEVELS  # the input of the first sample of a file
SCORE_SAMPLES = 1000


def build(settings: AudioSettings, recordings: Speech) -> TorchGRU:
    """The learner of a likelihood case."""
    return TorchGRU(settings, recordings)


def make_network(units: int, hidden: int, seed: int) -> Any:
    """The layers by name: embeddings of the level before and of the speaker, the GRU and two layers to the logits."""
    torch = torch_or_unavailable()
    torch.manual_seed(seed)
    return torch.nn.ModuleDict(
        {
            "level": torch.nn.Embedding(NUM_LEVELS + 1, EMBEDDING),
            "speaker": torch.nn.Embedding(len(SPEAKERS), EMBEDDING),
            "gru": torch.nn.GRU(EMBEDDING, units, batch_first=True),
            "hidden": torch.nn.Linear(units, hidden),
            "logits": torch.nn.Linear(hidden, NUM_LEVELS),
        }
    )


class TorchGRU:
    """Trains a GRU; see `benchmarks.budget.Learner`. The position in the data and the state are part of a checkpoint."""

    suffix = ".pt"

    def __init__(self, settings: AudioSettings, recordings: Speech) -> None:
        torch = torch_or_unavailable()
        torch.set_num_threads(1)
        (units,) = settings.hidden_units
        self.network = make_network(units, settings.skip_filters, settings.seed)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=settings.learning_rate, fused=True)
        self.settings, self.files = settings, recordings.train
        self.epoch, self.index, self.state = 0, 0, torch.zeros(1, settings.batch_size, units)
        self._streams: tuple[int, dict[str, Any]] | None = None

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def losses(self, before: Any, levels: Any, speakers: Any, state: Any) -> tuple[Any, Any]:
        """Negative log-probabilities of levels `[B, T]` in nats, and the state after them.

        Args:
            before: int64 `[B, T]`, the level before each.
            levels: int64 `[B, T]`; the loss of a negative level is 0.
            speakers: int64 `[B, T]`.
            state: float32 `[1, B, units]`.
        """
        torch = torch_or_unavailable()
        inputs = self.network["level"](before) + self.network["speaker"](speakers)
        outputs, state = self.network["gru"](inputs, state)
        logits = self.network["logits"](torch.relu(self.network["hidden"](outputs)))
        losses = torch.nn.functional.cross_entropy(logits.mT, levels, reduction="none", ignore_index=-1)
        return losses, state

    def update(self, step: int, learning_rate: float) -> int:
        """Makes one update on the next chunk of every stream."""
        torch = torch_or_unavailable()
        if (self.index + 1) * self.settings.chunk > self._of_epoch()["levels"].shape[1]:
            self.epoch, self.index, self.state = self.epoch + 1, 0, torch.zeros_like(self.state)
        part = slice(self.index * self.settings.chunk, (self.index + 1) * self.settings.chunk)
        before, levels, speakers = (self._of_epoch()[name][:, part] for name in ("before", "levels", "speakers"))
        begins = (before[:, :1] == BEGINNING)[None]
        losses, state = self.losses(before, levels, speakers, torch.where(begins, 0.0, self.state))
        self.state, self.index = state.detach(), self.index + 1
        count = int((levels >= 0).sum())
        loss = losses.sum() / count
        if not math.isfinite(loss.item()):
            raise ValueError(f"Expected a finite loss. Received: {loss.item()} at update {step}.")
        self.optimizer.param_groups[0]["lr"] = learning_rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.settings.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm)
        self.optimizer.step()
        return count

    def _of_epoch(self) -> dict[str, Any]:
        """The streams of the current epoch, each the files of a share, in an order that is a function of seed and epoch."""
        if self._streams is None or self._streams[0] != self.epoch:
            order = np.random.default_rng((self.settings.seed, self.epoch)).permutation(len(self.files))
            shares = np.array_split(order, self.settings.batch_size)
            self._streams = (
                self.epoch,
                streams([[self.files[i] for i in share] for share in shares], self.settings.chunk),
            )
        return self._streams[1]

    def save(self, path: pathlib.Path) -> None:
        """Writes weights, optimizer, state and position."""
        torch = torch_or_unavailable()
        parts = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save({**parts, "state": self.state, "place": [self.epoch, self.index]}, path)

    def load(self, path: pathlib.Path) -> None:
        """Reads what `save` wrote."""
        found = torch_or_unavailable().load(path)
        self.network.load_state_dict(found["network"])
        self.optimizer.load_state_dict(found["optimizer"])
        self.state, (self.epoch, self.index) = found["state"], found["place"]

    def nats(self, files: Sequence[Recording], changed: bool = False) -> np.ndarray:
        """Negative log-likelihood of each whole file; `changed` names the other speaker."""
        torch = torch_or_unavailable()
        length = max(len(file.levels) for file in files)
        tensors = streams([[file] for file in files], length)
        speakers = 1 - tensors["speakers"] if changed else tensors["speakers"]
        state = torch.zeros(1, len(files), self.state.shape[-1])
        totals = np.zeros(len(files))
        with torch.inference_mode():
            for start in range(0, length, SCORE_SAMPLES):
                part = slice(start, start + SCORE_SAMPLES)
                inputs = (tensors["before"][:, part], tensors["levels"][:, part], speakers[:, part])
                losses, state = self.losses(*inputs, state)
                totals += losses.double().sum(1).numpy()
        return totals


def streams(shares: Sequence[Sequence[Recording]], multiple: int) -> dict[str, Any]:
    """Returns int64 tensors `[streams, T]`: levels, the level before each, and speakers.

    Each file is filled up to a multiple, so that the next one begins with a chunk; the levels of the filling are -1. Longer
    streams are cut to the shortest.
    """
    torch = torch_or_unavailable()
    found: dict[str, list[np.ndarray]] = {"before": [], "levels": [], "speakers": []}
    for files in shares:
        parts: dict[str, list[np.ndarray]] = {name: [] for name in found}
        for file in files:
            size = -(-len(file.levels) // multiple) * multiple
            levels = np.full(size, -1)
            levels[: len(file.levels)] = file.levels
            parts["levels"].append(levels)
            parts["before"].append(np.concatenate([[BEGINNING], np.maximum(levels[:-1], 0)]))
            parts["speakers"].append(np.full(size, file.speaker))
        for name, arrays in parts.items():
            found[name].append(np.concatenate(arrays))
    shortest = min(map(len, found["levels"]))
    return {name: torch.from_numpy(np.stack([array[:shortest] for array in arrays])) for name, arrays in found.items()}
