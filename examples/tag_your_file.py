"""Trains a tagger of names on your own files, and writes its tags into other files.

    python examples/tag_your_file.py train.conll dev.conll --out tagger.keras --predict test.conll
    python examples/tag_your_file.py --model tagger.keras --predict test.conll

Files have one token per line, in columns, and a blank line after each sentence, as those of CoNLL-2003 or WNUT 17. The
program finds out which columns are the tokens and the tags, and the scheme of the tags (BIO, IOB1, BIOES, BILOU, ...).
With one file to train on, the last fifth of its sentences is the validation part.

The tagger is a BiLSTM-CRF, as in lesson 08. It sees a word as ten features: the word itself in lower case, its first
and last letters, and its shape, such as "Xxx" for "Ana". Training stops when the F1 of whole entities in the validation
part has not risen for a few epochs, and the best weights are kept. They are those that do best on the validation part:
the F1 to report is that of a third file, given to --predict.

`--predict` writes a copy of a file, byte for byte the same except for two columns: the predicted tags, instead of its
own if it has any, and at the end of the line how sure the tagger is: at each token of an entity the probability that it
is one, of this type and from this token to that one; elsewhere, that the token is in none.
"""

import argparse
import json
import re
import sys
import zipfile
from collections import Counter
from pathlib import Path

import keras
import numpy as np

from rnnkit import layers
from rnnkit.metrics import EntityF1
from rnnkit.text import (
    Vocabulary,
    find_columns,
    find_scheme,
    read_conll,
    replace_tags,
    spans_to_tags,
    tags_to_spans,
)

FEATURES, UNKNOWN = 10, "<unknown>"  # of a word; the one that stands for all that occur in no training sentence
WIDTH, UNITS, BATCH, RATE = 24, 64, 16, 3e-3  # of a feature's vector; of each direction of the LSTM
ABOUT = "tagger.json"  # inside the .keras file, which is a zip archive


def main(files, out, model, predict, to, epochs, patience):
    if predict:
        to = to or predict.with_name(f"tagged_{predict.name}")
        find_columns(predict)  # what is wrong is said before the training, not after
    for path in filter(None, (out, to)):
        if not path.parent.is_dir():
            raise ValueError(f"expected to write {path} into a folder that exists, received {path.parent}")
    if files:
        if out.suffix != ".keras":
            raise ValueError(f"expected --out to be a name that ends in .keras, received {out}")
        train = read(files[0])
        train, dev = (train, read(files[1], train["scheme"])) if len(files) == 2 else cut(train)
        tagger = Tagger.of(train, dev)
        tagger.fit(train, dev, epochs, patience)
        tagger.save(out)
        print(f"\nThe validation part, tagged by {out}:")
        report(dev["tags"], tagger.tag(dev["tokens"])[0], train["scheme"])
    else:
        tagger = Tagger.load(model)
    if predict:
        write_predictions(tagger, predict, to)


# ---------------------------------------------------------------------------------------------------------------- files


def read(path, scheme=None):
    """The sentences of a file with tags, which are converted to a scheme, and how the file is to be read."""
    columns = find_columns(path)
    if columns.width == 1:
        raise ValueError(
            f"{path}: expected columns of tokens and of tags such as O, B-PER and I-PER, received one column"
        )
    if columns.tag_column is None:
        columns = columns._replace(tag_column=-1)  # find_scheme says why it is none of tags
    tokens, tags = read_conll(path, columns.token_column, columns.tag_column)
    try:
        found = find_scheme(tags)
    except ValueError as error:
        raise ValueError(f"{path}: found no column of tags. The last one: {error}") from None
    spans = [tags_to_spans(row, found) for row in tags]
    types = Counter(type for row in spans for type, _, _ in row)
    if not types:
        raise ValueError(f"{path}: expected tags that mark entities, such as B-PER, received nothing but O")
    print(f"{path}: {len(tokens)} sentences with {types.total()} entities:", dict(types.most_common()))
    token, tag = columns.token_column + 1, columns.width + columns.tag_column + 1
    print(f"    column {token} of {columns.width} has the tokens, column {tag} the tags, in the scheme {found}")
    broken = sum(spans_to_tags(row, len(old), found) != old for row, old in zip(spans, tags, strict=True))
    if broken:
        print(f"    {broken} sentences break the scheme: the rule of the CoNLL tasks reads their tags")
    scheme = scheme or found
    tags = [spans_to_tags(row, len(words), scheme) for row, words in zip(spans, tokens, strict=True)]
    return {"tokens": tokens, "tags": tags, "scheme": scheme, "columns": columns}


def cut(data):
    """The first four fifths of the sentences, and the others."""
    if len(data["tokens"]) < 2:
        raise ValueError("expected at least two sentences, to train and to validate, received one")
    place = len(data["tokens"]) * 4 // 5
    parts = [slice(place), slice(place, None)]
    return [{**data, "tokens": data["tokens"][part], "tags": data["tags"][part]} for part in parts]


