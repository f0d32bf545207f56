"""Word2Vec on texts that are never in memory: peak memory at 10 and at 100 million words, against gensim.

    python benchmarks/word2vec_memory.py [--millions 10 100]

Documents of 1,000 words, drawn from 50,000 by Zipf's law, are generated in each pass and forgotten. CBOW, one epoch,
50 dimensions and all else by default, which keeps the longest run to minutes; rnnkit has its two threads, gensim two
workers. Each run has its own process. Memory is the peak of its resident memory, and what training added to it
after both libraries were loaded; words per second are all words of the text by the seconds for vocabulary and training,
with the making of the text, which is the same for both. Linux only.
"""

import argparse
import json
import time

import numpy as np
from gensim.models import Word2Vec as GensimWord2Vec
from harness import in_a_process_of_its_own, peak_megabytes, write_results

from rnnkit.word2vec import Word2Vec

WORDS, DOCUMENT, DIMENSIONS = 50_000, 1000, 50


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        library, millions = arguments.run
        print(json.dumps(measure(library, int(millions))))
        return
    print(f"{'':8}{'million words':>16}{'peak, MB':>12}{'added, MB':>12}{'words/s':>12}")
    rows = []
    for millions in arguments.millions:
        for library in TRAIN:
            row = in_a_process_of_its_own("--run", library, millions)
            rows.append({"library": library, "million_words": millions, **row})
            print(
                f"{library:8}{millions:16}{row['peak_megabytes']:12.0f}{row['added_megabytes']:12.0f}"
                f"{row['words_per_second']:12,.0f}",
                flush=True,
            )
    write_results("word2vec_memory", ["numpy", "gensim"], dimensions=DIMENSIONS, epochs=1, rows=rows)


class GeneratedText:
    """Documents that each pass makes anew, the same each time."""

    def __init__(self, documents):
        self.documents = documents
        self.words = np.array([f"w{number}" for number in range(WORDS)], object)
        share = 1 / np.arange(10, WORDS + 10)
        self.cumulative = np.cumsum(share / share.sum())

    def __iter__(self):
        rng = np.random.default_rng(0)
        for _ in range(self.documents):
            numbers = np.searchsorted(self.cumulative, rng.random(DOCUMENT))
            yield self.words[np.minimum(numbers, WORDS - 1)].tolist()


def train_rnnkit(text):
    Word2Vec(dimensions=DIMENSIONS, architecture="cbow").fit(text, epochs=1, progress=False)


def train_gensim(text):
    GensimWord2Vec(text, vector_size=DIMENSIONS, sg=0, epochs=1, alpha=0.05, workers=2)


TRAIN = {"gensim": train_gensim, "rnnkit": train_rnnkit}


def measure(library, millions):
    text = GeneratedText(millions * 10**6 // DOCUMENT)
    before, start = peak_megabytes(), time.perf_counter()
    TRAIN[library](text)
    seconds = time.perf_counter() - start
    return {
        "peak_megabytes": peak_megabytes(),
        "added_megabytes": peak_megabytes() - before,
        "words_per_second": millions * 10**6 / seconds,
    }


if __name__ == "__main__":
    main()
