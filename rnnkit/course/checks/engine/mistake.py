"""The exception that a check raises."""


class Mistake(AssertionError):
    """What is wrong with an answer, in words for the person who wrote it.

    A notebook shows these words alone: a traceback through this package would not help.
    """

    def _render_traceback_(self) -> list[str]:
        """Returns the lines that IPython shows instead of a traceback."""
        return str(self).splitlines()
