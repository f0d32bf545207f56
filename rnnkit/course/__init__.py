"""What a lesson needs besides its subject: a set-up line, checks for its exercises, grading."""

from rnnkit.course.session import setup

__all__ = ["setup"]
