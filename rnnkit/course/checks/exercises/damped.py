"""Lesson 04: exponential smoothing whose slope fades out over the horizon."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake


def reference(level, slope, season, phi):
    weeks = np.arange(1, season.shape[1] + 1)
    slopes = np.cumsum(phi**weeks)
    return level[:, None] + slopes * slope[:, None] + season


MISTAKES = [
    KnownMistake("phi is not used: the slope does not fade", ("phi**weeks", "1.0**weeks")),
    KnownMistake("the powers of phi are not added up", ("np.cumsum(phi**weeks)", "phi**weeks")),
    KnownMistake(
        "k times the last power is added, not the sum of the powers", ("np.cumsum(phi**weeks)", "weeks * phi**weeks")
    ),
    KnownMistake("k times phi is added, not the sum of the powers", ("np.cumsum(phi**weeks)", "weeks * phi")),
    KnownMistake("the powers of phi start at 0: week 1 adds a whole slope", ("phi**weeks", "phi ** (weeks - 1.0)")),
    KnownMistake(
        "the powers of phi start at 0, and week 1 adds none: the sums are a week late",
        ("np.cumsum(phi**weeks)", "np.cumsum(phi ** (weeks - 1.0)) - 1"),
    ),
    KnownMistake("the season is left out", (" + season", "")),
    KnownMistake("the season fades, too", (" + season", " + phi**weeks * season")),
    KnownMistake("the level is left out", ("level[:, None] + ", "")),
    KnownMistake("the level fades, too", ("level[:, None]", "phi**weeks * level[:, None]")),
    KnownMistake("the slope is left out: only phi is added up", (" * slope[:, None]", "")),
]


def cases(random):
    def forecast(origins, horizon, phi):
        sizes = {"level": origins, "slope": origins, "season": (origins, horizon)}
        return {name: random.normal(size=size) for name, size in sizes.items()} | {"phi": phi}

    return [
        ("phi = 1 damps nothing", forecast(3, 6, 1.0)),
        ("phi = 0 leaves no slope", forecast(3, 6, 0.0)),
        ("phi = 0.5", forecast(4, 6, 0.5)),
        ("phi = 0.9, one origin", forecast(1, 8, 0.9)),
    ]


damped = Check("damped", reference, cases, returns={"forecast": ["origins", "weeks"]}, mistakes=MISTAKES)
