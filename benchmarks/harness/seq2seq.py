"""An encoder-decoder with attention that learns pairs of token lists: what the training benchmarks share."""

import math
import time
from collections import Counter
from itertools import chain

import keras
import numpy as np

from rnnkit import layers
from rnnkit.decoding import beam_search
from rnnkit.text import Vocabulary

START, END = "<start>", "<end>"


class Seq2Seq:
    """A bidirectional LSTM that reads, an LSTM with attention that writes.

    Args:
        sources, targets: lists of token lists to learn from; a token that is in them only once is unknown.
        units: of the decoder, and of both directions of the encoder together; embeddings have half of it.
        dropout: share of the embeddings that is dropped in training.
    """

    def __init__(self, sources, targets, units=256, dropout=0.2, seed=0):
        keras.utils.set_random_seed(seed)
        self.source_words = Vocabulary(frequent(sources), unknown="<unknown>")
        self.target_words = Vocabulary(frequent(targets), unknown="<unknown>", specials=(START, END))
        self.longest_source, self.longest_target = max(map(len, sources)), max(map(len, targets)) + 1
        source, target = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
        mask = keras.ops.not_equal(source, 0)
        vectors = keras.layers.Embedding(len(self.source_words), units // 2)(source)
        encoder = layers.Bidirectional(layers.LSTM(units // 2, return_sequences=True, return_state=True))
        memory, *states = encoder(keras.layers.Dropout(dropout)(vectors), mask=mask)
        cell = layers.AttentionCell(layers.LSTMCell(units, dropout=dropout), layers.LuongAttention(units))
        embedding = keras.layers.Embedding(len(self.target_words), units // 2, mask_zero=True)
        self.decoder = layers.Decoder(embedding, cell, keras.layers.Dense(len(self.target_words)))
        first = cell.initial_state(memory, mask, layers.Bridge(units)(states))
        self.encoder = keras.Model(source, first)
        self.model = keras.Model([source, target], self.decoder(target, initial_state=first))

    def fit(self, pairs, validation, epochs, batch=64):
        """Trains on `(sources, targets)`; the learning rate falls to zero. Returns seconds and validation losses."""
        steps = epochs * math.ceil(len(pairs[0]) / batch)
        rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), loss)
        begin = time.perf_counter()
        history = self.model.fit(
            Batches(self._arrays(*pairs), batch),
            validation_data=Batches(self._arrays(*validation), 500),
            epochs=epochs,
            verbose=2,
        ).history
        return time.perf_counter() - begin, history["val_loss"]

    def write(self, sources, width=5, batch=250):
        """The target tokens for each list of source tokens, by beam search."""
        start, end, written = self.target_words[START], self.target_words[END], []
        for begin in range(0, len(sources), batch):
            read = self.source_words.encode([s[: self.longest_source] for s in sources[begin : begin + batch]])
            states = self.encoder(np.pad(read, ((0, 0), (0, self.longest_source - read.shape[1]))))
            found = beam_search(self.decoder, states, start, end, self.longest_target, width, length_penalty=1.0)
            for tokens in self.target_words.decode(found.tokens[:, 0]):
                written.append(tokens[: tokens.index(END)] if END in tokens else tokens)
        return written

    def _arrays(self, sources, targets):
        targets = [[START, *target[: self.longest_target - 1], END] for target in targets]
        read = self.source_words.encode([source[: self.longest_source] for source in sources], self.longest_source)
        said = self.target_words.encode(targets, self.longest_target + 1)
        return [read, said[:, :-1]], said[:, 1:]


class Batches(keras.utils.PyDataset):
    """Batches of rows of about the same length, without the padding that all of them have.

    The first two are the longest and the shortest, which shows Keras that lengths differ; later epochs are shuffled.
    """

    def __init__(self, arrays, batch):
        super().__init__()
        (self.read, self.written), self.said = arrays
        rows = np.lexsort([np.count_nonzero(side, axis=1) for side in (self.said, self.read)])
        batches = [rows[begin : begin + batch] for begin in range(0, len(rows), batch)]
        self.rows = [batches[-1], *batches[:-1]]
        self.rng = np.random.default_rng(0)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        read, written, said = (side[self.rows[index]] for side in (self.read, self.written, self.said))
        steps, writes = (np.count_nonzero(side, axis=1).max() for side in (read, said))
        return (read[:, :steps], written[:, :writes]), said[:, :writes]

    def on_epoch_end(self):
        self.rng.shuffle(self.rows)


def frequent(sequences):
    """The sequences without tokens that are in all of them together only once."""
    counts = Counter(chain.from_iterable(sequences))
    return [[token for token in sequence if counts[token] > 1] for sequence in sequences]
