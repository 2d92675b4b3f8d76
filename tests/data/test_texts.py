"""Texts of files: vocabularies, readers, splits, and batches of documents of similar length."""

import gzip

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfar
from tfar.data import DocumentBatches, Vocabulary, from_texts, open_texts
from tfar.data.hashing import split_of_rows
from tfar.data.texts import read_texts

TEXTS = ["The cat sat.", "the DOG, ran", "a cat and a dog"] * 20


# Vocabularies --------------------------------------------------------------------------------------------------------


def test_a_vocabulary_has_the_most_frequent_words():
    vocabulary = Vocabulary.from_texts(TEXTS, max_words=3)
    assert set(vocabulary.words) <= {"the", "cat", "dog", "a"} and vocabulary.size == 5
    assert len(vocabulary.words) == 3


def test_words_are_numbered_from_two_and_unknown_ones_are_one():
    vocabulary = Vocabulary(["the", "cat", "sat"])
    documents = vocabulary.encode(["The cat, THE dog!", "", "sat"])
    assert [document.tolist() for document in documents] == [[2, 3, 2, 1], [], [4]]
    assert vocabulary.decode([[2, 3, 0, 4], [0, 0, 0, 0], [1, 4, 4, 2]]) == ["the cat", "", "[UNK] sat sat the"]


@pytest.mark.parametrize("standardize", tfar.data.vocabulary.STANDARDIZE)
def test_letters_and_punctuation_of_all_scripts_are_standardized(standardize):
    text = "ÄRGER «Ärger» Страх, СТРАХ… don’t don't snake_case"  # noqa: RUF001
    words = text.lower().split() if standardize and "lower" in standardize else text.split()
    if standardize and "strip" in standardize:
        words = ["".join(c for c in word if c.isalnum()) for word in words]
    vocabulary = Vocabulary.from_texts([text], standardize=standardize)
    assert vocabulary.decode([vocabulary.encode([text])[0]]) == [" ".join(words)]
    assert set(vocabulary.words) == set(words)


def test_one_string_is_no_list_of_texts():
    """Its letters would be texts."""
    for make in (Vocabulary.from_texts, Vocabulary(["the", "cat"]).encode):
        with pytest.raises(ValueError, match="a list of texts; received the string 'the cat'"):
            make("the cat")


def test_the_words_of_one_text_have_an_axis_of_texts():
    with pytest.raises(ValueError, match=r"\[N, words\]; received an array of shape \[3\]"):
        Vocabulary(["the", "cat"]).decode([2, 3, 0])


def test_documents_of_sentences_are_cut_and_lose_empty_sentences():
    vocabulary = Vocabulary(["the", "cat", "sat"])
    documents = [["The cat sat.", "!", "Cat"], ["sat", "", "the dog sat", "cat"], ["cat the cat the"]]
    found = vocabulary.encode_sentences(documents, max_sentences=2, max_words=3)
    assert found.tolist() == [[[2, 3, 4], [3, 0, 0]], [[4, 0, 0], [2, 1, 4]], [[3, 2, 3], [0, 0, 0]]]
    assert vocabulary.decode(found[1]) == ["sat", "the [UNK] sat"]
    sizes = {"max_sentences": 2, "max_words": 3}
    with pytest.raises(ValueError, match="a list of sentences for each document; received 'The cat'"):
        vocabulary.encode_sentences(["The cat"], **sizes)
    with pytest.raises(ValueError, match="documents with words; received none in document 1"):
        vocabulary.encode_sentences([["cat"], ["", "!"]], **sizes)


def test_a_vocabulary_is_restored_from_json():
    vocabulary = Vocabulary(["The", "cat."], standardize=None)
    again = Vocabulary.from_json(vocabulary.as_json())
    assert again.words == ("The", "cat.") and again.encode(["The the cat. cat"])[0].tolist() == [2, 1, 3, 1]


