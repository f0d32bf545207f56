"""What takes too long for lesson 07: translators from several starts, and one without attention that trains for long.

python benchmarks/lesson_07.py        about 10 minutes on two cores; writes data/results/07_attention_seq2seq.json
python benchmarks/lesson_07.py copy   only this part (or none, dot, ...); the others stay as they are in the file

Data, networks and training are those of the lesson. Each of the four scores is trained alone. The same networks also
learn to copy random symbols.
"""

import json
import sys

import keras
import numpy as np
import sacrebleu
import tensorflow as tf
from harness import OF_LESSONS, write_results
from keras import ops

from rnnkit import datasets, decoding, diagnostics, layers, metrics

PADDING, START, END = range(3)
BATCH, LONGEST = 64, 10
RUNS = {  # epochs, starts
    "bahdanau": (3, (1, 2, 3, 4, 5)),
    "none": (12, (1, 2, 3)),
    "dot": (3, (1, 2, 3)),
    "general": (3, (1, 2, 3)),
    "concat": (3, (1, 2, 3)),
}


COPY_EPOCHS, COPY_STARTS = 6, (1, 2, 3)


def main():
    measured, only, data = {}, sys.argv[1:], Sentences()
    if only:
        measured = json.loads((OF_LESSONS / "07_attention_seq2seq.json").read_text(encoding="utf-8"))
    measured.pop("machine", None)
    measured["lengths"] = [f"{low}-{low + 1}" for low in data.edges]
    for name in only or [*RUNS, "copy"]:
        measured[name] = copying() if name == "copy" else translating(name, data)
    write_results("07_attention_seq2seq", ["keras", "tensorflow", "numpy", "sacrebleu"], folder=OF_LESSONS, **measured)


def translating(score, data):
    epochs, starts = RUNS[score]
    network, runs = Translator(score, data), []
    for start in starts:
        network.train(start, epochs)
        runs.append(network.judge())
        print(score, start, {name: runs[-1][name] for name in ("right", "bleu", "aer")}, flush=True)
    return {"epochs": epochs, "starts": len(starts), "runs": runs}


def copying():
    """The share of the sequences that are copied without an error, by length."""
    data, results = Symbols(), {"epochs": COPY_EPOCHS, "starts": len(COPY_STARTS), "lengths": Symbols.TESTED}
    for score in ("none", "bahdanau"):
        network, results[score] = Translator(score, data), []
        for start in COPY_STARTS:
            network.train(start, COPY_EPOCHS)
            results[score].append([network.copied(length) for length in Symbols.TESTED])
            print("copy", score, start, results[score][-1], flush=True)
    return results


class Data:
    """Token numbers to learn from."""

    def batches(self):
        """Batches of targets of similar length, in random order."""
        order = np.argsort(np.count_nonzero(self.y_train, axis=1), kind="stable")
        pairs = [table.astype("int32") for table in (self.x_train, shifted(self.y_train), self.y_train)]

        def batch(rows):
            source, read, written = [tf.gather(table, rows) for table in pairs]
            width, steps = [tf.reduce_max(tf.math.count_nonzero(table, axis=1)) for table in (source, written)]
            return (source[:, :width], read[:, :steps]), written[:, :steps]

        rows = order.reshape(-1, BATCH)
        return tf.data.Dataset.from_tensor_slices(rows).shuffle(len(rows), seed=1).map(batch)


class Symbols(Data):
    """Random sequences of 2 to 20 of ten symbols, to be copied."""

    TESTED = [5, 10, 15, 20, 25, 30]

    def __init__(self):
        self.english = self.french = ["<padding>", "<start>", "<end>", *"abcdefghij"]
        rng = np.random.default_rng(1)
        sequences = [list(rng.choice(self.english[3:], size=rng.integers(2, 21))) for _ in range(12288)]
        self.x_train = self.y_train = numbers(sequences, self.english)


class Sentences(Data):
    """The pairs of the lesson as token numbers, and the validation sentences by length."""

    def __init__(self):
        self.train = datasets.translation_pairs(12288, "train", words=(3, LONGEST))
        self.validation = datasets.translation_pairs(500, "validation", words=(3, 16))
        self.english, self.french = [vocabulary(side) for side in (self.train.english, self.train.french)]
        self.x_train, self.y_train = numbers(self.train.english, self.english), numbers(self.train.french, self.french)
        self.x, self.y = numbers(self.validation.english, self.english), numbers(self.validation.french, self.french)
        self.length = np.array([len(words) - 1 for words in self.validation.english])
        self.edges = range(3, self.length.max() + 1, 2)


