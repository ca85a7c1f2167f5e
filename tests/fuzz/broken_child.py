"""An attacker whose library is broken in the ways that a hunt has to notice; see `child`."""

import os
import sys
import threading
from pathlib import Path
from random import Random

from tests.fuzz import attacks, child


def _break(chance: Random, folder: Path) -> None:
    (folder / "evidence").write_text("kept")
    match int(folder.name):
        case 1:
            os.abort()
        case 2:
            threading.Event().wait()
        case 3:
            bytearray(64 << 20)
        case 4:
            raise KeyError("raw\nand of two lines")


def main() -> None:
    """As `child`, with one attack."""
    attacks.ATTACKS = {"broken": (1, _break)}
    child.corpus = tuple
    child.main()


if __name__ == "__main__":
    sys.exit(main())
