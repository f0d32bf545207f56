"""Lesson 05: the best that any network can do before it has seen the rest of the sentence."""

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake


def reference(x, here, labels, k):
    groups = {}
    for sentence, place, label in zip(x, here, labels, strict=True):
        seen = tuple(sentence[: place + k + 1])
        groups.setdefault(seen, []).append(label)
    right = [max(group.count(0), group.count(1)) for group in groups.values()]
    return sum(right) / len(x)


MISTAKES = [
    KnownMistake("the model sees one word too few: it has read the asked-for word and k more", ("k + 1", "k")),
    KnownMistake("the model sees one word too many: it has read the asked-for word and k more", ("k + 1", "k + 2")),
    KnownMistake(
        "the model sees the sentence only up to the asked-for word, whatever k is", ("place + k + 1", "place + 1")
    ),
    KnownMistake("the model sees the whole sentence, whatever k is", ("[: place + k + 1]", "[:]")),
    KnownMistake(
        "k counts from the beginning of the sentence, not from the asked-for word", ("place + k + 1", "k + 1")
    ),
    KnownMistake(
        "the words to the left of the asked-for word are left out: the model has read them",
        ("[: place", "[place : place"),
    ),
    KnownMistake(
        "only the k words after the asked-for word are compared: the model has read the others, too",
        ("[: place", "[place + 1 : place"),
    ),
    KnownMistake(
        "the order of the words is ignored",
        ("tuple(sentence[: place + k + 1])", "tuple(sorted(sentence[: place + k + 1]))"),
    ),
    KnownMistake(
        "only the last word that was read is compared, not all of them",
        ("tuple(sentence[: place + k + 1])", "sentence[: place + k + 1][-1]"),
    ),
    KnownMistake(
        "the mean is over the groups: a group should count once for each of its sentences",
        (
            "    return sum(right) / len(x)",
            "    return sum(r / len(g) for r, g in zip(right, groups.values())) / len(groups)",
        ),
    ),
    KnownMistake("the sum is divided by the number of groups, not of sentences", ("/ len(x)", "/ len(groups)")),
    KnownMistake("the right sentences are counted, but not divided by the number of sentences", (" / len(x)", "")),
    KnownMistake(
        "a group with both answers counts as wrong: its more frequent answer is right",
        ("max(group.count(0), group.count(1))", "len(group) * (len(set(group)) == 1)"),
    ),
    KnownMistake(
        "a group with both answers counts one half: the more frequent of the two can be right more often",
        ("max(group.count(0), group.count(1))", "len(group) / len(set(group))"),
    ),
    KnownMistake("the rarer answer of each group is taken", ("max(group", "min(group")),
    KnownMistake(
        "the answer of a group is that of its first sentence: the more frequent one is better",
        ("max(group.count(0), group.count(1))", "group.count(group[0])"),
    ),
    KnownMistake(
        "the answer of a group is that of its last sentence: a dictionary keeps only the last label",
        ("max(group.count(0), group.count(1))", "group.count(group[-1])"),
    ),
    KnownMistake("the answer is always 1", ("max(group.count(0), group.count(1))", "group.count(1)")),
    KnownMistake("all sentences get the same answer, whatever was seen", ("setdefault(seen, ", "setdefault(0, ")),
]


def cases(random):
    def some(sentences, words, k, places=3, vocabulary=2):
        x = random.integers(1, vocabulary + 1, size=(sentences, words))
        here = random.integers(places, size=sentences)
        for sentence, end in zip(x, random.integers(places, words + 1, size=sentences), strict=True):
            sentence[end:] = 0
        return {"x": x, "here": here, "labels": random.integers(2, size=sentences), "k": k}

    def two_by_two(k):
        """Pairs that differ from the second word after the asked-for one."""
        x = random.integers(1, 9, size=(6, 7)).repeat(2, axis=0)
        x[1::2, 4:] += 9
        return {"x": x, "here": x[:, 0] * 0 + 2, "labels": (x[:, 4] < 9).astype("int64"), "k": k}

    return [
        ("minimal pairs, at the word itself", two_by_two(0)),
        ("minimal pairs, two words later", two_by_two(2)),
        ("many sentences with the same beginning", some(31, 6, 0)),
        ("many sentences with the same beginning, a word later", some(37, 6, 1)),
        ("k reaches past the end of some sentences", some(43, 5, 2)),
    ]


best_with_delay = Check("best_with_delay", reference, cases, returns={"share": []}, mistakes=MISTAKES)
