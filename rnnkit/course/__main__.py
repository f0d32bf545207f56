"""python -m rnnkit.course grade SUBMISSIONS ...: grades students' notebooks; see `grade --help`."""

import sys


def main() -> int:
    """Runs the command that the arguments name; returns the exit status."""
    if sys.argv[1:2] != ["grade"]:
        print(__doc__, file=sys.stderr)
        return 0 if sys.argv[1:2] in (["-h"], ["--help"]) else 2
    from rnnkit.course.grading import command

    return command.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
