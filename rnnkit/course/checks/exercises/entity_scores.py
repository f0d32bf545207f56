"""Lesson 08: precision, recall and F1 of entities, from BIO tags."""

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake


def reference(true, predicted):
    def entities(sentences):
        found = set()
        for number, tags in enumerate(sentences):
            begin = 0
            for t, tag in enumerate([*tags, "O"]):
                if t > 0 and tags[t - 1] != "O" and not tag.startswith("I"):
                    found.add((number, tags[begin][2:], begin, t))
                if tag.startswith("B"):
                    begin = t
        return found

    there, said = entities(true), entities(predicted)
    right = len(there & said)
    precision = right / len(said) if said else 0.0
    recall = right / len(there) if there else 0.0
    return precision, recall, 2 * right / (len(there) + len(said)) if right else 0.0


class Sentences(list):
    """The tags of several sentences; a message shows how many there are, not the tags."""

    @property
    def shape(self):
        return (len(self),)


MISTAKES = [
    KnownMistake(
        "tags are compared, not entities",
        (
            "found.add((number, tags[begin][2:], begin, t))",
            "found.update((number, tags[k], k) for k in range(begin, t))",
        ),
    ),
    KnownMistake(
        "tags are compared, not entities, and O is treated like the others",
        ("return found", "return {(n, tag, t) for n, tags in enumerate(sentences) for t, tag in enumerate(tags)}"),
    ),
    KnownMistake("the type of an entity is not compared", ("tags[begin][2:], ", "")),
    KnownMistake(
        "the end of an entity is not compared: the first word and the type are enough", (", begin, t))", ", begin))")
    ),
    KnownMistake(
        "the beginning of an entity is not compared: the last word and the type are enough", (", begin, t))", ", t))")
    ),
    KnownMistake("an entity that reaches the end of its sentence is lost", ('[*tags, "O"]', "tags")),
    KnownMistake(
        "entities of different sentences are confused: the position of an entity is not enough without the number of "
        "its sentence",
        ("(number, tags[begin][2:]", "(tags[begin][2:]"),
    ),
    KnownMistake(
        "a B right after an entity does not begin a new one",
        ('not tag.startswith("I")', 'tag == "O"'),
        ('if tag.startswith("B"):', 'if tag != "O" and (t == 0 or tags[t - 1] == "O"):'),
    ),
    KnownMistake(
        "each I begins a new entity", ('not tag.startswith("I")', "True"), ('if tag.startswith("B")', "if True")
    ),
    KnownMistake("entities of one word are not counted", ("if t > 0 and", "if t > begin + 1 and")),
    KnownMistake("precision and recall are swapped", ("return precision, recall", "return recall, precision")),
    KnownMistake(
        "F1 is the ordinary mean of precision and recall, not the harmonic one",
        ("2 * right / (len(there) + len(said)) if right else 0.0", "(precision + recall) / 2"),
    ),
    KnownMistake(
        "F1 is the product of precision and recall by their sum, without the factor 2", ("2 * right /", "right /")
    ),
    KnownMistake(
        "precision, recall and F1 are means over the sentences: the counts of all sentences should be added first",
        (
            "def reference(true, predicted):\n",
            "def reference(true, predicted, one=False):\n    if not one:\n"
            "        each = [reference([t], [p], True) for t, p in zip(true, predicted)]\n"
            "        return tuple(sum(column) / len(each) for column in zip(*each))\n",
        ),
    ),
]


def cases(random):
    types = ["PER", "ORG", "LOC"]

    def sentence(length):
        tags = []
        while len(tags) < length:
            kind = types[random.integers(3)]
            name = [f"B-{kind}", *[f"I-{kind}"] * random.integers(3)]
            tags += name if random.random() < 0.6 else ["O"]
        return tags[:length]

    def corpus(lengths):
        true = [sentence(length) for length in lengths]
        return both(true, [guess(tags) for tags in true])

    def guess(tags):
        """The same tags, with some entities left out, cut short or given another type."""
        tags, other = list(tags), types[random.integers(3)]
        for begin in [t for t, tag in enumerate(tags) if tag.startswith("B")]:
            end = next((t for t in range(begin + 1, len(tags)) if not tags[t].startswith("I")), len(tags))
            change = random.integers(6)
            if change == 0:
                tags[begin:end] = ["O"] * (end - begin)
            elif change == 1:
                tags[begin:end] = [f"{tag[:2]}{other}" for tag in tags[begin:end]]
            elif change == 2 and end > begin + 1:
                tags[end - 1] = "O"
            elif change == 3 and end > begin + 1:
                tags[begin : begin + 2] = ["O", f"B-{tags[begin][2:]}"]
            elif change == 4 and end > begin + 1:
                tags[begin + 1] = f"B-{tags[begin][2:]}"
        return tags

    def both(true, predicted):
        return {"true": Sentences(true), "predicted": Sentences(predicted)}

    two, cut = ["B-PER", "O", "B-LOC", "I-LOC", "O"], ["B-PER", "O", "B-LOC", "O", "O"]
    return [
        ("all names found", both([two], [two])),
        ("one name found, and one cut short", both([two], [cut])),
        ("many sentences", corpus([9] * 12)),
        ("sentences of several lengths", corpus([4, 11, 1, 8, 5, 11, 2, 9, 7])),
        ("nothing predicted", both([two], [["O"] * 5])),
    ]


entity_scores = Check(
    "entity_scores", reference, cases, returns={"precision": [], "recall": [], "F1": []}, mistakes=MISTAKES
)