@pytest.mark.parametrize("words", [[], ["a", "a"], ["a", ""], ["[UNK]"]])
def test_words_that_are_no_vocabulary_are_refused(words):
    with pytest.raises(ValueError, match="at least one word, each once and none empty"):
        Vocabulary(words)


# Files ---------------------------------------------------------------------------------------------------------------


def test_every_kind_of_file_has_its_texts(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    texts = ["one two", 'quoted "words", with a comma', "last"]
    (tmp_path / "a.txt").write_text("\n".join(texts) + "\n")
    (tmp_path / "a.csv").write_text('n,text\n1,one two\n2,"quoted ""words"", with a comma"\n3,last\n')
    (tmp_path / "a.tsv").write_text("text\tn\n" + "".join(f"{text}\t1\n" for text in texts))
    (tmp_path / "b.tsv").write_text("".join(f"1\t{text}\n" for text in texts))
    parquet.write_table(pyarrow.table({"n": [1, 2, 3], "text": texts}), tmp_path / "a.parquet")
    with gzip.open(tmp_path / "a.txt.gz", "wt") as file:
        file.write("\n".join(texts))
    for name in ("a.txt", "a.csv", "a.tsv", "a.parquet", "a.txt.gz"):
        assert list(read_texts(tmp_path / name)) == texts, name
    assert list(read_texts(tmp_path / "b.tsv", column=1)) == texts


def test_marks_of_utf8_and_blank_lines_are_no_texts(tmp_path):
    texts = ["Zoë sat", "last"]
    contents = {
        "a.txt": "\n".join(texts),
        "a.csv": "text,n\nZoë sat,1\n\nlast,2\n\n",
        "b.csv": "\n\nn,text\n1,Zoë sat\n2,last\n",
        "a.tsv": "text\tn\nZoë sat\t1\nlast\t2\n\n",
    }
    for encoding in ("utf-8", "utf-8-sig"):  # the second begins with the mark of UTF-8 that Excel writes
        for name, content in contents.items():
            (tmp_path / name).write_text(content, encoding=encoding)
            assert list(read_texts(tmp_path / name)) == texts, (name, encoding)
    (tmp_path / "one.csv").write_text("text\none\n\ntwo\n")  # a blank line is an empty text
    assert list(read_texts(tmp_path / "one.csv")) == ["one", "", "two"]


def test_files_of_other_content_are_refused_by_name(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (tmp_path / "a.csv").write_text("text,n\nZoë,1\n", encoding="latin-1")
    with pytest.raises(ValueError, match=r"a\.csv: expected texts in UTF-8, .*can't decode"):
        list(read_texts(tmp_path / "a.csv"))
    (tmp_path / "b.csv").write_text('n,text\n1,"one\n2,two\n')
    with pytest.raises(ValueError, match=r"b\.csv: expected texts in UTF-8, in which every quote ends; unexpected end"):
        list(read_texts(tmp_path / "b.csv"))
    parquet.write_table(pyarrow.table({"text": ["one", None], "n": [None, 2]}), tmp_path / "c.parquet")
    assert list(read_texts(tmp_path / "c.parquet")) == ["one", ""]
    with pytest.raises(ValueError, match=r"c\.parquet: expected texts in the column 'n'; received 2"):
        list(read_texts(tmp_path / "c.parquet", column="n"))


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("a,b\n1,2\n", {}, "expected a column 'text' of texts; received the columns a, b"),
        ("a,b\n1,2\n", {"column": 2}, "a column from 0 to 1; received 2"),
        ("a,text\n1,2\n3\n", {}, "expected 2 cells in line 3; received 1"),
        ("text\nword\n", {}, "the split valid of 1 texts is empty"),
    ],
)
def test_files_without_texts_are_refused(tmp_path, content, options, message):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        from_texts(tmp_path / "a.csv", **options)


def test_other_and_missing_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"ends with .txt, .tsv, .csv, .parquet"):
        from_texts(tmp_path / "a.docx")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        from_texts(tmp_path / "a.txt")