def write_predictions(tagger, source, target):
    """Copies a file, with the tags that the tagger finds."""
    columns = find_columns(source)
    has_tags = columns.tag_column is not None
    if not has_tags and columns.width == tagger.about["width"]:  # O or _ where the tags are to be
        columns = columns._replace(tag_column=tagger.about["tag_column"])
    tokens, _ = read_conll(source, columns.token_column, None)
    tags, confidences = tagger.tag(tokens)
    confidences = [[f"{confidence:.3f}" for confidence in row] for row in confidences]
    replaced, *added = [tags, confidences] if columns.tag_column is not None else [None, tags, confidences]
    replace_tags(source, target, replaced, columns.token_column, columns.tag_column, append=added)
    print(f"\n{source}, tagged: {target}")
    if has_tags:
        report(read(source, tagger.about["scheme"])["tags"], tags, tagger.about["scheme"])


def report(true, found, scheme):
    """Prints precision, recall and F1 of the entities of each type, and of all together (micro)."""
    tags = Vocabulary([*true, *found])
    f1 = EntityF1(tags.tokens, ignore_class=0, scheme=scheme)
    f1.update_state(tags.encode(true), tags.encode(found))
    scores = f1.report()
    width = max(map(len, scores))
    print(f"{'':{width}}  precision  recall      F1   true")
    for name, row in scores.items():
        print(f"{name:{width}}  {row.precision:9.1%} {row.recall:7.1%} {row.f1:7.1%} {row.true:6.0f}")


# --------------------------------------------------------------------------------------------------------------- tagger


class Tagger:
    """A BiLSTM-CRF and what a file needs beside it: `about` has the vocabularies, the scheme and the columns."""

    def __init__(self, about, tagger=None):
        self.about = about
        self.features = Vocabulary([about["features"]], unknown=UNKNOWN)
        self.tags = Vocabulary([about["tags"]])  # number 0, the padding, is a tag that the CRF never predicts
        if tagger is None:
            self.model, tagger = bilstm_crf(len(self.features), self.tags.tokens, about["scheme"])
        self.tagger = tagger

    @classmethod
    def of(cls, train, dev):
        """A tagger with the words of the training part, and the tags of both."""
        keras.utils.set_random_seed(1)
        features = Vocabulary(map(sentence_features, train["tokens"]), unknown=UNKNOWN).tokens[1:]
        tags = Vocabulary([*train["tags"], *dev["tags"]]).tokens[1:]
        _, tag_column, width = train["columns"]
        about = {"features": features, "tags": tags, "scheme": train["scheme"]}
        return cls({**about, "tag_column": tag_column, "width": width})

    @classmethod
    def load(cls, path):
        try:
            with zipfile.ZipFile(path) as file:
                about = json.loads(file.read(ABOUT))
        except (zipfile.BadZipFile, KeyError):
            raise ValueError(
                f"{path}: expected a file that this program has written to --out, received another"
            ) from None
        return cls(about, keras.saving.load_model(path, compile=False))

    def save(self, path):
        self.tagger.save(path)
        with zipfile.ZipFile(path, "a") as file:
            file.writestr(ABOUT, json.dumps(self.about))

    def fit(self, train, dev, epochs, patience):
        """Trains until the F1 of the validation part has not risen for `patience` epochs; keeps the best weights."""
        parts = [(self.encode(part["tokens"]), self.tags.encode(part["tags"])) for part in (train, dev)]
        batches, validation = Batches(*parts[0], drop=True), Batches(*parts[1])
        rate = keras.optimizers.schedules.CosineDecay(RATE, epochs * len(batches))
        f1 = EntityF1(self.tags.tokens, ignore_class=0, scheme=self.about["scheme"])
        optimizer = keras.optimizers.Adam(rate, global_clipnorm=1.0)
        self.model.compile(optimizer, layers.CRFLoss(), weighted_metrics=[f1])

        def show(epoch, logs):
            print(f"epoch {epoch + 1:2}: loss {logs['loss']:6.2f}, F1 {logs['val_entity_f1']:6.1%}", flush=True)

        best = keras.callbacks.EarlyStopping("val_entity_f1", patience=patience, mode="max", restore_best_weights=True)
        progress = keras.callbacks.LambdaCallback(on_epoch_end=show)
        self.model.fit(
            batches, validation_data=validation, epochs=epochs, callbacks=[best, progress], verbose=0, shuffle=False
        )

    def tag(self, sentences):
        """For each sentence the list of its tags, and that of their confidences."""
        order = sorted(range(len(sentences)), key=lambda k: len(sentences[k]))
        tags, confidences = [None] * len(order), [None] * len(order)
        for begin in range(0, len(order), BATCH):
            rows = order[begin : begin + BATCH]
            results = self.tagger.predict_on_batch(self.encode([sentences[row] for row in rows]))
            for row, numbers, sure in zip(rows, *results, strict=True):
                length = len(sentences[row])
                tags[row] = [self.tags.tokens[number] for number in numbers[:length]]
                confidences[row] = sure[:length].tolist()
        return tags, confidences

    def encode(self, sentences):
        """The numbers of the features of each word, `(sentences, time, FEATURES)`."""
        return self.features.encode(map(sentence_features, sentences)).reshape(len(sentences), -1, FEATURES)


