"""word2vec: the two models as Keras layers, and word vectors from text.

| name | what it is |
|---|---|
| `Word2Vec` | word vectors from a corpus, by skip-gram or CBOW with negative sampling |
| `SkipGram`, `CBOW` | the two models as Keras layers (also in `rnnkit.layers`) |
| `skip_gram_pairs` | the pairs that skip-gram learns from |
| `keep_probability` | how often subsampling keeps a word |
| `negative_probability` | how often a word is drawn as a negative sample |
| `load_word2vec_format`, `save_word2vec_format` | files of word vectors, as word2vec, gensim and GloVe have them |
| `subwords`, `subword_buckets`, `fnv1a` | the n-grams of a word, and the buckets that FastText hashes them into |
"""

from rnnkit.word2vec.files import load_word2vec_format, save_word2vec_format
from rnnkit.word2vec.layers import CBOW, SkipGram
from rnnkit.word2vec.model import Word2Vec
from rnnkit.word2vec.sampling import keep_probability, negative_probability, skip_gram_pairs
from rnnkit.word2vec.subword_hashing import fnv1a, subword_buckets, subwords

__all__ = [
    "CBOW",
    "SkipGram",
    "Word2Vec",
    "fnv1a",
    "keep_probability",
    "load_word2vec_format",
    "negative_probability",
    "save_word2vec_format",
    "skip_gram_pairs",
    "subword_buckets",
    "subwords",
]
