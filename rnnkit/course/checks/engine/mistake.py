"""What a check raises."""


class Mistake(AssertionError):
    """What is wrong with an answer, in words for the one who wrote it.

    In a notebook it is shown as its words alone: the lines of this package would not help.
    """

    def _render_traceback_(self):
        """IPython asks for this; it returns the lines to show in the place of a traceback."""
        return str(self).splitlines()