def test_documents_are_split_as_rows_are(tmp_path):
    (tmp_path / "a.txt").write_text("\n".join(TEXTS))
    splits = from_texts(tmp_path / "a.txt", seed=3)
    parts = split_of_rows(3, 0, len(TEXTS), 0.1, 0.1)
    assert list(splits.num_rows.values()) == np.bincount(parts, minlength=3).tolist()
    expected = splits.vocabulary.encode([TEXTS[i] for i in np.flatnonzero(parts == 2)])
    assert [d.tolist() for d in splits.documents["test"]] == [d.tolist() for d in expected]
    again = from_texts(tmp_path / "a.txt", vocabulary=Vocabulary(["cat"]))
    train = [TEXTS[i] for i in np.flatnonzero(split_of_rows(0, 0, len(TEXTS), 0.1, 0.1) == 0)]
    assert again.counts[2] == sum("cat" in text for text in train)
    assert splits.counts.sum() == splits.batches("train").num_words


# Batches -------------------------------------------------------------------------------------------------------------


def batches(count=23, size=4, **kwargs):
    lengths = np.random.default_rng(0).integers(1, 70, count)
    return DocumentBatches([np.full(length, number + 1) for number, length in enumerate(lengths)], size, **kwargs)


def test_an_epoch_has_every_document_once_in_batches_of_similar_length():
    found = batches(shuffle=True, seed=1)
    rows, spread = [], []
    for index in range(len(found)):
        batch = found[index]
        lengths = batch["observed"].sum(axis=1)
        rows += (batch["value"][:, 0] - 1).astype(int).tolist()
        spread.append(np.ptp(lengths))
        padding, most = batch["value"].shape[1] - lengths.max(), 32 if index == 0 else 16
        assert batch["value"].shape[1] % 16 == 0 and padding < most
        assert (batch["value"][~batch["observed"]] == 0).all() and (batch["value"][batch["observed"]] > 0).all()
    assert sorted(rows) == list(range(23))
    assert np.mean(spread[:-1]) < np.ptp(found.lengths) / 2


def test_the_order_is_a_function_of_seed_and_epoch():
    one, other = batches(shuffle=True, seed=1), batches(shuffle=True, seed=1)
    np.testing.assert_array_equal(one.order(3), other.order(3))
    assert (one.order(3) != one.order(4)).any() and (batches(shuffle=True, seed=2).order(3) != one.order(3)).any()
    assert one[0]["value"].shape[1] != one[1]["value"].shape[1], "Keras infers from both which axes vary"


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_of_other_sizes_may_follow_two_of_one_size(shuffle):
    """Keras infers from the first two batches which axes vary."""
    lengths = [3] * 7 + [20]
    documents = [np.full(length, 1 + number % 3) for number, length in enumerate(lengths)]
    data = DocumentBatches(documents, 3, shuffle=shuffle, seed=3)  # the long one comes last
    assert [data[index]["value"].shape[1] for index in range(3)] == [32, 16, 32]
    dist = tfar.DocNADE(4, 3, jit_compile=False)
    model = tfar.training.DensityModel(dist)
    model.compile("sgd", jit_compile=False)
    found = model.evaluate(data, verbose=0, return_dict=True)["nll"]
    expected = -np.mean([float(dist.log_prob(document)) for document in documents])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    model.fit(data, epochs=4, validation_data=data, verbose=0)
    if not shuffle:
        single = [float(dist.log_prob(document)) for document in documents]
        np.testing.assert_allclose(model.predict(data, verbose=0), single, rtol=1e-5)


def test_documents_that_end_are_padded_with_the_end():
    found = DocumentBatches([[3] * 16, [2]], 2, ends=True)[0]
    assert sorted(found) == ["value"] and found["value"].shape == (2, 32)
    cut = DocumentBatches([[3] * 16, [2]], 2, ends=True, max_length=5)[0]["value"]
    np.testing.assert_array_equal(cut, [[3] * 5, [2, 0, 0, 0, 0]])


