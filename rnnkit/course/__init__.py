"""What a lesson needs besides its subject: a set-up line, long measurements, checks for its exercises, grading."""

from rnnkit.course.results import results
from rnnkit.course.session import setup

__all__ = ["results", "setup"]
