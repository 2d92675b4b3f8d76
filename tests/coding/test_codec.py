"""Round trips, the size of archives, and damaged or foreign ones."""

import numpy as np
import pytest

import tfar
from tests.coding.models import labels, make
from tests.parameters import few_by_default
from tfar.coding import codec
from tfar.coding.archive import Archive

HEADER, ENTRY, CHECK = 88, 8, 4
DECODED = codec._decoded


def rows_of(dist, count, condition):
    bound = dist if condition is None else dist.given(condition)
    return bound.sample(count if condition is None else (), seed=1).numpy()


@pytest.fixture(scope="module")
def frozen():
    return tfar.coding.freeze(make("deep"))


@pytest.fixture(scope="module")
def stored(frozen):
    """Rows, and the archive of them in five chunks, the last of which is smaller."""
    x = rows_of(frozen, 45, None)
    return x, tfar.coding.compress(frozen, x, chunk_rows=10)


def chunk(frozen, archive, number, cache={}):  # noqa: B006
    """The rows of a chunk, with steps that are compiled once."""
    coder = cache.setdefault("coder", codec.RangeCoder(frozen, archive.chunk_rows))
    return DECODED(archive, number, coder, None)


@pytest.mark.parametrize(
    "name, chunk_rows", few_by_default([("classes", None), ("condition", 7), ("gates", 9), ("series", 7)], in_ci=1)
)
def test_rows_come_back(name, chunk_rows):
    dist = tfar.coding.freeze(make(name))
    condition = labels(dist, 40)
    x = rows_of(dist, 40, condition)
    blob = tfar.coding.compress(dist, x, conditional_input=condition, chunk_rows=chunk_rows)
    back = tfar.coding.decompress(dist, blob, conditional_input=condition)
    assert back.dtype == np.float32 and back.shape == x.shape
    np.testing.assert_array_equal(back, x)


