"""What the notebooks need around the lesson itself."""

from rnnkit.course.session import setup

__all__ = ["setup"]
