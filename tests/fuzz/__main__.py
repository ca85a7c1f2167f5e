"""Hostile models, notes, archives and command lines, many of them.

    python -m tests.fuzz --cases 50000               # fresh seeds; the first one is printed
    python -m tests.fuzz --cases 1 --seed 12345      # the attack 12345 again
    python -m tests.fuzz --only arguments

Exit code 1 where the library crashed, hung, took too much memory, or raised what is none of its
own errors; not where ONNX Runtime alone dies of the same model, or hangs. The files of all these
attacks stay in `.fuzz/`.
"""

import argparse
import random
import sys
import time
from pathlib import Path

from tests.fuzz.hunt import ROOT, Hunt


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=None, help="of the first; drawn by default")
    parser.add_argument("--only", default="", metavar="WORD", help="attacks that hold it in names")
    parser.add_argument("--folder", type=Path, default=ROOT / ".fuzz")
    options = parser.parse_args()
    first = random.SystemRandom().randrange(10**9) if options.seed is None else options.seed
    folder = options.folder / f"from-{first}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder.mkdir(parents=True)
    print(f"{options.cases} attacks from seed {first} on")
    begin = time.monotonic()
    failures = Hunt(folder, options.only).failures(first, options.cases)
    for failure in failures:
        print(failure)
    print(f"{len(failures)} failures in {time.monotonic() - begin:.0f} s")
    return int(any(failure.ours for failure in failures))


if __name__ == "__main__":
    sys.exit(main())
