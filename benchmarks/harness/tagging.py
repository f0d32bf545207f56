"""A bidirectional LSTM that learns the tags of sentences from the spelling of their words."""

import math
import re

import keras
import numpy as np
from keras import ops

from rnnkit import layers
from rnnkit.text import Vocabulary


class Tagger:
    """A bidirectional LSTM and linear scores, under a CRF or a softmax at each token.

    A token is read as its `features`. Each has a vector, for the LSTM, and linear scores of all tags for the token
    itself, the one after it and the one before it: what a CRF without a network has, which learns rare features fast.
    In training a feature that occurs c times counts as unknown in one of 1 + c cases, so that unknown ones have a
    meaning, and in one of ten cases more, so that no feature is all that is known about a word.

    Args:
        sentences: lists of tokens to learn from.
        tags: lists of as many tags, in BIO.
        crf: whether a CRF reads the scores; without, each token gets the tag with the best score.
        units: of each direction of the LSTM.
        width: of the vector of a feature.
        dropout: share of the LSTM's inputs and outputs that is dropped in training.
    """

    def __init__(self, sentences, tags, crf=True, units=64, width=32, dropout=0.5, seed=0):
        keras.utils.set_random_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.vocabulary = Vocabulary(map(sentence_features, sentences), unknown="<unknown>")
        self.tags = sorted({tag for row in tags for tag in row})
        self.sentences, self.labels = self._encode(sentences), np.full((len(tags), max(map(len, tags))), -1)
        for row, numbers in zip(tags, self.labels, strict=True):
            numbers[: len(row)] = [self.tags.index(tag) for tag in row]

        features = keras.Input((None, FEATURES), dtype="int32")
        mask = features[:, :, 0] > 0
        vectors = keras.layers.Embedding(len(self.vocabulary), width)(features)
        vectors = keras.layers.Dropout(dropout)(keras.layers.Reshape((-1, FEATURES * width))(vectors))
        lstm = layers.Bidirectional(layers.LSTM(units, return_sequences=True))
        outputs = keras.layers.Dropout(dropout)(lstm(vectors, mask=mask))
        linear = keras.layers.Embedding(len(self.vocabulary), 3 * len(self.tags), embeddings_initializer="zeros")
        linear = ops.where(mask[..., None], ops.sum(linear(features), axis=2), 0.0)
        here, for_next, for_previous = ops.split(linear, 3, axis=-1)
        from_previous = ops.pad(for_next[:, :-1], ((0, 0), (1, 0), (0, 0)))
        from_next = ops.pad(for_previous[:, 1:], ((0, 0), (0, 1), (0, 0)))
        scores = keras.layers.Dense(len(self.tags))(outputs) + here + from_previous + from_next
        if crf:
            scores = layers.CRF(len(self.tags), constraints=self.tags)(scores, mask=mask)
        self.crf, self.model = crf, keras.Model(features, scores)

    def fit(self, epochs=20, batch=32):
        """Trains; the learning rate falls to zero."""
        steps = epochs * math.ceil(len(self.sentences) / batch)
        optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps), clipnorm=1.0)
        softmax = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
        self.model.compile(optimizer, layers.CRFLoss() if self.crf else softmax, jit_compile=False)
        self.model.fit(Batches(self.sentences, self.labels, batch, self.rng), epochs=epochs, verbose=0)

    def tag(self, sentences):
        """A list of tags for each list of tokens."""
        found = self.model.predict(self._encode(sentences), batch_size=64, verbose=0)
        found = found if self.crf else found.argmax(axis=-1)
        return [[self.tags[tag] for tag in row[: len(s)]] for row, s in zip(found, sentences, strict=True)]

    def _encode(self, sentences):
        return self.vocabulary.encode(map(sentence_features, sentences)).reshape(len(sentences), -1, FEATURES)


class Batches(keras.utils.PyDataset):
    """Batches of sentences of about the same length, without the padding that all of them have."""

    def __init__(self, sentences, labels, batch, rng):
        super().__init__()
        self.sentences, self.labels, self.batch, self.rng = sentences, labels, batch, rng
        self.lengths = np.count_nonzero(sentences[:, :, 0], axis=1)
        counts = np.bincount(sentences.ravel())
        self.kept = 0.9 * counts / (1 + counts)
        self.on_epoch_end()

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        rows = self.rows[index]
        time = self.lengths[rows].max()
        features, labels = self.sentences[rows, :time], self.labels[rows, :time]
        unknown = (self.rng.random(features.shape) > self.kept[features]) & (features > 0)
        return np.where(unknown, UNKNOWN, features), labels

    def on_epoch_end(self):
        order = np.argsort(self.lengths + self.rng.uniform(0, 6, len(self.lengths)))
        self.rows = [order[begin : begin + self.batch] for begin in range(0, len(order), self.batch)]
        self.rng.shuffle(self.rows)
        # Keras takes a length for all batches' if it is that of the first two.
        times = [self.lengths[rows].max() for rows in self.rows]
        other = next((k for k, time in enumerate(times) if time != times[0]), -1)
        self.rows[1], self.rows[other] = self.rows[other], self.rows[1]


FEATURES, UNKNOWN = 10, 1  # how many features a token has; the number that a `Vocabulary` gives to what is unknown


def sentence_features(tokens):
    return [feature for token in tokens for feature in token_features(token)]


def token_features(token):
    """The token in small letters, its beginnings and endings, its shape ("Xxxx", "dddd") and the same without repeats.

    >>> token_features("May-99")[-2:]
    ['shape=Xxx-dd', 'outline=Xx-d']
    """
    shape = "".join("X" if c.isupper() else "x" if c.isalpha() else "d" if c.isdigit() else c for c in token)
    starts = [f"starts {token[:size]} {size}" for size in (1, 2, 3)]
    ends = [f"ends {token[-size:]} {size}" for size in (1, 2, 3, 4)]
    outline = re.sub(r"(.)\1+", r"\1", shape)
    return [f"word={token.lower()}", *starts, *ends, f"shape={shape[:10]}", f"outline={outline[:6]}"]
