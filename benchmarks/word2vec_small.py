"""Skip-gram and CBOW on small vocabularies, with similarities that are known: rnnkit against gensim.

    python benchmarks/word2vec_small.py [--words 100 200 400 1000] [--texts 3]

The words are places on a circle, and a document is a walk of 50 steps: the next word is the one before, moved by a
normal number of places. The nearer two words are on the circle, the more similar they are. The score is Spearman's rho
of the cosines and the nearness, over pairs that are 2 to a tenth of the circle apart (at least 10 places): direct
neighbors, which are easy, are left out. A text has 100 tokens for each word, at least 20,000. Two settings: five
epochs of all tokens, and ten with the default subsampling. Both libraries have the same settings, with a first learning
rate of 0.025 for skip-gram and 0.05 for CBOW, and take turns; words per second are those of the whole fit.
"""

import argparse
import statistics
import time

import numpy as np
from gensim.models import Word2Vec as GensimWord2Vec
from harness import write_results
from scipy.stats import spearmanr

from rnnkit.word2vec import Word2Vec

SETTINGS = {
    "skip-gram, 5 epochs, sample=0": ("skip_gram", 5, 0),
    "skip-gram, 10 epochs, sample=0.001": ("skip_gram", 10, 1e-3),
    "CBOW, 5 epochs, sample=0": ("cbow", 5, 0),
    "CBOW, 10 epochs, sample=0.001": ("cbow", 10, 1e-3),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, nargs="+", default=[100, 200, 400, 1000])
    parser.add_argument("--texts", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{'words':>6}  {'':36}{'rho: gensim':>12}{'rnnkit':>8}{'words/s: gensim':>20}{'rnnkit':>12}")
    rows = []
    for words in arguments.words:
        texts = [walks(words, max(20_000, 100 * words), seed) for seed in range(arguments.texts)]
        for name, (architecture, epochs, sample) in SETTINGS.items():
            runs = {"gensim": [], "rnnkit": []}
            for seed, text in enumerate(texts, start=1):
                for library, train in TRAIN.items():
                    start = time.perf_counter()
                    vectors = train(text, seed, architecture, epochs, sample)
                    speed = sum(map(len, text)) * epochs / (time.perf_counter() - start)
                    runs[library].append({"rho": rho(vectors, words), "words_per_second": speed})
            rows.append({"words": words, "setting": name, **runs})
            mean = {library: statistics.mean(run["rho"] for run in runs[library]) for library in runs}
            speed = {library: statistics.median(run["words_per_second"] for run in runs[library]) for library in runs}
            print(
                f"{words:6}  {name:36}{mean['gensim']:12.3f}{mean['rnnkit']:8.3f}"
                f"{speed['gensim']:20,.0f}{speed['rnnkit']:12,.0f}",
                flush=True,
            )
    write_results("word2vec_small", ["numpy", "gensim"], texts=arguments.texts, rows=rows)


def walks(words, tokens, seed, length=50):
    rng = np.random.default_rng(seed)
    steps = np.rint(rng.normal(size=(tokens // length, length))).astype(int)
    steps[:, 0] = rng.integers(0, words, len(steps))
    return [[str(place) for place in document] for document in np.cumsum(steps, axis=1) % words]


def train_gensim(text, seed, architecture, epochs, sample):
    rate = {"sg": 1, "alpha": 0.025} if architecture == "skip_gram" else {"sg": 0, "alpha": 0.05}
    settings = dict(vector_size=100, window=5, negative=5, min_count=1, workers=2)
    return GensimWord2Vec(text, seed=seed, epochs=epochs, sample=sample, **rate, **settings).wv


def train_rnnkit(text, seed, architecture, epochs, sample):
    model = Word2Vec(architecture=architecture, min_count=1, seed=seed, sample=sample)
    return model.fit(text, epochs, progress=False)


TRAIN = {"gensim": train_gensim, "rnnkit": train_rnnkit}


def rho(vectors, words):
    table = np.stack([vectors[str(place)] for place in range(words)])
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    first, second = np.triu_indices(words, 1)
    apart = np.minimum(second - first, words - second + first)
    pairs = (apart > 1) & (apart <= max(10, words // 10))
    return float(spearmanr((table @ table.T)[first, second][pairs], -apart[pairs])[0])


if __name__ == "__main__":
    main()
