"""Names in sentences, found by a transformer that reads sub-words, under a CRF that tags words.

    python examples/transformer_tagger.py

A pretrained encoder brings its own tokenizer, which cuts words into tokens, while a corpus tags whole words. This
program has everything that goes between them, at a size for a processor: its sub-words and its encoder, two blocks of
`keras.layers.MultiHeadAttention`, learn from lesson 08's corpus alone. That is little for a transformer: its F1 is 32 %
to 33 %. With a pretrained encoder, replace `Subwords` by its tokenizer and `encoder` by its layers.

There are two ways to align words and tokens, and `rnnkit.text.tags_to_subwords` knows both:

- The first token of each word has its tag. The mask of the CRF has holes: its chain goes from word to word.
- All tokens have tags. Those of one word continue its entity: B-PER becomes B-PER, I-PER, I-PER.

A sentence is truncated after 48 tokens. Words that are lost count as O in the scores.
"""

import argparse
from collections import Counter

import keras
import numpy as np
from keras import ops

from rnnkit import datasets, layers
from rnnkit.metrics import EntityF1
from rnnkit.text import Vocabulary, lengths_to_word_ids, tags_to_subwords, tags_to_words

LENGTH = 48  # tokens of a sentence, with [CLS] and [SEP]
WIDTH, HEADS, BLOCKS = 64, 4, 2
TAGS = Vocabulary([["O", *[f"{place}-{kind}" for kind in ("PER", "ORG", "LOC", "MISC") for place in "BI"]]])


def main(epochs, sentences):
    corpus = datasets.entities()
    words, tags = (column[:sentences] for column in corpus.train)
    subwords = Subwords(words)
    show(subwords, words[1], tags[1])
    for name, all_tokens in (("first tokens", False), ("all tokens", True)):
        keras.utils.set_random_seed(1)
        model = tagger(len(subwords.vocabulary))
        inputs, targets, lost = encode(subwords, words, tags, all_tokens)
        rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * -(-len(targets) // 32))
        model.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0), layers.CRFLoss())
        model.fit(inputs, targets, batch_size=32, epochs=epochs, verbose=0)
        found = tag(model, subwords, corpus.validation.tokens, all_tokens)
        f1 = EntityF1(TAGS.tokens, ignore_class=0)
        f1.update_state(TAGS.encode(corpus.validation.tags), TAGS.encode(found))
        print(f"{name}: F1 of the validation part {float(f1.result()):.1%}; {lost} training words were truncated")


def show(subwords, words, tags):
    """Prints a sentence as its tokens, with both alignments."""
    pieces, word_ids = subwords.tokenize(words)
    first, every = (tags_to_subwords(tags, word_ids, "BIO", all_tokens).tags for all_tokens in (False, True))
    print(f"{'token':12} {'word_ids':>8}  {'first':7} all")
    for piece, word, one, other in zip(pieces, word_ids, first, every, strict=True):
        print(f"{piece:12} {word!s:>8}  {one:7} {other}".rstrip())


class Subwords:
    """The frequent beginnings of words, and what frequently continues them: the longest that fits is taken first.

    This is how WordPiece cuts a word; it chooses its pieces by likelihood, and this one by counts.
    """

    def __init__(self, sentences, least=4, longest=10):
        counts = Counter()
        for word in (word for words in sentences for word in words):
            for begin in range(len(word)):
                counts.update(piece(word, begin, end) for end in range(begin + 1, min(begin + longest, len(word)) + 1))
        kept = [one for one, count in counts.items() if count >= least]
        self.longest = longest
        self.vocabulary = Vocabulary([kept], unknown="[UNK]", specials=("[CLS]", "[SEP]"))

    def tokenize(self, words):
        """The tokens of a sentence, with [CLS] and [SEP] around them, and for each token the index of its word."""
        cut = [self._cut(word) for word in words]
        word_ids = lengths_to_word_ids(list(map(len, cut)), before=1, after=1, max_length=LENGTH)
        pieces = [one for row in cut for one in row][: LENGTH - 2]
        return ["[CLS]", *pieces, "[SEP]"], word_ids

    def _cut(self, word):
        pieces, begin = [], 0
        while begin < len(word):
            ends = range(min(begin + self.longest, len(word)), begin, -1)
            end = next((end for end in ends if piece(word, begin, end) in self.vocabulary), None)
            pieces.append("[UNK]" if end is None else piece(word, begin, end))
            begin = end or begin + 1
        return pieces


