"""Lesson 07: beam search for one sentence, with a length penalty."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake
from rnnkit.course.checks.engine.numpy_writer import Writer


def reference(step, states, start, end, width, max_length, penalty):
    def score(sentence):
        ln_p, said, _ = sentence
        return ln_p / ((5 + len(said) - 1) / 6) ** penalty

    beam = [(0.0, [start], states)]
    for _ in range(max_length):
        candidates = []
        for ln_p, said, states in beam:
            if said[-1] == end:
                candidates.append((ln_p, said, states))
                continue
            logits, new = step(said[-1], states)
            gains = logits - np.logaddexp.reduce(logits)
            candidates += [(ln_p + gain, [*said, token], new) for token, gain in enumerate(gains)]
        beam = sorted(candidates, key=score, reverse=True)[:width]
    return beam[0][1][1:], score(beam[0])


MISTAKES = [
    KnownMistake("only one sentence is kept at each step: that is greedy search", ("[:width]", "[:1]")),
    KnownMistake("logits are added up, not ln p: the softmax is missing", (" - np.logaddexp.reduce(logits)", "")),
    KnownMistake("only the ln p of the last token is used, not the sum", ("ln_p + gain", "gain")),
    KnownMistake("a sentence that has ended continues", ("if said[-1] == end", "if False")),
    KnownMistake(
        "a sentence that has ended falls out of the race", ("candidates.append((ln_p, said, states))", "pass")
    ),
    KnownMistake(
        "the search stops as soon as one sentence of the beam has ended",
        (
            "        candidates = []",
            "        if any(said[-1] == end for _, said, _ in beam):\n            break\n        candidates = []",
        ),
    ),
    KnownMistake("the new states are not passed on", ("[*said, token], new)", "[*said, token], states)")),
    KnownMistake(
        "all sentences continue from the states of the last one that took a step: each needs its own",
        (
            "        beam = sorted",
            "        candidates = [(*first, new) for *first, _ in candidates]\n        beam = sorted",
        ),
    ),
    KnownMistake("<start> is read at every step, not the token before", ("step(said[-1]", "step(start")),
    KnownMistake("the least likely sentences are kept", ("reverse=True", "reverse=False")),
    KnownMistake("the length penalty is not used", (" / ((5 + len(said) - 1) / 6) ** penalty", "")),
    KnownMistake("ln p is multiplied by the length penalty, not divided by it", ("ln_p / ((5", "ln_p * ((5")),
    KnownMistake("<start> is counted in the length", ("len(said) - 1", "len(said)")),
    KnownMistake("<end> is not counted in the length", ("len(said) - 1", "len(said) - 1 - (said[-1] == end)")),
    KnownMistake(
        "the length penalty is used only at the end: it should decide at each step, too",
        ("(candidates, key=score", "(candidates, key=lambda sentence: sentence[0]"),
        ("    return beam", "    beam.sort(key=score, reverse=True)\n    return beam"),
    ),
    KnownMistake(
        "the length penalty is used during the search, but the returned score is ln p without it",
        ("score(beam[0])", "beam[0][0]"),
    ),
    KnownMistake("<start> is the first of the returned tokens", ("beam[0][1][1:]", "beam[0][1]")),
    KnownMistake(
        "the last sentence of the beam is returned, not the best",
        ("beam[0][1][1:], score(beam[0])", "beam[-1][1][1:], score(beam[-1])"),
    ),
]


def cases(random):
    def search(width, max_length, penalty, will_to_end, start=1, end=2):
        writer = Writer(random, 8, start, end, will_to_end)
        states = [random.normal(size=6) for _ in range(2)]
        setting = {"width": width, "max_length": max_length, "penalty": penalty}
        return {"step": writer.step, "states": states, "start": start, "end": end} | setting

    return [
        ("a beam of one, which is greedy search", search(1, 4, 0.0, will_to_end=-30)),
        ("a beam of three, nothing ends", search(3, 5, 0.0, will_to_end=-30)),
        ("sentences that end", search(3, 8, 0.0, will_to_end=1.0)),
        ("a length penalty", search(3, 9, 1.0, will_to_end=0.5)),
        ("other numbers for <start> and <end>", search(2, 9, 2.0, will_to_end=0.5, start=5, end=3)),
        ("a strong length penalty", search(3, 9, 3.0, will_to_end=0.5)),
    ]


beam_by_hand = Check("beam_by_hand", reference, cases, returns={"tokens": ["time"], "score": []}, mistakes=MISTAKES)
