"""Makes one attack after the other, with little memory, and says how each ended.

    python -m tests.fuzz.child FOLDER FIRST COUNT MEGABYTES ONLY

Each attack has two lines: its seed when it begins, and "ok" or what was raised when it has ended.
"""

import logging
import os
import resource
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.attacks import attack
from tests.fuzz.models import corpus

FRAMES = 4
"""Of a traceback, the innermost."""

Attack = Callable[[int, Path, str], object]
"""Of a seed, a folder for its files, and a word that its name must hold."""


def main() -> None:
    """See above."""
    corpus()  # it takes seconds to make, which are no attack's
    serve(attack)


def serve(make: Attack) -> None:
    """Make the attacks that the command line asks for."""
    folder, first, count, megabytes, only = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is attacked may print
    logging.getLogger("trtasync").addHandler(logging.NullHandler())
    os.environ["TRTASYNC_CACHE_DIR"] = str(Path(folder, "cache"))
    _bound_memory(int(megabytes) << 20)
    for seed in range(int(first), int(first) + int(count)):
        place = Path(folder, str(seed))
        place.mkdir()
        answers.write(f"{seed}\n")
        try:
            make(seed, place, only)
        except BaseException as error:
            answers.write(f"{_told(error)}\n")
        else:
            shutil.rmtree(place)
            answers.write("ok\n")


def _told(error: BaseException) -> str:
    """In one line."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    where = " < ".join(f"{Path(each.filename).name}:{each.lineno}" for each in reversed(frames))
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]} ({where})"


def _bound_memory(more: int) -> None:
    """Let the address space grow by so many bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more,) * 2)


if __name__ == "__main__":
    main()