def bilstm_crf(features, tags, scheme):
    """From the features of each word to the best tags: a model to train, and one that gives confidences too."""
    numbers = keras.Input((None, FEATURES), dtype="int32")
    mask = numbers[:, :, 0] > 0
    vectors = keras.layers.Embedding(
        features, WIDTH, embeddings_initializer=keras.initializers.RandomNormal(stddev=0.2)
    )
    words = keras.layers.Reshape((-1, FEATURES * WIDTH))(vectors(numbers))
    lstm = layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True))
    h = lstm(keras.layers.Dropout(0.5)(words), mask=mask)
    emissions = keras.layers.Dense(len(tags))(keras.layers.Dropout(0.5)(h))
    crf = layers.CRF(len(tags), constraints=tags, scheme=scheme)
    best = crf(emissions, mask=mask)
    return keras.Model(numbers, best), keras.Model(numbers, [best, crf.entity_confidence(emissions, mask)])


def sentence_features(words):
    return [feature for word in words for feature in word_features(word)]


def word_features(word):
    """The word in lower case, its beginnings and endings, its shape, and the shape without repeats.

    >>> word_features("Ana99")
    ['word ana99', 'A...', 'An...', 'Ana...', '...9', '...99', '...a99', '...na99', 'shape Xxxdd', 'outline Xxd']
    """
    starts, ends = [f"{word[:size]}..." for size in (1, 2, 3)], [f"...{word[-size:]}" for size in (1, 2, 3, 4)]
    shape = "".join("X" if c.isupper() else "x" if c.isalpha() else "d" if c.isdigit() else c for c in word)
    outline = re.sub(r"(.)\1+", r"\1", shape)
    return [f"word {word.lower()}", *starts, *ends, f"shape {shape[:10]}", f"outline {outline[:6]}"]


class Batches(keras.utils.PyDataset):
    """Batches of sentences of about the same length, each padded to its own.

    With `drop`, a feature that occurs c times counts as unknown in one of 1 + c cases, so that unknown ones get a
    meaning, and in one of ten cases more, so that the tagger relies on none alone.
    """

    def __init__(self, features, tags, drop=False):
        super().__init__()
        self.features, self.tags, self.drop = features, tags, drop
        self.lengths = np.count_nonzero(tags, axis=1)
        counts = np.bincount(features.ravel())
        self.kept = 0.9 * counts / (1 + counts)
        self.rng = np.random.default_rng(1)
        self.on_epoch_end()

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        rows = self.rows[index]
        features, tags = (part[rows, : self._time(rows)] for part in (self.features, self.tags))
        if self.drop:
            dropped = (self.rng.random(features.shape) > self.kept[features]) & (features > 0)
            features = np.where(dropped, 1, features)  # the number of UNKNOWN
        return features, tags

    def on_epoch_end(self):
        order = np.argsort(self.lengths + self.rng.uniform(0, 6, len(self.lengths)))
        self.rows = [order[begin : begin + BATCH] for begin in range(0, len(order), BATCH)]
        # Keras takes the length of the first two batches for that of all if they have the same: the longest is second.
        first, others = [self.rows[0], *self.rows[:0:-1][:1]], self.rows[1:-1]
        self.rng.shuffle(others)
        self.rows = [*first, *others]

    def _time(self, rows):
        """The length of a batch, of which there are few: JAX compiles a program for each."""
        return -(-self.lengths[rows].max() // 8) * 8


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*", help="to train on, and to validate")
    parser.add_argument("--out", type=Path, default="tagger.keras", help="where to save (default: %(default)s)")
    parser.add_argument("--model", type=Path, help="a saved tagger, instead of files to train on")
    parser.add_argument("--predict", type=Path, metavar="FILE", help="a file to tag")
    parser.add_argument("--to", type=Path, metavar="FILE", help="where to write it (default: tagged_ and its name)")
    parser.add_argument("--epochs", type=int, default=15, help="at most (default: %(default)s)")
    parser.add_argument("--patience", type=int, default=5, help="epochs without a gain (default: %(default)s)")
    arguments = parser.parse_args()
    if min(arguments.epochs, arguments.patience) < 1:
        parser.error("expected --epochs and --patience of at least 1")
    if len(arguments.files) > 2 or bool(arguments.files) == bool(arguments.model):
        parser.error("expected one or two files to train on, or --model")
    if arguments.model and not arguments.predict:
        parser.error("expected --predict, a file to tag, along with --model")
    try:
        main(**vars(arguments))
    except (OSError, ValueError) as error:
        sys.exit(f"{parser.prog}: {error}")
