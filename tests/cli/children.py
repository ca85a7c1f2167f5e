"""What the tests of the command line let their children do; see `tests.doubles.child`."""

import sys

from trtasync.__main__ import main as command_line


def main(*arguments: str) -> None:
    """`python -m trtasync`, with the doubles."""
    sys.argv = ["trtasync", *arguments]
    command_line()
