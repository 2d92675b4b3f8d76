"""Cases of the models of texts and documents, see `tests.cases`."""

from typing import Any

import tfar
from tests.cases import Case, randomize
from tests.reference import oracles


def documents(model: Any, name: str, num_words: int = 4, **kwargs: Any) -> Case:
    """Over documents of `num_words` words; with `max_length=None` the model is copied with this length."""
    kwargs = {"vocabulary_size": 3, "hidden_units": 4, "max_length": num_words, **kwargs}
    oracle = oracles.DOC_NADE if model is tfar.DocNADE else oracles.DOC_NADE_LANGUAGE_MODEL
    main, ends = kwargs.pop("main", False), kwargs.get("length") == "eos"

    def make() -> Any:
        dist = randomize(model(**kwargs))
        return dist.with_length(num_words) if kwargs["max_length"] is None else dist

    kind, words = f"{model.__name__}-{name}", kwargs["vocabulary_size"]
    return Case(kind, make, (num_words,), words, None, oracle, main, ends=ends)


def doc_nade(name: str, num_words: int = 4, **kwargs: Any) -> Case:
    return documents(tfar.DocNADE, name, num_words, **kwargs)


def doc_nade_lm(name: str, num_words: int = 4, **kwargs: Any) -> Case:
    return documents(tfar.DocNADELanguageModel, name, num_words, **{"context_size": 3, "embedding_size": 3, **kwargs})


def recurrent_lm(name: str, num_words: int = 4, **kwargs: Any) -> Case:
    """Over texts of `num_words` words; with `max_length=None` the model is copied with this length."""
    kwargs = {"vocabulary_size": 3, "max_length": num_words, "units": 3, "embedding_dim": 2, **kwargs}
    main, condition = kwargs.pop("main", False), kwargs.get("conditional_shape")

    def make() -> Any:
        dist = randomize(tfar.RecurrentLanguageModel(**kwargs), scale=1.0)
        return dist.with_length(num_words) if kwargs["max_length"] is None else dist

    how = {
        "ends": kwargs.get("length") != "given",
        "has_random_masks": "dropout_rate" in kwargs or 0.0 < kwargs.get("word_dropout_rate", 0.0) < 1.0,
    }
    kind, words = f"RecurrentLanguageModel-{name}", kwargs["vocabulary_size"]
    return Case(kind, make, (num_words,), words, condition, oracles.RECURRENT_LANGUAGE_MODEL, main, **how)


def sequence_autoencoder(name: str, num_words: int = 3, **kwargs: Any) -> Case:
    kwargs = {"vocabulary_size": 3, "max_length": num_words, "units": 3, "embedding_dim": 2, **kwargs}
    main = kwargs.pop("main", False)

    def make() -> Any:
        dist = randomize(tfar.SequenceAutoencoder(**kwargs), scale=1.0)
        return dist.with_length(num_words) if kwargs["max_length"] is None else dist

    how = {"ends": True, "condition_values": kwargs["vocabulary_size"], "has_random_masks": "dropout_rate" in kwargs}
    kind, words = f"SequenceAutoencoder-{name}", kwargs["vocabulary_size"]
    return Case(kind, make, (num_words,), words, (num_words,), oracles.SEQUENCE_AUTOENCODER, main, **how)


def hierarchical_autoencoder(name: str, event_shape: Any = (2, 2), **kwargs: Any) -> Case:
    kwargs = {"vocabulary_size": 3, "units": 3, "embedding_dim": 2, **kwargs}
    main = kwargs.pop("main", False)

    def make() -> Any:
        sizes = dict(zip(("max_sentences", "max_words"), event_shape, strict=True))
        return randomize(tfar.HierarchicalAutoencoder(**sizes, **kwargs), scale=1.0)

    how = {"ends": True, "condition_values": kwargs["vocabulary_size"], "has_random_masks": "dropout_rate" in kwargs}
    kind, words = f"HierarchicalAutoencoder-{name}", kwargs["vocabulary_size"]
    return Case(kind, make, event_shape, words, event_shape, oracles.HIERARCHICAL_AUTOENCODER, main, **how)