def piece(word, begin, end):
    """A part of a word as a token: "##" says that it doesn't begin the word."""
    return ("##" if begin else "") + word[begin:end]


def encode(subwords, sentences, tags, all_tokens):
    """What the tagger reads, and its targets: `(sentences, LENGTH)`; and how many words were truncated."""
    tokens = np.zeros((len(sentences), LENGTH), "int32")
    targets, tagged, lost = np.zeros_like(tokens), np.zeros(tokens.shape, bool), 0
    for row, (words, names) in enumerate(zip(sentences, tags, strict=True)):
        pieces, word_ids = subwords.tokenize(words)
        aligned = tags_to_subwords(names, word_ids, "BIO", all_tokens)
        tokens[row, : len(pieces)] = [subwords.vocabulary[one] for one in pieces]
        targets[row, : len(pieces)] = [TAGS[name] if name else 0 for name in aligned.tags]
        tagged[row, : len(pieces)] = aligned.mask
        lost += len(aligned.missing)
    return {"tokens": tokens, "tagged": tagged}, targets, lost


def tag(model, subwords, sentences, all_tokens):
    """For each sentence the list of the tags of its words."""
    nothing = [["O"] * len(words) for words in sentences]
    inputs, _, _ = encode(subwords, sentences, nothing, all_tokens)
    found = []
    for words, numbers in zip(sentences, model.predict(inputs, verbose=0), strict=True):
        pieces, word_ids = subwords.tokenize(words)
        tags = [TAGS.tokens[number] for number in numbers[: len(pieces)]]
        found.append(tags_to_words(tags, word_ids, len(words), "BIO" if all_tokens else None).tags)
    return found


def tagger(count):
    """From the numbers of tokens, and which of them have tags, to the best sequence of tags."""
    tokens = keras.Input((LENGTH,), dtype="int32", name="tokens")
    tagged = keras.Input((LENGTH,), dtype="bool", name="tagged")
    emissions = keras.layers.Dense(len(TAGS))(keras.layers.Dropout(0.3)(encoder(tokens, count)))
    tags = layers.CRF(len(TAGS), constraints=TAGS.tokens)(emissions, mask=tagged)
    return keras.Model({"tokens": tokens, "tagged": tagged}, tags)


def encoder(tokens, count):
    """A transformer: a vector for each token that knows the others."""
    places = ops.cumsum(ops.ones_like(tokens), axis=1) - 1
    x = keras.layers.Embedding(count, WIDTH)(tokens) + keras.layers.Embedding(LENGTH, WIDTH)(places)
    looks_at = ops.expand_dims(tokens > 0, axis=1)  # no token looks at the padding
    for _ in range(BLOCKS):
        h = keras.layers.LayerNormalization()(x)
        h = keras.layers.MultiHeadAttention(HEADS, WIDTH // HEADS, dropout=0.1)(h, h, attention_mask=looks_at)
        x = x + keras.layers.Dropout(0.1)(h)
        h = keras.layers.Dense(4 * WIDTH, activation="gelu")(keras.layers.LayerNormalization()(x))
        x = x + keras.layers.Dropout(0.1)(keras.layers.Dense(WIDTH)(h))
    return keras.layers.LayerNormalization()(x)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=12, help="default: %(default)s")
    parser.add_argument("--sentences", type=int, help="to train on (default: all)")
    main(**vars(parser.parse_args()))
