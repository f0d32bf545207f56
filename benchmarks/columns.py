"""Files in columns: seconds and memory of our reader, against the few lines that everybody writes.

    python benchmarks/columns.py [--megabytes 100] [--rounds 3]

The file is like those of CoNLL-2003, of any size: a token of 50,000, by Zipf's law, a part of speech, a chunk and a tag
on each line, with one space between them; sentences of 5 to 40 tokens. The plain reader strips lines and splits them at
white space. It is what our reader is measured against, and it knows nothing of what files have besides: comments, empty
cells, spaces inside of tokens, line ends of other systems, and lines that lack a column.

Both return lists of sentences, or pass on one sentence at a time. Each run has a process of its own, in turn; reported
are the medians of the seconds, and what reading added to the peak of the resident memory. Linux only.
"""

import argparse
import json
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from harness import in_a_process_of_its_own, in_turn, peak_megabytes, write_results

from rnnkit.text import iter_conll, read_conll

WORDS, CHUNK = 50_000, 2000  # different tokens; how many sentences are made at once


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        reader, path = arguments.run
        print(json.dumps(measure(READERS[reader], path)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "words.conll")
        sentences = write_file(path, arguments.megabytes)
        contenders = {name: partial(in_a_process_of_its_own, "--run", name, path) for name in READERS}
        runs = in_turn(contenders, arguments.rounds)
    [tokens] = {run["tokens"] for each in runs.values() for run in each}  # all have read the same
    print(f"{tokens:,} tokens in {sentences:,} sentences\n{'':28}{'seconds':>9}{'added, MB':>11}")
    rows = []
    for name, each in runs.items():
        seconds, added = (statistics.median(run[key] for run in each) for key in ("seconds", "added_megabytes"))
        rows.append({"reader": name, "seconds": seconds, "added_megabytes": added})
        print(f"{name:28}{seconds:9.1f}{added:11.0f}")
    write_results(
        "columns",
        [],
        rounds=arguments.rounds,
        megabytes=arguments.megabytes,
        tokens=tokens,
        sentences=sentences,
        rows=rows,
    )


def write_file(path, megabytes):
    """Writes a file of that size, the same each time; returns the number of its sentences."""
    rng, sentences, size = np.random.default_rng(0), 0, 0
    words = [f"{'Ww'[number % 2]}ord{number}" for number in range(WORDS)]
    share = 1 / np.arange(10, WORDS + 10)
    cumulative = np.cumsum(share / share.sum())
    endings = [" NN I-NP O\n", " VB I-VP O\n", " NNP I-NP I-PER\n", " NNP I-NP I-LOC\n", " IN I-PP O\n"]
    with open(path, "w", encoding="utf-8") as file:
        while size < megabytes * 10**6:
            lengths = rng.integers(5, 41, CHUNK)
            numbers = np.minimum(np.searchsorted(cumulative, rng.random(lengths.sum())), WORDS - 1)
            kinds = rng.choice(len(endings), size=len(numbers), p=[0.5, 0.2, 0.05, 0.05, 0.2])
            lines = [words[number] + endings[kind] for number, kind in zip(numbers, kinds, strict=True)]
            for end in np.cumsum(lengths):
                lines[end - 1] += "\n"
            size += file.write("".join(lines))
            sentences += CHUNK
    return sentences


def plain_sentences(path):
    """The sentences of a file, read in the usual way."""
    tokens, tags = [], []
    with open(path, encoding="utf-8") as file:
        for line in file:
            columns = line.split()
            if columns:
                tokens.append(columns[0])
                tags.append(columns[-1])
            elif tokens:
                yield tokens, tags
                tokens, tags = [], []
    if tokens:
        yield tokens, tags


def plain_lists(path):
    return zip(*plain_sentences(path), strict=True)


READERS = {
    "read_conll": lambda path: sum(map(len, read_conll(path).tokens)),
    "plain, lists": lambda path: sum(map(len, list(plain_lists(path))[0])),
    "iter_conll": lambda path: sum(len(sentence.tokens) for sentence in iter_conll(path)),
    "plain, one at a time": lambda path: sum(len(tokens) for tokens, _ in plain_sentences(path)),
}


def measure(reader, path):
    before, start = peak_megabytes(), time.perf_counter()
    tokens = reader(path)
    seconds = time.perf_counter() - start
    return {"tokens": tokens, "seconds": seconds, "added_megabytes": peak_megabytes() - before}


if __name__ == "__main__":
    main()
