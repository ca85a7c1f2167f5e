"""An attacker whose library is broken in the ways that a hunt has to notice; see `child`."""

import os
import threading
from pathlib import Path

from tests.fuzz.child import serve


def _attack(seed: int, folder: Path, only: str) -> None:
    (folder / "evidence").write_text("kept")
    match seed:
        case 1:
            os.abort()
        case 2:
            threading.Event().wait()
        case 3:
            bytearray(64 << 20)
        case 4:
            raise KeyError("raw\nand of two lines")


if __name__ == "__main__":
    serve(_attack)
