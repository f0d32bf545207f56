"""Named entities: a bidirectional LSTM with a CRF against sklearn-crfsuite, without any vectors from outside.

    python benchmarks/ner.py [train [[validation] test]] [--validate] [--seeds 5] [--epochs 20] [--units 64]

The files are in columns, as those of CoNLL-2003 or WNUT 17; which of them are the tokens and the tags, and the scheme,
is found out. One file is cut: its first 80 % to learn from, its last 20 % to test. Without a file it is Wikigold, whose
order is that of its articles, which makes those tested other ones. With `--validate` nothing is tested or recorded: the
validation file, or the last fifth of what there is to learn from, takes the place of the test. All settings were chosen
this way, by cross-validation over the fifths of Wikigold's first 80 %; training has no early stopping.

All learn from the same sentences in the same run. A gazetteer is the names of the training part, longest match first;
the cautious one leaves out a name that is one in less than half of the places where its words occur.
sklearn-crfsuite has the features and settings of its tutorial (without parts of speech, which Wikigold lacks). The
network is that of `harness/tagging.py`, as it is, and with a softmax at each token instead of the CRF. Reported
is the F1 of whole entities, by `rnnkit.metrics.EntityF1`, which is checked to equal seqeval's.
"""

import argparse
import math
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

from harness import write_results
from harness.tagging import Tagger

from rnnkit.datasets import wikigold
from rnnkit.metrics import EntityF1
from rnnkit.text import Vocabulary, find_columns, find_scheme, read_conll, spans_to_tags, tags_to_spans

try:
    import seqeval.metrics
    import sklearn_crfsuite
except ImportError as error:
    sys.exit(f"ner.py needs a package that is not installed ({error.name}): pip install -e '.[bench,test]'")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*", help="train, validation and test; Wikigold if left out")
    parser.add_argument("--validate", action="store_true", help="use the validation part instead of the test")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--units", type=int, default=64, help="of each direction of the LSTM")
    arguments = parser.parse_args()
    if len(arguments.files) > 3:
        parser.error(f"expected at most three files, train, validation and test; got {len(arguments.files)}")
    train, test = parts(arguments.files, arguments.validate)
    sentences, tags = test

    def network(crf, seed):
        tagger = Tagger(*train, crf=crf, units=arguments.units, seed=seed)
        tagger.fit(arguments.epochs)
        return tagger.tag(sentences)

    seeds = range(arguments.seeds)
    contenders = {
        "gazetteer": [lambda: gazetteer(*train, sentences)],
        "cautious gazetteer": [lambda: gazetteer(*train, sentences, least=0.5)],
        "sklearn-crfsuite": [lambda: crfsuite(*train, sentences)],
        "BiLSTM, softmax": [lambda seed=seed: network(False, seed) for seed in seeds],
        "BiLSTM-CRF": [lambda seed=seed: network(True, seed) for seed in seeds],
    }
    names = sum(len(tags_to_spans(row)) for row in tags)
    print(f"{len(train[0])} sentences to learn from, {len(sentences)} to find {names} entities")
    print(f"{'':20}  {'F1, %':>6}  {'smallest':>8}  {'largest':>8}  {'seconds':>8}")
    rows = [measure(name, runs, tags) for name, runs in contenders.items()]
    if not arguments.validate:
        write_results(
            "ner",
            ["keras", "tensorflow", "sklearn-crfsuite", "python-crfsuite", "seqeval"],
            files=[path.name for path in arguments.files] or ["wikigold"],
            **{"sentences learned": len(train[0]), "sentences tested": len(sentences)},
            epochs=arguments.epochs,
            units=arguments.units,
            rows=rows,
        )


def parts(files, validate):
    """What to learn from and what to test, each a list of sentences and a list of their tags in BIO."""
    read = [in_bio(*sentences_of(path)) for path in files] or [in_bio(*wikigold())]
    *train, test = read if len(read) > 1 else cut(read[0])
    if not validate:
        return train[0], test
    return train if len(train) == 2 else cut(train[0])