@pytest.mark.slow(ci=True)
def test_a_model_learns_from_batches_of_all_lengths():
    """Documents of two topics have the perplexity 20 by the frequencies of words, and 10 by those of their topic."""
    rng = np.random.default_rng(0)
    topics = rng.integers(2, size=200)
    documents = [rng.integers(10, size=rng.integers(5, 60)) + 10 * topic for topic in topics]
    data = DocumentBatches(documents, 20, shuffle=True)
    dist = tfar.DocNADE(20, 8, jit_compile=False)
    model = tfar.training.DensityModel(dist)
    model.compile(keras.optimizers.Adam(0.02), jit_compile=False)
    model.fit(data, epochs=6, verbose=0)
    batch = data[0]
    assert float(tf.reduce_mean(dist.perplexity(batch["value"], observed=batch["observed"]))) < 14.0
    vectors = np.asarray(dist.encode(batch["value"], observed=batch["observed"]))
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    nearest = np.argmax(vectors @ vectors.T - 2.0 * np.eye(len(vectors)), axis=1)
    own = topics[data.rows(0)]
    assert (own[nearest] == own).mean() > 0.9


# Files of any size ---------------------------------------------------------------------------------------------------


def test_opened_texts_begin_at_any_batch_and_leave_nothing_out(tmp_path):
    lines = ["the cat", "", "cat " * 20, "the dog sat", "sat"]
    for number, part in enumerate((lines[:2], lines[2:])):
        (tmp_path / f"{number}.txt").write_text("".join(f"{line}\n" for line in part))
    vocabulary = Vocabulary(["the", "cat", "sat"])
    rows = open_texts(tmp_path / "*.txt", vocabulary, batch_size=2)
    padded = [*rows.batches()]
    assert [batch.shape for batch in padded] == [(2, 16), (2, 32), (1, 16)]
    found = [row[~np.isnan(row)].tolist() for batch in padded for row in batch]
    assert found == [[2, 3], [], [3] * 20, [2, 1, 4], [4]]
    np.testing.assert_array_equal(np.concatenate([*rows.batches(1)][1:]), padded[2])
    assert [*rows.batches(3)] == []
    ended = [*open_texts(tmp_path / "*.txt", vocabulary, batch_size=5, max_length=3, ends=True).batches()]
    assert ended[0].tolist() == [[2, 3, 0], [0, 0, 0], [3, 3, 3], [2, 1, 4], [4, 0, 0]]
    whole = [*open_texts(tmp_path / "0.txt", vocabulary, ends=True).batches()]
    assert whole[0].shape == (2, 16) and whole[0][0].tolist() == [2, 3] + [0] * 14
    (tmp_path / "full.txt").write_text("cat " * 16)
    shapes = [next(open_texts(tmp_path / "full.txt", vocabulary, ends=e).batches()).shape for e in (False, True)]
    assert shapes == [(1, 16), (1, 32)]


def test_other_texts_have_another_identity(tmp_path):
    (tmp_path / "a.txt").write_text("cat\n")
    first = open_texts(tmp_path / "a.txt", Vocabulary(["cat"]), max_length=3)
    for how in ({"max_length": 4}, {"max_length": 3, "ends": True}, {"max_length": 3, "batch_size": 7}):
        assert open_texts(tmp_path / "a.txt", Vocabulary(["cat"]), **how).identity != first.identity
    assert open_texts(tmp_path / "a.txt", Vocabulary(["cat"]), max_length=3).identity == first.identity
    assert open_texts(tmp_path / "a.txt", Vocabulary(["dog"]), max_length=3).identity != first.identity
    for how in ({"batch_size": 0}, {"max_length": 0}):
        with pytest.raises(ValueError, match="must be an integer of at least 1"):
            open_texts(tmp_path / "a.txt", Vocabulary(["cat"]), **how)
