"""Marks of tests."""

from collections.abc import Hashable, Iterable

import pytest


def slow_except(quick: Iterable[Hashable], cases: Iterable[Hashable]) -> list:
    """The cases, all marked as slow but the quick ones, which `make check` runs."""
    quick = list(quick)
    return [
        case if case in quick else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
        for case in cases
    ]
