"""CF-NADE in PyTorch: sums of weight rows by `embedding_bag`, log-probabilities of all ratings of a row at once.

Like tfar's model it takes rows `[B, N]` of ratings in which 0 stands for none, and shares weights between ratings.
"""

from __future__ import annotations

import functools
from typing import Any

from benchmarks.cases import Contestant
from benchmarks.peers.masks import random_ratings
from benchmarks.peers.torch_side import log_prob_call, torch_or_unavailable, train_step_call

NUM_BATCHES, NUM_RATINGS = 10, 5


def build(num_items: int, hidden_units: int, batch_size: int, num_rated: int, *, seed: int = 0) -> Contestant:
    """The PyTorch peer: `log_prob` of the ratings of a row in the natural order, and `train_step`.

    Raises:
        Unavailable: without PyTorch.
    """
    network = make_network(num_items, hidden_units, seed=seed)
    x = random_ratings(NUM_BATCHES * batch_size, num_items, num_rated, NUM_RATINGS, seed)
    step = train_step_call(network, functools.partial(training_losses, network), x, batch_size)
    return Contestant(
        operations={
            "log_prob": {"eager": log_prob_call(functools.partial(losses, network), x[:batch_size])},
            "train_step": {"eager": step},
        },
        parameters=sum(parameter.numel() for parameter in network.parameters()),
    )


def make_network(num_items: int, hidden_units: int, *, seed: int = 0) -> Any:
    """A `torch.nn.ParameterDict` of `w [N, K, H]`, `c [H]`, `v [N, K, H]` and `b [N, K]`."""
    torch = torch_or_unavailable()
    torch.manual_seed(seed)
    shape = (num_items, NUM_RATINGS)
    kernels = {name: 0.02 * torch.randn(*shape, hidden_units) for name in ("w", "v")}
    return torch.nn.ParameterDict({**kernels, "c": torch.zeros(hidden_units), "b": torch.zeros(*shape)})


def scores(params: Any, ratings: Any) -> Any:
    """Log-probabilities of ratings 1 .. K, `[...]`, of parameters `[..., K]`; those of a rating of 0 are meaningless."""
    log_probs = params.cumsum(-1).log_softmax(-1)
    return log_probs.gather(-1, (ratings.long() - 1).clamp(min=0)[..., None])[..., 0]


def losses(network: Any, x: Any) -> Any:
    """Negative log-probabilities `[B]` of the ratings of each row."""
    torch = torch_or_unavailable()
    rated = x > 0
    counts = rated.sum(1)
    is_used = torch.arange(int(counts.max()))[None] < counts[:, None]
    items, ratings = torch.zeros(is_used.shape, dtype=torch.long), torch.zeros(is_used.shape)
    items[is_used], ratings[is_used] = rated.nonzero()[:, 1], x[rated]
    rows = network["w"].cumsum(1)[items, (ratings.long() - 1).clamp(min=0)] * is_used[..., None]
    hidden = torch.tanh(network["c"] + rows.cumsum(1) - rows)
    params = torch.einsum("blh,blkh->blk", hidden, network["v"][items]) + network["b"][items]
    return -(scores(params, ratings) * is_used).sum(1)


def training_losses(network: Any, x: Any) -> Any:
    """Losses `[B]` of a random order and a random step of it for each row."""
    torch = torch_or_unavailable()
    rated = x > 0
    keys = torch.rand(x.shape).masked_fill(~rated, 2.0)
    counts = rated.sum(1, keepdim=True)
    chosen = keys.sort(1)[0].gather(1, (torch.rand(len(x), 1) * counts).long().clamp(max=x.shape[1] - 1))
    known = rated & (keys < chosen)
    rest = rated & ~known
    params = outputs(network, x * known)
    weights = rest * counts / rest.sum(1, keepdim=True).clamp(min=1)
    return -(scores(params, x) * weights).sum(1)


def outputs(network: Any, x: Any) -> Any:
    """Parameters `[B, N, K]` of all items given the ratings of a row."""
    torch = torch_or_unavailable()
    rows, items = x.nonzero(as_tuple=True)
    numbers = items * NUM_RATINGS + x[rows, items].long() - 1
    counts = (x > 0).sum(1)
    table = network["w"].cumsum(1).flatten(0, 1)
    bag = torch.nn.functional.embedding_bag(numbers, table, counts.cumsum(0) - counts, mode="sum")
    hidden = torch.tanh(network["c"] + bag)
    return (hidden @ network["v"].flatten(0, 1).T).unflatten(1, network["b"].shape) + network["b"]
