"""The network of the hierarchical autoencoder: LSTMs over the words of sentences and over the sentences of documents."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfar import random
from tfar.layers import SentenceAttention, StackedLSTM, WordLSTM
from tfar.layers.ends import before_end
from tfar.networks.base import TrainingPass, Weights
from tfar.networks.conditions import State
from tfar.networks.inputs import row_seeds
from tfar.networks.words import WordNetwork


class Source(NamedTuple):
    """An encoded source document.

    Attributes:
        vectors: float32 `[B, S, H]`. The hidden state of the sentence encoder after each sentence.
        known: float32 `[B, S]`, 1 for sentences of the document.
        last: the state of the sentence encoder after the last sentence.
    """

    vectors: tf.Tensor
    known: tf.Tensor
    last: State


@keras.saving.register_keras_serializable("tfar")
class HierarchicalAutoencoderNetwork(WordNetwork):
    """A document given a source document, sentence by sentence and word by word.

        source:   e_i = word_encoder(words of sentence i),    h_i = sentence_encoder(e_i, h_{i-1})
        sentence t: features of its words from word_decoder, which starts from the state s_{t-1}
                  e_t = word_decoder after its last word,    s_t = sentence_decoder([e_t; m_t], s_{t-1}),    s_0 = h_S
                  m_t = attention(h_1 .. h_S; query s_{t-1}), with `attention`

    The sentences of a source are encoded in one batch. An event is `[S, T]`: word 0 ends a sentence, and a sentence without
    words ends the document. A stage of the steps is a sentence.

    Its state holds `h` and `c` of the word decoder, `sentence_h` and `sentence_c` of the sentence decoder, `sentence` and
    `open`, 1 until the sentence or the document ends, `[B]`, and with attention `vectors`, `keys` and `known` of the source.

    Args:
        event_shape: `(S, T)`.
        vocabulary_size: int. Words are 0 .. vocabulary_size - 1.
        units: int. Hidden units of each LSTM.
        embedding_dim: int. Size of the vectors of words.
        num_layers: int. LSTMs of each of the four stacks.
        attention: bool.
        dropout_rate: float. Dropout of the vectors of words and of the outputs of the word LSTMs in training.
        kernel_initializer, seed: as in `WordNetwork`.

    References:
        Li, Luong and Jurafsky. A hierarchical neural autoencoder for paragraphs and documents. ACL 2015, sections 3.3 and
        3.4. https://arxiv.org/abs/1506.01057
    """

    streams = False

    def __init__(
        self,
        event_shape: tuple[int, int],
        vocabulary_size: int,
        units: int,
        *,
        embedding_dim: int,
        num_layers: int = 1,
        attention: bool = True,
        dropout_rate: float = 0.0,
        kernel_initializer: Any = "glorot_uniform",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        how = {"ends": True, "kernel_initializer": kernel_initializer, "seed": seed}
        super().__init__(event_shape, vocabulary_size, units, conditional_shape=tuple(event_shape), **how, **kwargs)
        self.num_sentences, self.num_words = (int(size) for size in event_shape)
        self.stages, self.num_condition_values = (self.num_words,), int(vocabulary_size)
        self.units, self.embedding_dim, self.num_layers = int(units), int(embedding_dim), int(num_layers)
        self.dropout_rate = float(dropout_rate)
        self.word_encoder, self.word_decoder = self._words("word_encoder", 1), self._words("word_decoder", 0)
        self.sentence_encoder, self.sentence_decoder = (
            StackedLSTM(units, num_layers, seed=seed + own, dtype=self.dtype_policy, name=name)
            for own, name in enumerate(("sentence_encoder", "sentence_decoder"), start=2)
        )
        self.attention = None
        if attention:
            self.attention = SentenceAttention(units, seed=seed, dtype=self.dtype_policy, name="attention")

    def _words(self, name: str, stream: int) -> WordLSTM:
        """Makes LSTMs over words with weights and random numbers of their own."""
        sizes = (self.vocabulary_size, self.units, self.embedding_dim, self.num_layers)
        how = {"dropout_rate": self.dropout_rate, "kernel_initializer": self.kernel_initializer, "stream": stream}
        return WordLSTM(*sizes, seed=self.seed + stream, dtype=self.dtype_policy, name=name, **how)

    @property
    def code_size(self) -> int:
        return self.word_encoder.state_size

    def build(self, input_shape: Any = None) -> None:
        """Creates all variables, whose shapes depend only on the configuration."""
        self.word_encoder.build()
        self.word_decoder.build()
        self.sentence_encoder.build((None, None, self.units))
        self.sentence_decoder.build((None, None, self.units * (1 if self.attention is None else 2)))
        if self.attention is not None:
            self.attention.build((None, None, self.units), (None, self.units), (None, None))
        self.built = True

    def before_end(self, words: tf.Tensor) -> tf.Tensor:
        """See the base class; words are those of all sentences, `[B, S T]`."""
        return before_end(tf.equal(words, 0), self.num_words)

    def _sentences(self, words: tf.Tensor) -> tf.Tensor:
        return tf.reshape(words, [-1, self.num_sentences, self.num_words])

    # Source ----------------------------------------------------------------------------------------------------------

    def _source(self, words: tf.Tensor, known: tf.Tensor, seeds: Any = None) -> Source:
        """Encodes documents `[B, S, T]`, of whose words `known` are read."""
        rows = [tf.reshape(part, [-1, self.num_words]) for part in (words, known)]
        if seeds is not None:
            seeds = tf.reshape(tf.stack([self._seeds_of(seeds, s) for s in range(self.num_sentences)], axis=1), [-1, 2])
        ends = self.word_encoder.encode(*rows, seeds=seeds)["h"][:, -self.units :]
        exists = tf.reduce_any(known, axis=2)
        sentences = tf.reshape(ends, [-1, self.num_sentences, self.units])
        vectors, last = self.sentence_encoder.read(sentences, known=exists)
        return Source(vectors, tf.cast(exists, tf.float32), last)

    def _seeds_of(self, seeds: tf.Tensor, sentence: int) -> tf.Tensor:
        return random.derived_seeds(seeds, sentence, random.Stream.DROPOUT)

    def _source_of(self, conditional_input: Any, seeds: Any = None) -> Source:
        words = self.words(conditional_input)
        known = self.before_padding(tf.reshape(words, [-1, self.num_sentences * self.num_words]))
        return self._source(words, self._sentences(known), seeds)

    def encode(self, words: tf.Tensor, known: tf.Tensor, conditional_input: Any = None) -> tf.Tensor:
        """See the base class. The state of the sentence encoder after the last sentence; words are `[B, S T]`."""
        return self.word_encoder.code_of(self._source(self._sentences(words), self._sentences(known)).last)

    # In parallel -----------------------------------------------------------------------------------------------------

    def call(
        self, x: Any, conditional_input: Any = None, member: Any = 0, order: Any = None, training: Any = None
    ) -> tf.Tensor:
        return self._pass(x, conditional_input)

    def _pass(self, x: Any, conditional_input: Any, seeds: Any = None) -> tf.Tensor:
        words = self.words(x)
        source, weights, features = self._source_of(conditional_input, seeds), self.step_weights(), []
        state = {**self._attended(source), **_prefixed(source.last)}
        reads = tf.equal(tf.cumsum(tf.cast(tf.equal(words, 0), tf.int32), axis=2), 0)
        for number in range(self.num_sentences):
            own = None if seeds is None else self._seeds_of(seeds, number)
            hidden, end = self._sentence(words[:, number], reads[:, number], state, own)
            features.append(hidden)
            state = self._next_sentence(state, end["h"][:, -self.units :], weights)
        flat = tf.reshape(words, [-1, self.num_sentences * self.num_words])
        return self._params(tf.concat(features, axis=1), self.before_end(flat))

    def _sentence(self, words: tf.Tensor, reads: tf.Tensor, state: State, seeds: Any) -> tuple[tf.Tensor, State]:
        """Returns the features of the words `[B, T]` of a sentence, and the state after those that are read."""
        longer = tf.concat([words, tf.zeros_like(words[:, :1])], axis=1)
        known = tf.concat([tf.ones_like(reads[:, :1]), reads], axis=1)
        hidden, end = self.word_decoder.read(longer, _of_sentence(state), known=known, seeds=seeds)
        return hidden[:, :-1], end

    def _next_sentence(self, state: State, end: tf.Tensor, weights: Weights) -> State:
        """Returns the state of the sentence decoder after a sentence whose words end with the hidden state `end`."""
        before = _of_sentence(state)
        parts = [end]
        if self.attention is not None:
            given = {name: state[name] for name in ("vectors", "keys", "known")}
            query = before["h"][:, -self.units :]
            parts.append(self.attention.attend(**given, query=query, weights=_part(weights, "attention")))
        _, after = self.sentence_decoder.step(before, tf.concat(parts, axis=-1), _part(weights, "sentence"))
        return {**state, **_prefixed(after)}

    def _attended(self, source: Source) -> State:
        """Returns what the attention reads of a source."""
        if self.attention is None:
            return {}
        return {"vectors": source.vectors, "keys": self.attention.keys(source.vectors), "known": source.known}

    def training_pass(
        self, x: Any, conditional_input: Any, seed: tf.Tensor, observed: tf.Tensor | None = None
    ) -> TrainingPass:
        """See the base class. Units are dropped."""
        seeds = row_seeds(seed, tf.shape(x)[0]) if self.dropout_rate > 0.0 else None
        return TrainingPass(self._pass(x, conditional_input, seeds))

    # In steps --------------------------------------------------------------------------------------------------------

    def step_weights(self) -> Weights:
        parts: dict[str, Weights] = {
            "words": self.word_decoder.step_weights(),
            "sentence": self.sentence_decoder.step_weights(),
            "attention": {} if self.attention is None else self.attention.step_weights(),
        }
        return {f"{part}/{name}": weight for part, own in parts.items() for name, weight in own.items()}

    def start(
        self, batch_size: int | tf.Tensor, conditional_input: Any = None, *, order: Any = None, member: Any = None
    ) -> State:
        source = self._source_of(conditional_input)
        is_open = {"sentence": tf.ones([batch_size]), **self._start_open(batch_size)}
        return {**source.last, **_prefixed(source.last), **self._attended(source), **is_open}

    def start_stage(
        self, level: int, state: State, number: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> State:
        """See the base class. Reads the last word of the sentence before, and takes a step of the sentence decoder."""
        weights = self.step_weights() if weights is None else weights
        is_first = tf.equal(number, 0)
        read = self._read(state, self.words(x_previous[:, 0]), tf.constant(self.num_words - 1), weights)
        after = self._next_sentence(read, read["h"][:, -self.units :], weights)
        after |= {**_of_sentence(after), "sentence": tf.ones_like(state["sentence"])}
        return {name: tf.where(is_first, state[name], value) for name, value in after.items()}

    def step(
        self, state: State, index: tf.Tensor, x_previous: tf.Tensor, weights: Weights | None = None
    ) -> tuple[tf.Tensor, State]:
        weights = self.step_weights() if weights is None else weights
        state = self._read(state, self.words(x_previous[:, 0]), index % self.num_words - 1, weights)
        features = state["h"][:, -self.units :]
        return self._params(features, state["sentence"] * state["open"])[:, None], state

    def _read(self, state: State, word: tf.Tensor, place: tf.Tensor, weights: Weights) -> State:
        """Reads the word at a place of its sentence; at place -1 a sentence begins. After the end, nothing is read."""
        ends = tf.logical_and(tf.equal(word, 0), place >= 0)
        zero = tf.zeros_like(state["open"])
        sentence = tf.where(ends, zero, state["sentence"])
        document = tf.where(tf.logical_and(ends, tf.equal(place, 0)), zero, state["open"])
        is_given = tf.reshape(place >= 0, [1])
        before = {name: state[name] for name in ("h", "c")}
        _, after = self.word_decoder.step(before, word, is_given, _part(weights, "words"))
        reads = sentence[:, None] > 0.0
        after = {name: tf.where(reads, value, before[name]) for name, value in after.items()}
        return {**state, **after, "sentence": sentence, "open": document}


def _of_sentence(state: State) -> State:
    """Returns the state of the sentence decoder by the names of an LSTM."""
    return {name: state[f"sentence_{name}"] for name in ("h", "c")}


def _prefixed(state: State) -> State:
    return {f"sentence_{name}": state[name] for name in ("h", "c")}


def _part(weights: Weights, part: str) -> Weights:
    return {name.split("/")[1]: weight for name, weight in weights.items() if name.startswith(f"{part}/")}
