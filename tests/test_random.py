"""Threefry against published vectors and a transcription; disjoint streams; seeds in every form."""

import ast
import collections
import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfar import random

# key, counter, output: the kat vectors of Random123 for threefry2x32 with 20 rounds.
KNOWN_ANSWERS = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]


def threefry_in_python(key, counter):
    """Salmon et al. 2011, with Python's integers."""
    word = 0xFFFFFFFF
    schedule = [*key, key[0] ^ key[1] ^ 0x1BD11BDA]
    x = [(counter[0] + key[0]) & word, (counter[1] + key[1]) & word]
    for i in range(20):
        rotation = (13, 15, 26, 6, 17, 29, 16, 24)[i % 8]
        x[0] = (x[0] + x[1]) & word
        x[1] = (((x[1] << rotation) | (x[1] >> (32 - rotation))) & word) ^ x[0]
        if i % 4 == 3:
            s = i // 4 + 1
            x = [(x[0] + schedule[s % 3]) & word, (x[1] + schedule[(s + 1) % 3] + s) & word]
    return tuple(x)


def words(*values):
    return tf.constant(np.array(values, np.uint32))


@pytest.mark.parametrize("key, counter, answer", KNOWN_ANSWERS)
@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_known_answers(key, counter, answer, jit_compile):
    function = random.threefry if jit_compile is None else tf.function(random.threefry, jit_compile=jit_compile)
    out = function(words(*key), (words(counter[0])[0], words(counter[1])[0]))
    assert tuple(int(w) for w in out) == answer == threefry_in_python(key, counter)


def test_shapes_stay_static_and_rounds_are_traced_once():
    random._rounds_of_ranks.cache_clear()
    for num_rows, size in ((5, 3), (None, 4)):
        uniform = tf.function(lambda seeds, size=size: random.uniform(seeds, size, random.Stream.NOISE))
        graph = uniform.get_concrete_function(tf.TensorSpec([num_rows, 2], tf.int32))
        assert graph.output_shapes == (num_rows, size)
    assert random._rounds_of_ranks.cache_info().currsize == 1
    assert random._rounds_of_ranks(2, 2, 2, 2).experimental_get_tracing_count() == 1


def test_row_seeds_and_uniforms_against_a_transcription():
    seeds = random.row_seeds(-3, 4).numpy()
    key = tuple(int(w) for w in random.as_seed(-3).numpy().astype(np.uint32))
    assert [tuple(int(w) for w in row.astype(np.uint32)) for row in seeds] == [
        threefry_in_python(key, (i, 3 * 2**16)) for i in range(4)
    ]
    drawn = random.uniform(tf.constant(seeds), 5, random.Stream.LATENT, 7).numpy()
    for row, seed in zip(drawn, seeds, strict=True):
        pairs = [
            threefry_in_python(tuple(int(w) for w in seed.astype(np.uint32)), (i, 2 * 2**16 + 7)) for i in range(3)
        ]
        bits = [p[0] for p in pairs] + [p[1] for p in pairs]
        np.testing.assert_array_equal(row, [((b >> 9) + 0.5) / 2**23 for b in bits[:5]])


def test_uniforms_lie_in_the_open_interval_and_are_uniform():
    """KS and lag-1 correlation of 100,000 numbers; p > 1e-4 fails for one seed in 10,000."""
    drawn = random.uniform(random.row_seeds(11, 100), 1000, random.Stream.NOISE).numpy()
    assert drawn.dtype == np.float32
    assert drawn.min() > 0.0 and drawn.max() < 1.0
    assert (drawn.astype(np.float64) * 2**24 % 2 == 1).all()
    assert stats.kstest(drawn.ravel(), "uniform").pvalue > 1e-4
    assert stats.pearsonr(drawn[:, :-1].ravel(), drawn[:, 1:].ravel()).pvalue > 1e-4
    assert stats.pearsonr(drawn[:-1].ravel(), drawn[1:].ravel()).pvalue > 1e-4


def test_the_extreme_bits_stay_inside(monkeypatch):
    for bits in (0, 0xFFFFFFFF):
        fill = lambda key, counter, bits=bits: (tf.fill([1, 2], words(bits)[0]),) * 2  # noqa: E731
        monkeypatch.setattr(random, "threefry", fill)
        drawn = random.uniform(tf.zeros([1, 2], tf.int32), 4, random.Stream.NOISE).numpy()
        assert (drawn > 0.0).all() and (drawn < 1.0).all()


