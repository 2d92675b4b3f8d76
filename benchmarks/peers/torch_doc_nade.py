"""DocNADE in PyTorch: a running sum of word vectors and a softmax over all words, of all words of a document at once."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from benchmarks.cases import Contestant
from benchmarks.peers.masks import random_words
from benchmarks.peers.torch_side import log_prob_call, torch_or_unavailable, train_step_call

NUM_BATCHES = 10


def build(vocabulary_size: int, hidden_units: int, batch_size: int, num_words: int, *, seed: int = 0) -> Contestant:
    """The PyTorch peer: `log_prob` of the words in the given order, `sample`, and `train_step` on shuffled words.

    Raises:
        Unavailable: without PyTorch.
    """
    torch = torch_or_unavailable()
    network = make_network(vocabulary_size, hidden_units, seed=seed)
    x = random_words(NUM_BATCHES * batch_size, num_words, vocabulary_size, seed)

    def shuffled_losses(words: Any) -> Any:
        return losses(network, words.gather(1, torch.rand(words.shape).argsort(1)))

    return Contestant(
        operations={
            "log_prob": {"eager": log_prob_call(functools.partial(losses, network), x[:batch_size])},
            "sample": {"eager": functools.partial(sample, network, batch_size, num_words)},
            "train_step": {"eager": train_step_call(network, shuffled_losses, x, batch_size)},
        },
        parameters=sum(parameter.numel() for parameter in network.parameters()),
    )


def make_network(vocabulary_size: int, hidden_units: int, *, seed: int = 0) -> Any:
    """A `torch.nn.ParameterDict` of `w [V, H]`, `c [H]`, `u [V, H]` and `b [V]`."""
    torch = torch_or_unavailable()
    torch.manual_seed(seed)
    kernels = {name: 0.02 * torch.randn(vocabulary_size, hidden_units) for name in ("w", "u")}
    return torch.nn.ParameterDict({**kernels, "c": torch.zeros(hidden_units), "b": torch.zeros(vocabulary_size)})


def losses(network: Any, x: Any) -> Any:
    """Negative log-probabilities `[B]` of words `[B, N]` in the given order."""
    torch = torch_or_unavailable()
    words = x.long()
    vectors = torch.nn.functional.embedding(words, network["w"])
    hidden = torch.tanh(network["c"] + vectors.cumsum(1) - vectors)
    logits = torch.addmm(network["b"], hidden.flatten(0, 1), network["u"].T)
    nats = torch.nn.functional.cross_entropy(logits, words.flatten(), reduction="none")
    return nats.unflatten(0, words.shape).sum(1)


def sample(network: Any, batch_size: int, num_words: int) -> np.ndarray:
    """Draws documents `[B, N]` word by word."""
    torch = torch_or_unavailable()
    with torch.inference_mode():
        sums, words = network["c"].expand(batch_size, -1), []
        for _ in range(num_words):
            logits = torch.addmm(network["b"], torch.tanh(sums), network["u"].T)
            words.append(torch.multinomial(logits.softmax(1), 1)[:, 0])
            sums = sums + network["w"][words[-1]]
        return torch.stack(words, 1).float().numpy()