@pytest.mark.parametrize("rows", [None, slice(12, 19), slice(44, 3, -7), slice(5, 5), slice(-3, None)])
def test_some_rows_come_back(frozen, stored, monkeypatch, rows):
    x, blob = stored
    needed, decoded = np.unique(np.arange(45)[rows or slice(None)] // 10), []
    monkeypatch.setattr(codec, "_decoded", lambda a, n, *_: decoded.append(n) or chunk(frozen, a, n))
    back = tfar.coding.decompress(frozen, blob, rows)
    np.testing.assert_array_equal(back, x[rows or slice(None)])
    assert decoded == needed.tolist()


def test_no_rows_come_back(frozen):
    blob = tfar.coding.compress(frozen, np.zeros([0, 2, 3]))
    assert len(blob) == HEADER + CHECK
    assert tfar.coding.decompress(frozen, blob).shape == (0, 2, 3)


def test_the_size_is_that_of_the_log_prob():
    dist = tfar.coding.freeze(make("classes"))
    x = rows_of(dist, 3000, None)
    bits = -float(dist.log_prob(x).numpy().astype(np.float64).sum() / np.log(2.0))
    blob = tfar.coding.compress(dist, x, chunk_rows=1000)
    size = 8 * (len(blob) - HEADER - CHECK)
    assert bits < size <= 1.002 * bits + 3 * 8 * ENTRY + 3 * 64
    words = 8 * 4 * sum(len(part.words) for part in Archive.from_bytes(blob).chunks)
    assert words <= 1.002 * bits + 3 * 64


def test_damage_to_the_header_or_index_is_found(stored):
    _, blob = stored
    for place in range(HEADER + 5 * ENTRY + CHECK):
        bad = bytearray(blob)
        bad[place] ^= 1 << place % 8
        with pytest.raises(ValueError, match=r"Expected (bytes that|an archive of version 1|an intact header)"):
            Archive.from_bytes(bytes(bad))
    for bad in (b"", blob[:50], blob[:-1], blob + b"\0", b"x" * 200):
        with pytest.raises(ValueError, match=r"Expected (bytes|an intact header|[0-9]+ bytes)"):
            Archive.from_bytes(bad)


def test_damage_to_a_chunk_is_found_and_leaves_the_others_readable(frozen, stored):
    x, blob = stored
    archive, start = Archive.from_bytes(blob), HEADER + 5 * ENTRY + CHECK
    first, second = (4 * len(part.words) for part in archive.chunks[:2])
    found = 0
    for place in range(start + first, start + first + second):  # in the second chunk
        bad = bytearray(blob)
        bad[place] ^= 0x10
        damaged = Archive.from_bytes(bytes(bad))
        try:
            same = chunk(frozen, damaged, 1)
        except ValueError as error:
            assert "chunk 1, rows 10 to 19, is damaged" in str(error)
            found += 1
        else:  # The last bits of the words of a chunk need not matter.
            np.testing.assert_array_equal(same, x[10:20])
            assert place >= start + first + second - 4
        for number in (0, 2, 4):
            np.testing.assert_array_equal(chunk(frozen, damaged, number), x[10 * number : 10 * number + 10])
    assert found >= second - 4


def test_another_model_is_refused(frozen, stored):
    _, blob = stored
    other = tfar.coding.freeze(make("deep"))
    other.network.output_layer.bias.assign_add(np.full(6, 2.0**-16, np.float32))
    with pytest.raises(ValueError, match="received one with other weights"):
        tfar.coding.decompress(other, blob)
    with pytest.raises(ValueError, match=r"Expected a model frozen with bits=8.* received a model that is not frozen"):
        tfar.coding.decompress(make("deep"), blob)
    with pytest.raises(ValueError, match="received a model frozen with bits=7"):
        tfar.coding.decompress(tfar.coding.freeze(make("deep"), 7), blob)


def test_a_model_of_equal_weights_with_other_masks_is_refused(frozen, stored):
    _, blob = stored
    other = tfar.MADE([2, 3], [12, 9], order=[int(site) for site in frozen.network.orders[0]], degrees="random", seed=9)
    other = tfar.coding.freeze(other)
    for own, variable in zip(other.network.variables, frozen.network.variables, strict=True):
        own.assign(variable)
    with pytest.raises(ValueError, match=r"it computes others here. Its masks differ"):
        tfar.coding.decompress(other, blob)


def test_values_and_conditions_are_checked(frozen):
    with pytest.raises(ValueError, match="at row 12, site 4"):
        x = np.zeros([20, 2, 3])
        x[12, 1, 1] = 0.5
        tfar.coding.compress(frozen, x, chunk_rows=10)
    with pytest.raises(ValueError, match=r"shape \[N, 2, 3\]; received \[3, 6\]"):
        tfar.coding.compress(frozen, np.zeros([3, 6]))
    with pytest.raises(ValueError, match="Expected no `conditional_input`"):
        tfar.coding.compress(frozen, np.zeros([3, 2, 3]), conditional_input=np.zeros([3, 1]))
    with pytest.raises(ValueError, match="`rows` to be a slice"):
        tfar.coding.decompress(frozen, tfar.coding.compress(frozen, np.zeros([1, 2, 3])), rows=0)
    with pytest.raises(ValueError, match="`chunk_rows` to be an int of at least 1"):
        tfar.coding.compress(frozen, np.zeros([1, 2, 3]), chunk_rows=0)
    conditional, x = tfar.coding.freeze(make("condition")), np.zeros([3, 5])
    for wrong, message in [
        (None, "received None"),
        (np.zeros([2, 3]), r"shape \[3, 3\]; received \[2, 3\]"),
        (np.full([3, 3], 0.3), "zeros and ones"),
    ]:
        with pytest.raises(ValueError, match=message):
            tfar.coding.compress(conditional, x, conditional_input=wrong)


@pytest.mark.parametrize(
    "dist, message",
    [
        (lambda: tfar.MADE([3], [4], num_masks=2), "one member.*2 members"),
        (lambda: tfar.MADE([3], [4], head=tfar.heads.NormalMixture(2)), "finite number of values"),
        (lambda: tfar.WaveNet([None], head=tfar.heads.Categorical(4)), "fix it with `with_length`"),
        (lambda: tfar.NADE([3], 4).with_temperature(0.5), "temperature 1 .* received temperature=0.5"),
        (lambda: tfar.NADE([3], 4, head=tfar.heads.Categorical(4)).with_top_k(2), "received top_k=2"),
    ],
)
def test_models_that_do_not_serve_are_refused(dist, message):
    with pytest.raises(ValueError, match=message):
        tfar.coding.compress(dist(), np.zeros([2, 3]))


UNFROZEN = {
    "nade": lambda: tfar.NADE([6], 5, seed=0),
    "pixel_cnn": lambda: tfar.PixelCNN([3, 4], 4, num_blocks=1, head=tfar.heads.Categorical(3), seed=0),
}


@pytest.mark.parametrize("name", few_by_default(UNFROZEN, in_ci=1))
def test_unfrozen_models_code_on_the_same_machine_only(name):
    dist = UNFROZEN[name]()
    x = dist.sample(11, seed=1).numpy()
    blob = tfar.coding.compress(dist, x, chunk_rows=4)
    np.testing.assert_array_equal(tfar.coding.decompress(dist, blob), x)
    elsewhere = Archive.from_bytes(blob)._replace(probe=bytes(32)).to_bytes()
    with pytest.raises(ValueError, match="It is not frozen, so only the same machine"):
        tfar.coding.decompress(dist, elsewhere)