@pytest.mark.parametrize("seed", [0, 5, tf.constant([3, 4])])
def test_row_i_does_not_depend_on_the_number_of_rows(seed):
    many = random.row_seeds(seed, 17).numpy()
    assert len({tuple(row) for row in many}) == 17
    for n in (0, 1, 16):
        np.testing.assert_array_equal(random.row_seeds(seed, n), many[:n])
    np.testing.assert_array_equal(random.row_seeds(seed, tf.constant(3)), many[:3])


def test_row_seeds_in_a_graph_and_from_another_row_on():
    later = random.row_seeds(5, 9).numpy()[3:7]
    np.testing.assert_array_equal(random.row_seeds(5, 4, first=3), later)
    np.testing.assert_array_equal(tf.function(lambda: random.row_seeds(5, 4, first=3))(), later)


def test_the_size_may_be_a_tensor():
    seeds = random.row_seeds(0, 3)
    drawn = random.uniform(seeds, 8, random.Stream.NOISE)
    np.testing.assert_array_equal(random.uniform(seeds, tf.constant(8), random.Stream.NOISE), drawn)


PARTS = (0, 1, 2, 2**16 - 1)


@pytest.fixture
def counters(monkeypatch):
    """Returns a function that lists the (key, counter) pairs which a call hands to Threefry."""
    right = random.threefry

    def of(function, *args):
        pairs = []

        def recorded(key, counter):
            words = tf.broadcast_static_shape(key[..., 0].shape, counter[0].shape)
            parts = [
                tf.broadcast_to(part, words).numpy().ravel().tolist() for part in (key[..., 0], key[..., 1], *counter)
            ]
            pairs.extend(zip(*parts, strict=True))
            return right(key, counter)

        monkeypatch.setattr(random, "threefry", recorded)
        function(*args)
        return pairs

    return of


def test_no_two_streams_share_a_key_and_a_counter(counters):
    """Of one seed: every stream in several parts, row seeds from row 0 and from a later row, and dropout."""
    seed = random.as_seed(5)
    seen = {("row seeds",): counters(random._derive_row_seeds.python_function, seed, 100, 0)}
    seen["later row seeds",] = counters(random._derive_row_seeds.python_function, seed, 100, 100)
    graph_streams = [s for s in random.Stream if s < random.Stream.INITIAL_WEIGHTS and s != random.Stream.ROW_SEEDS]
    assert len(graph_streams) == 13
    for stream, part in itertools.product(graph_streams, PARTS):
        if stream != random.Stream.DROPOUT:
            seen[stream.name, part] = counters(random.uniform, seed[None], 100, stream, part)
        else:
            word = random._word(stream, part)
            seen[stream.name, part] = counters(random._kept.python_function, seed[None], 100, 1, word)
    assert all(len(set(pairs)) == len(pairs) > 0 for pairs in seen.values())
    uses = collections.Counter(pair for pairs in seen.values() for pair in pairs)
    assert [pair for pair, count in uses.items() if count > 1] == []


def test_dropout_uses_its_own_stream():
    """By its bits: the draw is the one that the transcription gives for counter word 8 * 2**16 + part."""
    seed = random.as_seed(5)
    low = [threefry_in_python((0, 5), (i, 8 * 2**16 + 3))[0] & 0xFFFF for i in range(4)]
    drawn = random.kept(seed[None], 16, 0.5, part=3).numpy()[0]
    np.testing.assert_array_equal(drawn[:4], [2.0 if word >= 2**15 else 0.0 for word in low])


def test_row_seeds_are_not_words_of_noise():
    seeds = set(random.row_seeds(9, 1000).numpy().astype(np.uint32).ravel().tolist())
    noise = random._words(random.as_seed(9)[None], 4000, random._word(random.Stream.NOISE)).numpy().ravel().tolist()
    assert len(seeds) == 2000 and not seeds & set(noise)


def test_numpy_generators_differ_by_stream_part_and_seed():
    """Seeds beyond 32 bits too, which NumPy splits into words."""
    streams = (random.Stream.INITIAL_WEIGHTS, random.Stream.FIXED_ORDERS, random.Stream.SHUFFLING)
    seeds = (0, 1, 100, 101, 102, 102 << 32, (102 << 32) + 100, (101 << 64) + 1)
    drawn = {
        random.numpy_generator(s, stream, part).integers(2**63)
        for s in seeds
        for stream in streams
        for part in (0, 1, 101)
    }
    assert len(drawn) == len(seeds) * len(streams) * 3


