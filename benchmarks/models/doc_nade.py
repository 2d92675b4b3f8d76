"""DocNADE (Larochelle and Lauly 2012): perplexities of 20 Newsgroups with the settings of the paper.

2000 words, logarithms of their numbers, 50 hidden units. The paper trains by stochastic gradient descent, one document an update;
here Adam takes 100 documents.
"""

from __future__ import annotations

from benchmarks import documents
from benchmarks.cases import LikelihoodCase, ModelCases
from benchmarks.documents import DocumentSettings

PAPER, SOURCE = 896.0, "the paper's, with a tree and stemmed words"
QUICK = {"vocabulary_size": 200, "max_epochs": 2, "num_orders": (1, 2)}


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
    likelihood=[
        newsgroups_case("doc-nade-newsgroups", "DocNADE 50, one order", 850.0),
        newsgroups_case("doc-nade-newsgroups-tree", "DocNADE 50, balanced tree, one order", 880.0, "balanced"),
    ]
)
