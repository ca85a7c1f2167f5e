"""What the tests of the command line let their children do; see `support.doubles.child`."""

import os
import sys

from support.doubles import world
from trtasync.__main__ import main as command_line


def main(*arguments: str) -> None:
    """`python -m trtasync`, with the doubles."""
    if refused := os.environ.get("TRTASYNC_DOUBLE_REFUSES"):  # a function of CUDA
        world.current().fail(refused, "cudaErrorMemoryAllocation", 9)
    sys.argv = ["trtasync", *arguments]
    command_line()