def test_every_use_in_the_package_names_a_stream():
    """`testing` and `cli` draw inputs and baselines of their own, which are not combined with draws of a model."""
    package = Path(random.__file__).parent
    uses = collections.Counter()
    for path in package.rglob("*.py"):
        if path.name == "random.py" or path.relative_to(package).parts[0] in ("testing", "cli"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                ("random.default_rng", "random.threefry")
            ):
                pytest.fail(f"{path}:{node.lineno} draws outside of the named streams")
            if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("Stream"):
                uses[node.attr] += 1
    assert set(uses) >= {s.name for s in random.Stream} - {"LATENT", "ROW_SEEDS", "DROPOUT"}


@pytest.mark.parametrize("part", [-1, 2**16])
def test_a_part_outside_of_its_stream_is_refused(part):
    for draw in (
        lambda: random.uniform(random.as_seed(1)[None], 2, random.Stream.NOISE, part),
        lambda: random.kept(random.as_seed(1)[None], 2, 0.5, part),
    ):
        with pytest.raises(ValueError, match=r"part of a stream in \[0, 65536\); received"):
            draw()
    with pytest.raises(ValueError, match="not a valid Stream"):
        random.uniform(random.as_seed(1)[None], 2, 99)


@pytest.mark.parametrize(
    "seed, expected",
    [
        (0, [0, 0]),
        (7, [0, 7]),
        (-1, [0, -1]),
        (-(2**31) - 1, [-1, 2**31 - 1]),
        (tf.constant(-1), [0, -1]),
        (np.int64(5 * 2**32 + 9), [5, 9]),
        (2**31, [0, -(2**31)]),
        (5 * 2**32 + 9, [5, 9]),
        (np.int64(7), [0, 7]),
        (np.array([1, 2]), [1, 2]),
        ([1, 2], [1, 2]),
        (tf.constant(7, tf.int64), [0, 7]),
        (tf.constant([-5, 6], tf.int32), [-5, 6]),
        (tf.Variable([8, 9]), [8, 9]),
        (True, [0, 1]),
    ],
    ids=repr,
)
def test_as_seed(seed, expected):
    result = random.as_seed(seed)
    assert result.dtype == tf.int32 and result.shape == [2]
    assert result.numpy().tolist() == expected


@pytest.mark.parametrize("seed", [0, -1, -(2**31) - 1, 2**31, 2**32, 5 * 2**32 + 9, -(2**63), 2**63 - 1])
def test_a_tensor_of_64_bits_means_the_same_as_the_int(seed):
    """Its upper half counts: seeds that differ there alone are different seeds."""
    expected = random.as_seed(seed).numpy()
    np.testing.assert_array_equal(random.as_seed(np.array(seed)), expected)
    in_a_graph = tf.function(random.as_seed, input_signature=[tf.TensorSpec([], tf.int64)], jit_compile=True)
    np.testing.assert_array_equal(in_a_graph(tf.constant(seed, tf.int64)), expected)


@pytest.mark.parametrize(
    "seed",
    [1.5, "a", [1, 2, 3], [[1, 2]], tf.constant([1.0, 2.0]), object(), {}, []],
    ids=lambda seed: type(seed).__name__,
)
def test_as_seed_refuses(seed):
    with pytest.raises(ValueError, match="Expected `seed`"):
        random.as_seed(seed)


@pytest.mark.parametrize("jit_compile", [None, False])
def test_none_differs_at_each_call(jit_compile):
    draw = random.as_seed if jit_compile is None else tf.function(random.as_seed, jit_compile=jit_compile)
    seeds = {tuple(draw(None).numpy().tolist()) for _ in range(8)}
    assert len(seeds) == 8


def test_none_follows_the_global_seed():
    tf.random.set_seed(1)
    first = random.as_seed(None).numpy()
    tf.random.set_seed(1)
    np.testing.assert_array_equal(random.as_seed(None), first)


def test_numbers_of_an_endless_sequence_depend_on_their_place_alone():
    seeds = random.row_seeds(3, 4)
    whole = random.uniform_at(seeds, tf.range(7), random.Stream.NOISE)
    own = np.array([[6, 0], [1, 1], [3, 5], [2, 4]])
    np.testing.assert_array_equal(
        random.uniform_at(seeds, own, random.Stream.NOISE), np.take_along_axis(np.asarray(whole), own, axis=1)
    )
    # The first word of the same block of Threefry, of which `uniform` takes both.
    half = random.uniform(seeds, 14, random.Stream.NOISE)[:, :7]
    np.testing.assert_array_equal(whole, half)
    assert not np.any(whole == random.uniform_at(seeds, tf.range(7), random.Stream.LATENT))
