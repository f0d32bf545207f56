"""Word2Vec against gensim: words per second, WordSim-353 and analogies, on the same text with the same settings.

    python benchmarks/word2vec.py [--seeds 3] [--epochs 10] [--subwords]

Words per second are all words of the corpus, times the epochs, divided by the seconds from the token lists to the
vectors: vocabulary and training, for both libraries. Runs alternate, and the ratio is the ratio of medians. gensim has
two workers and its defaults for everything else; rnnkit has its two threads. CBOW appears twice: against gensim as it
is (a first learning rate of 0.025), and against gensim with the 0.05 that rnnkit and word2vec.c use. The larger text is
the same one three times over, 1.36 million words, in a third of the epochs. rnnkit's words per second on a third of the
text, on the text, and on the larger one, in equal epochs, show whether its cost is linear in the text. Memory is what
training adds to the peak of a fresh process that has already loaded both libraries and the text.

With --subwords, the rows are those of n-grams of 3 to 6 letters, against gensim's FastText with the same settings and
the same learning rates, 0.025 for skip-gram and 0.05 for CBOW; its results are a file of their own.
"""

import argparse
import statistics
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
from gensim.models import FastText
from gensim.models import Word2Vec as GensimWord2Vec
from harness import in_a_process_of_its_own, peak_megabytes, ratio, write_results

from rnnkit.datasets import analogies, wikipedia, word_similarity
from rnnkit.word2vec import Word2Vec

