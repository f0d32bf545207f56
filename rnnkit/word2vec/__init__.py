"""word2vec: the two models as Keras layers, and word vectors from text.

| name | what it is |
|---|---|
| `Word2Vec` | word vectors from a corpus, by skip-gram or CBOW with negative sampling |
| `SkipGram`, `CBOW` | the two models as Keras layers (also in `rnnkit.layers`) |
| `skip_gram_pairs` | the pairs that skip-gram learns from |
| `keep_probability` | how often subsampling keeps a word |
| `negative_probability` | how often a word is drawn as a negative sample |
"""

from rnnkit.word2vec.layers import CBOW, SkipGram
from rnnkit.word2vec.model import Word2Vec
from rnnkit.word2vec.sampling import keep_probability, negative_probability, skip_gram_pairs

__all__ = ["CBOW", "SkipGram", "Word2Vec", "keep_probability", "negative_probability", "skip_gram_pairs"]
