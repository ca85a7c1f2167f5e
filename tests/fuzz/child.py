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
from pathlib import Path
from typing import IO

from tests.fuzz.attacks import attack
from tests.fuzz.models import corpus

FRAMES = 4
"""Of a traceback, the innermost."""


def main() -> None:
    """See above."""
    folder, first, count, megabytes, only = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is attacked may print
    logging.getLogger("trtasync").addHandler(logging.NullHandler())
    os.environ["TRTASYNC_CACHE_DIR"] = str(Path(folder, "cache"))
    corpus()  # it takes seconds to make, which are no attack's
    _bound_memory(int(megabytes) << 20)
    for seed in range(int(first), int(first) + int(count)):
        place = Path(folder, str(seed))
        place.mkdir()
        answers.write(f"{seed}\n")
        _answer(answers, seed, place, only)


def _answer(answers: IO[str], seed: int, place: Path, only: str) -> None:
    try:
        attack(seed, place, only)
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
        where = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
        answers.write(f"{type(error).__name__}: {' '.join(str(error).split())[:300]} ({where})\n")
    else:
        shutil.rmtree(place)
        answers.write("ok\n")


def _bound_memory(more: int) -> None:
    """Let the address space grow by so many bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more,) * 2)


if __name__ == "__main__":
    main()