ROWS = {  # name: architecture, gensim's first learning rate
    "skip-gram": ("skip_gram", 0.025),
    "CBOW": ("cbow", 0.025),
    "CBOW, gensim at 0.05": ("cbow", 0.05),
}
SUBWORD_ROWS = {"skip-gram, sub-words": ("skip_gram", 0.025), "CBOW, sub-words": ("cbow", 0.05)}
COPIES = 3  # of the text in the larger text
EPOCHS_OF_SIZES = 2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--memory", choices=["rnnkit", "gensim"], help=argparse.SUPPRESS)
    parser.add_argument("--subwords", action="store_true", help="measure the rows with sub-words, and only these")
    arguments = parser.parse_args()
    documents = wikipedia()
    if arguments.subwords:
        settings = documents, arguments.seeds, arguments.epochs, TRAIN_SUBWORDS
        results = {name: measure(name, row, *settings) for name, row in SUBWORD_ROWS.items()}
        report(results)
        write_results(
            "word2vec_subwords", ["numpy", "gensim"], seeds=arguments.seeds, epochs=arguments.epochs, results=results
        )
        return
    if arguments.memory:
        print(peak_of_training(arguments.memory, documents))
        return
    results = {name: measure(name, row, documents, arguments.seeds, arguments.epochs) for name, row in ROWS.items()}
    epochs = max(1, arguments.epochs // COPIES)
    larger = {
        name: measure(name, ROWS[name], documents * COPIES, arguments.seeds, epochs) for name in ("skip-gram", "CBOW")
    }
    sizes = words_per_second_by_size(documents)
    linux = sys.platform.startswith("linux")
    memory = {library: in_a_process_of_its_own("--memory", library) if linux else None for library in TRAIN}
    report(results)
    print(f"\n{COPIES} times the text, {epochs} epochs:")
    report(larger)
    print(f"\nrnnkit's words/s by the words of the text, {EPOCHS_OF_SIZES} epochs:")
    for name, speeds in sizes.items():
        print(f"{name:12}" + ", ".join(f"{speed:,.0f} ({words:,} words)" for words, speed in speeds.items()))
    if memory["gensim"] is not None:
        print(f"memory added by training: gensim {memory['gensim']:.0f} MB, rnnkit {memory['rnnkit']:.0f} MB")
    write_results(
        "word2vec", ["numpy", "gensim"], seeds=arguments.seeds, epochs=arguments.epochs, results=results,
        larger_text={"copies": COPIES, "epochs": epochs, "results": larger},
        rnnkit_words_per_second_by_words_of_the_text=sizes, megabytes_added_by_training=memory,
    )  # fmt: skip


def train_rnnkit(documents, seed, epochs, architecture, _, subwords=None):
    model = Word2Vec(architecture=architecture, seed=seed, subwords=subwords)
    return model.fit(documents, epochs, progress=False).to_keyed_vectors()


def train_gensim(documents, seed, epochs, architecture, first_rate, model=GensimWord2Vec):
    skip_gram = int(architecture == "skip_gram")
    settings = dict(vector_size=100, window=5, negative=5, min_count=5, sample=1e-3, alpha=first_rate, workers=2)
    return model(sentences=documents, sg=skip_gram, seed=seed, epochs=epochs, **settings).wv


TRAIN = {"gensim": train_gensim, "rnnkit": train_rnnkit}
TRAIN_SUBWORDS = {"gensim": partial(train_gensim, model=FastText), "rnnkit": partial(train_rnnkit, subwords=(3, 6))}


def measure(name, row, documents, seeds, epochs, libraries=TRAIN):
    runs = {library: [] for library in libraries}
    words = sum(map(len, documents)) * epochs
    for seed in range(1, seeds + 1):
        for library, train in libraries.items():
            start = time.perf_counter()
            vectors = train(documents, seed, epochs, *row)
            seconds = time.perf_counter() - start
            runs[library].append(
                {
                    "seed": seed,
                    "words_per_second": words / seconds,
                    "wordsim353_rho": float(vectors.evaluate_word_pairs(word_similarity().path)[1][0]),
                    "analogies": float(vectors.evaluate_word_analogies(analogies().path)[0]),
                }
            )
            print(f"{name}, seed {seed}, {library}: {runs[library][-1]['words_per_second']:,.0f} words/s", flush=True)
    return runs


def words_per_second_by_size(documents):
    """Medians of three runs: {name: {words of the text: words per second}}."""
    texts = documents[: len(documents) // COPIES], documents, documents * COPIES
    speeds = {}
    for name in ("skip-gram", "CBOW"):
        speeds[name] = {}
        for text in texts:
            seconds = []
            for seed in range(3):
                start = time.perf_counter()
                train_rnnkit(text, seed, EPOCHS_OF_SIZES, *ROWS[name])
                seconds.append(time.perf_counter() - start)
            words = sum(map(len, text))
            speeds[name][words] = words * EPOCHS_OF_SIZES / statistics.median(seconds)
    return speeds


def peak_of_training(library, documents):
    """Megabytes; Linux only, where a process can forget its peak."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before = peak_megabytes()
    if library == "gensim":
        train_gensim(documents, 1, 1, "skip_gram", 0.025)
    else:  # without the copy that to_keyed_vectors makes
        Word2Vec().fit(documents, 1, progress=False)
    return peak_megabytes() - before


def report(results):
    print(f"\n{'':22}{'words/s':>12}{'':>12}{'ratio of medians':>26}{'rho':>16}{'analogies':>18}")
    both = "gensim  rnnkit"
    print(f"{'':22}{'gensim':>12}{'rnnkit':>12}{'(lowest to highest)':>26}{both:>16}{both:>18}")
    for name, runs in results.items():
        speeds = {library: [run["words_per_second"] for run in runs[library]] for library in runs}
        medians = {library: statistics.median(values) for library, values in speeds.items()}
        compared = ratio(speeds["rnnkit"], speeds["gensim"])
        text = "{:.2f} ({:.2f} to {:.2f})".format(compared["ratio"], *compared["spread"])
        scores = [
            "  ".join(f"{np.mean([run[score] for run in runs[library]]):.3f}" for library in ("gensim", "rnnkit"))
            for score in ("wordsim353_rho", "analogies")
        ]
        speed = f"{medians['gensim']:12,.0f}{medians['rnnkit']:12,.0f}{text:>26}"
        print(f"{name:22}{speed}{scores[0]:>16}{scores[1]:>18}")


if __name__ == "__main__":
    main()