def sentences_of(path):
    columns = find_columns(path)
    if columns.tag_column is None:
        sys.exit(f"{path}: expected a column of tags such as O, B-PER and I-PER, found none")
    return read_conll(path, columns.token_column, columns.tag_column)


def in_bio(sentences, tags):
    scheme = find_scheme(tags)
    return sentences, [spans_to_tags(tags_to_spans(row, scheme), len(row)) for row in tags]


def cut(data):
    """The first 80 % and the last 20 %."""
    place = len(data[0]) * 4 // 5
    return [part[:place] for part in data], [part[place:] for part in data]


def measure(name, runs, tags):
    """Runs them, and prints and returns what they found, in percent, and how long they took."""
    scores, seconds = [], []
    for run in runs:
        begin = time.perf_counter()
        found = run()
        seconds.append(time.perf_counter() - begin)
        scores.append(100 * entity_f1(tags, found))
    row = {"contender": name, "F1": statistics.mean(scores), "each": scores, "seconds": statistics.median(seconds)}
    print(f"{name:20}  {row['F1']:6.1f}  {min(scores):8.1f}  {max(scores):8.1f}  {row['seconds']:8.1f}", flush=True)
    return row


def entity_f1(true, found):
    numbers = Vocabulary([*true, *found])
    metric = EntityF1(numbers.tokens, ignore_class=0)
    metric.update_state(numbers.encode(true), numbers.encode(found))
    f1 = metric.report()["micro"].f1
    assert math.isclose(f1, seqeval.metrics.f1_score(true, found), abs_tol=1e-9)
    return f1


def gazetteer(sentences, tags, test, least=0.0):
    """The tags of names that are known, where they are one in at least this share of the places where they occur."""
    types = {}
    for sentence, row in zip(sentences, tags, strict=True):
        for type, begin, end in tags_to_spans(row):
            types.setdefault(tuple(sentence[begin:end]), Counter())[type] += 1
    longest = max(map(len, types))
    places = Counter(
        phrase for s in sentences for begin in range(len(s)) for phrase in phrases(s, begin, longest) if phrase in types
    )
    names = {name: counts for name, counts in types.items() if counts.total() >= least * places[name]}
    tagged = []
    for sentence in test:
        found, begin = [], 0
        while begin < len(sentence):
            name = next((phrase for phrase in phrases(sentence, begin, longest) if phrase in names), None)
            if name:
                found.append((names[name].most_common(1)[0][0], begin, begin + len(name)))
            begin += len(name) if name else 1
        tagged.append(spans_to_tags(found, len(sentence)))
    return tagged


def phrases(sentence, begin, longest):
    """What begins at a token, the longest first."""
    return (tuple(sentence[begin:end]) for end in range(min(begin + longest, len(sentence)), begin, -1))


def crfsuite(sentences, tags, test):
    """The tags of sklearn-crfsuite."""
    model = sklearn_crfsuite.CRF(algorithm="lbfgs", c1=0.1, c2=0.1, max_iterations=100, all_possible_transitions=True)
    model.fit([tutorial_features(sentence) for sentence in sentences], tags)
    return [list(map(str, row)) for row in model.predict([tutorial_features(sentence) for sentence in test])]


def tutorial_features(sentence):
    """For each token its own features and those of its neighbours."""
    rows = []
    for place, token in enumerate(sentence):
        row = {"bias": 1.0, **shape("", token), "[-3:]": token[-3:], "[-2:]": token[-2:], "isdigit": token.isdigit()}
        row |= shape("-1:", sentence[place - 1]) if place > 0 else {"BOS": True}
        row |= shape("+1:", sentence[place + 1]) if place + 1 < len(sentence) else {"EOS": True}
        rows.append(row)
    return rows


def shape(where, token):
    return {f"{where}lower": token.lower(), f"{where}istitle": token.istitle(), f"{where}isupper": token.isupper()}


if __name__ == "__main__":
    main()