class Translator:
    """An encoder-decoder with one of the scores, or without attention."""

    def __init__(self, score, data):
        self.score, self.data = score, data
        self.model, self.decoder, self.first = self._build()

    def _build(self):
        source, target = [keras.Input((None,), dtype="int32") for _ in range(2)]
        vectors, mask = embedding(self.data.english)(source), ops.not_equal(source, PADDING)
        reader = layers.Bidirectional(layers.LSTM(64, return_sequences=True, return_state=True))
        outputs, *states = reader(vectors, mask=mask)
        memory, first = outputs + vectors, layers.Bridge(128)(states)
        vectors, head = embedding(self.data.french, mask_zero=True), keras.layers.Dense(len(self.data.french))
        cell = layers.LSTMCell(128)
        h = layers.Recurrent(cell, return_sequences=True)(vectors(target), initial_state=first)
        if self.score == "none":
            logits = head(h)
        else:
            kind = layers.BahdanauAttention(128) if self.score == "bahdanau" else layers.LuongAttention(128, self.score)
            logits = head(kind(h, memory, value_mask=mask).attention)
            cell = layers.AttentionCell(cell, kind)
            first = cell.initial_state(memory, mask, first)
        decoder = layers.Decoder(vectors, cell, head)
        decoder(target, initial_state=first)
        return keras.Model([source, target], logits), decoder, keras.Model(source, first)

    def train(self, start, epochs):
        keras.utils.set_random_seed(start)
        if not self.model.compiled:
            rate = keras.optimizers.schedules.CosineDecay(1e-2, epochs * (len(self.data.x_train) // BATCH))
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=PADDING)
            self.model.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0), loss)
            self.model.optimizer.build(self.model.trainable_variables)
        else:
            self.model.set_weights(self._build()[0].get_weights())
            for variable in self.model.optimizer.variables:
                variable.assign(ops.zeros_like(variable))
        self.model.fit(self.data.batches(), epochs=epochs, shuffle=False, verbose=0)

    def judge(self):
        """Right as a whole and BLEU, over all validation sentences and by length, and the alignment error rate."""
        data = self.data
        found = decoding.greedy_search(self.decoder, self.first(data.x), START, END, max_length=30).tokens
        said = [[data.french[number] for number in row if number > END] for row in found]
        groups = [np.flatnonzero((data.length >= low) & (data.length < low + 2)) for low in data.edges]
        groups = [range(len(said)), *groups]
        pairs = [([said[k] for k in group], [data.validation.french[k] for k in group]) for group in groups]
        right = [round(1 - metrics.sequence_error_rate(*pair), 4) for pair in pairs]
        points = [round(bleu(*pair), 2) for pair in pairs]
        results = {"right": right[0], "bleu": points[0], "right_by_length": right[1:], "bleu_by_length": points[1:]}
        return results | {"aer": None if self.score == "none" else self.alignment_error()}

    def copied(self, length):
        """The share of 200 random sequences of this length that are copied without an error."""
        symbols = np.random.default_rng(length).integers(END + 1, len(self.data.english), (200, length))
        source = np.pad(symbols, ((0, 0), (0, 1)), constant_values=END)
        found = decoding.greedy_search(self.decoder, self.first(source), START, END, max_length=length + 1).tokens
        return round(float(np.mean(np.all(np.array(found) == source, axis=1))), 4)

    def alignment_error(self):
        """Of the sentences no longer than those of the training."""
        data = self.data
        reads, states = self.decoder.embedding(shifted(data.y)), self.first(data.x)
        weights = diagnostics.record_gates(self.decoder.recurrent, reads, initial_state=states)["alignment"]
        links = metrics.extract_alignment(weights, query_mask=data.y > END, value_mask=data.x > END)
        rows = np.flatnonzero(data.length <= LONGEST)
        true = data.validation.alignments
        return round(metrics.alignment_error_rate([links[k] for k in rows], [true[k] for k in rows]), 4)


def vocabulary(sequences):
    return ["<padding>", "<start>", "<end>", *sorted({token for sequence in sequences for token in sequence})]


def numbers(sequences, tokens):
    number, width = {token: k for k, token in enumerate(tokens)}, max(map(len, sequences)) + 1
    rows = [[number[token] for token in sequence] + [END] for sequence in sequences]
    return np.array([row + [PADDING] * (width - len(row)) for row in rows])


def shifted(targets):
    return np.concatenate([np.full((len(targets), 1), START), targets[:, :-1]], axis=1)


def embedding(tokens, **options):
    large = keras.initializers.RandomNormal(stddev=0.5)
    return keras.layers.Embedding(len(tokens), 128, embeddings_initializer=large, **options)


def bleu(translations, references):
    joined = [[" ".join(tokens) for tokens in side] for side in (translations, references)]
    return sacrebleu.corpus_bleu(joined[0], [joined[1]], tokenize="none", force=True).score


if __name__ == "__main__":
    main()
