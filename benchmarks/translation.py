"""Translation of your own pairs of sentences: BLEU on sentences that were not learned.

    python benchmarks/translation.py pairs.tsv[.gz] [--epochs 8] [--units 192] [--longest 20]

The file has a source sentence, a tab and a target sentence in each line, as those that ManyThings makes from Tatoeba.
Words are lower-case, and punctuation marks are tokens. The same source sentence is never in two parts: the split
depends on it alone (its SHA-256), 80 % to learn, 10 % to validate, 10 % to test. A test sentence with several
translations counts once, with all of them as references. BLEU is sacrebleu's of these tokens, with a beam of 5.
"""

import argparse
import re
from pathlib import Path

import sacrebleu
from harness import write_results
from harness.seq2seq import Seq2Seq

from rnnkit.datasets.split import split
from rnnkit.text import read_pairs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, nargs="?", help="a file of pairs; without one, nothing is measured")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--units", type=int, default=192)
    parser.add_argument("--longest", type=int, default=20, help="words; longer sentences are left out")
    arguments = parser.parse_args()
    if arguments.pairs is None:
        print("translation.py: no file of pairs was given; nothing to measure.")
        return
    translations = {}
    for source, target in zip(*read_pairs(arguments.pairs), strict=True):
        source, target = words(source), words(target)
        if max(len(source), len(target)) <= arguments.longest:
            translations.setdefault(" ".join(source), []).append(target)
    parts = split(translations)
    train, validation = (
        ([source.split() for source in part for _ in translations[source]], [t for s in part for t in translations[s]])
        for part in parts[:2]
    )
    test = parts[2]
    model = Seq2Seq(*train, units=arguments.units)
    seconds, losses = model.fit(train, [side[:2000] for side in validation], arguments.epochs)
    written = [" ".join(tokens) for tokens in model.write([source.split() for source in test])]
    most = max(len(translations[source]) for source in test)
    references = [
        [" ".join(translations[source][place]) if place < len(translations[source]) else None for source in test]
        for place in range(most)
    ]
    bleu = sacrebleu.corpus_bleu(written, references, tokenize="none", force=True)
    results = {
        "file": arguments.pairs.name,
        "pairs learned": len(train[0]),
        "sentences tested": len(test),
        "epochs": arguments.epochs,
        "units": arguments.units,
        "weights": model.model.count_params(),
        "seconds of training": round(seconds),
        "validation losses": [round(loss, 4) for loss in losses],
        "BLEU": round(bleu.score, 2),
    }
    for name, value in results.items():
        print(f"{name:22} {value}")
    for source, translation in list(zip(test, written, strict=True))[:8]:
        print(f"    {source}  ->  {translation}")
    write_results("translation", ["keras", "tensorflow", "sacrebleu"], **results)


def words(sentence):
    return re.findall(r"\w+(?:['’-]\w+)*|[^\w\s]", sentence.lower())


if __name__ == "__main__":
    main()
