"""An LSTM language model in PyTorch, with its own fused loop over time and a sampler word by word: a peer of tfar's."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.cases import Contestant
from benchmarks.peers.torch_side import contestant, torch_or_unavailable
from benchmarks.timing import Call

NUM_BATCHES = 10


def random_words(rows: int, length: int, seed: int, vocabulary_size: int = 2) -> np.ndarray:
    """Words from 1 on, `[rows, length]` float32, so that no text ends before its last place."""
    words = np.random.default_rng(seed).integers(1, vocabulary_size, size=(rows, length))
    return words.astype(np.float32)


def build(
    vocabulary_size: int, length: int, units: int, embedding_dim: int, batch_size: int, *, seed: int = 0
) -> Contestant:
    """The PyTorch peer: `log_prob`, `sample` and `train_step`.

    Raises:
        Unavailable: without PyTorch.
    """
    network = make_network(vocabulary_size, units, embedding_dim, seed=seed)
    x = random_words(NUM_BATCHES * batch_size, length, seed, vocabulary_size)
    made = contestant(network, losses, sample_call(network, length, batch_size), x, batch_size)
    return Contestant(made.operations, sum(p.numel() for p in network.parameters() if p.requires_grad))


def make_network(vocabulary_size: int, units: int, embedding_dim: int, *, seed: int = 0) -> Any:
    """The layers by name: `words`, `lstm` with one bias of the gates, and `logits`."""
    torch = torch_or_unavailable()
    torch.manual_seed(seed)
    lstm = torch.nn.LSTM(embedding_dim, units, batch_first=True)
    torch.nn.init.zeros_(lstm.bias_hh_l0).requires_grad_(False)
    words, logits = torch.nn.Embedding(vocabulary_size, embedding_dim), torch.nn.Linear(units, vocabulary_size)
    return torch.nn.ModuleDict({"words": words, "lstm": lstm, "logits": logits})


def losses(network: Any, x: Any) -> Any:
    """Negative log-probabilities `[B]` of texts that end by word 0."""
    torch = torch_or_unavailable()
    words = x.long()
    vectors = network["words"](words[:, :-1])
    vectors = torch.cat([torch.zeros_like(vectors[:, :1]), vectors], dim=1)
    logits = network["logits"](network["lstm"](vectors)[0])
    each = torch.nn.functional.cross_entropy(logits.mT, words, reduction="none")
    before_end = (words == 0).cumsum(1) - (words == 0).long() == 0
    return (each * before_end).sum(1)


def sample_call(network: Any, length: int, batch_size: int) -> Call:
    """A batch of texts `[B, T]`, word by word."""
    torch = torch_or_unavailable()

    @torch.inference_mode()
    def sample() -> np.ndarray:
        state, found = None, []
        vectors = torch.zeros(batch_size, 1, network["words"].embedding_dim)
        is_open = torch.ones(batch_size, dtype=torch.long)
        for _ in range(length):
            hidden, state = network["lstm"](vectors, state)
            drawn = torch.distributions.Categorical(logits=network["logits"](hidden[:, 0])).sample() * is_open
            is_open = is_open * (drawn > 0)
            found.append(drawn)
            vectors = network["words"](drawn)[:, None]
        return torch.stack(found, dim=1).numpy()

    return sample
