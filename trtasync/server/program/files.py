"""Whether the files of a model are still those that it was loaded from."""

import os
from collections.abc import Sequence
from pathlib import Path

from trtasync.shared.identity import external_files

Look = tuple[tuple[int, ...] | None, ...]
"""Per file, what tells it from the file that was there before; None if it is gone."""


class ModelFiles:
    """The file of a model, and those beside it that hold its weights."""

    def __init__(self, path: str):
        """Not looked at yet."""
        self._path = Path(path)
        self._known: tuple[int, ...] | None = None
        self._beside: Sequence[Path] = ()

    def look(self) -> Look:
        """The state of the files; equal as long as none is changed or replaced. Blocks."""
        state = _state(self._path)
        if state != self._known:
            self._beside = () if state is None else self._find()
            self._known = state
        return (state, *map(_state, self._beside))

    def _find(self) -> Sequence[Path]:
        try:
            return external_files(self._path)
        except OSError:  # opening the model will say what is wrong
            return ()


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
