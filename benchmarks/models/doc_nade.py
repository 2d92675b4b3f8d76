"""DocNADE (Larochelle and Lauly 2012): its speed, and perplexities of 20 Newsgroups with the settings of the paper.

2000 words, logarithms of their numbers, 50 hidden units. The paper trains by stochastic gradient descent, one document an update;
here Adam takes 100 documents.
"""

from __future__ import annotations

import functools

from benchmarks import documents, tfar_side
from benchmarks.cases import Contestant, LikelihoodCase, ModelCases, SpeedCase, Target
from benchmarks.documents import DocumentSettings
from benchmarks.peers import torch_doc_nade
from benchmarks.peers.masks import random_words
from benchmarks.ratios import faster_than, ratio_to_fastest, ratio_within

PAPER, SOURCE = 896.0, "the paper's, with a tree and stemmed words"
QUICK = {"vocabulary_size": 200, "max_epochs": 2, "num_orders": (1, 2)}

# Speed: words of the vocabulary, hidden units, batch, words of a document; float32, two threads.
SIZE, LARGE_SIZE, QUICK_SIZE = (2000, 50, 100, 50), (20_000, 50, 100, 50), (64, 8, 8, 10)
OURS, TREE, TORCH = "tfar", "tfar, tree", "PyTorch"
SHARE, MOST_FOR_A_SAMPLE = 1.10, 3.0


def build_ours(
    vocabulary_size: int, hidden_units: int, batch_size: int, num_words: int, *, tree: str | None = None
) -> Contestant:
    """Our contestant, with a softmax or a tree."""
    import tfar

    dist = tfar.DocNADE(vocabulary_size, hidden_units, max_length=num_words, tree=tree, seed=0)
    make_rows = lambda rows, size, seed: random_words(rows, size, vocabulary_size, seed)  # noqa: E731
    return tfar_side.contestant(dist, num_words, batch_size, make_rows=make_rows)


def speed_case(
    name: str, size: tuple[int, int, int, int], *, tree_gain: float | None = None, quick: bool = False
) -> SpeedCase:
    """A softmax, beside a tree and PyTorch's softmax."""
    vocabulary_size, hidden_units, batch_size, num_words = size
    settings = {"event_size": num_words, "hidden_units": [hidden_units], "batch_size": batch_size, "dtype": "float32"}
    contestants = {
        OURS: functools.partial(build_ours, *size),
        TREE: functools.partial(build_ours, *size, tree="balanced"),
        TORCH: functools.partial(torch_doc_nade.build, *size),
    }
    targets = []
    if not quick:
        for operation in ("log_prob", "train_step"):
            value = functools.partial(ratio_to_fastest, ours=OURS, peers=(TORCH,), operation=operation)
            targets.append(Target(f"{OURS}: {operation} / PyTorch", "<=", SHARE, value))
        within = functools.partial(ratio_within, ours=OURS, operation="sample", unit="log_prob")
        targets.append(Target(f"{OURS}: sample / log_prob", "<=", MOST_FOR_A_SAMPLE, within))
    if tree_gain is not None:
        gain = functools.partial(faster_than, ours=TREE, peer=OURS, operation="train_step")
        targets.append(Target("train_step of the softmax / of the tree", ">=", tree_gain, gain))
    return SpeedCase(
        f"doc-nade-{name}", {**settings, "vocabulary_size": vocabulary_size}, contestants, targets, quick=quick
    )


def newsgroups_case(name: str, title: str, target: float, tree: str | None = None) -> LikelihoodCase:
    """Bags of words of 20 Newsgroups."""
    return LikelihoodCase(
        name,
        title,
        data="newsgroups20",
        settings=DocumentSettings(tree=tree),
        build=documents.build,
        paper=PAPER,
        source=SOURCE,
        target=target,
        quick=QUICK,
        unit=documents.UNIT,
        run=documents.run,
    )


CASES = ModelCases(
    speed=[
        speed_case("2000-50", SIZE, tree_gain=3.5),
        speed_case("20000-50", LARGE_SIZE, tree_gain=10.0),
        speed_case("quick", QUICK_SIZE, quick=True),
    ],
    likelihood=[
        newsgroups_case("doc-nade-newsgroups", "DocNADE 50, one order", 850.0),
        newsgroups_case("doc-nade-newsgroups-tree", "DocNADE 50, balanced tree, one order", 880.0, "balanced"),
    ],
)
