"""A model file's bytes, read once and hashed on the way, for as long as somebody needs them."""

import hashlib
import mmap
import os
from pathlib import Path
from typing import Final

CHUNK: Final = 4 << 20


class Content:
    """What was in a file.

    Attributes:
        size: bytes.
        hashed: their SHA-256, to be copied and gone on with; None where nobody wanted it.
    """

    def __init__(self, path: Path, hashing: bool):
        """Read it.

        Args:
            path: the file.
            hashing: find its SHA-256.

        Raises:
            OSError: it cannot be read.
        """
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            # no file behind it, unlike a mapping of the model: nobody can change or shorten it
            self._memory = mmap.mmap(-1, max(size, 1))
            self.hashed: hashlib._Hash | None = hashlib.sha256() if hashing else None
            self.size: int = 0
            with memoryview(self._memory) as view:
                while read := file.readinto(view[self.size : min(self.size + CHUNK, size)]):
                    if self.hashed is not None:
                        self.hashed.update(view[self.size : self.size + read])
                    self.size += read

    def view(self) -> memoryview:
        """The bytes; to be released before `let_go`."""
        return memoryview(self._memory)[: self.size]

    def let_go(self) -> None:
        """Give the memory back: piece by piece, since nothing else runs meanwhile (0.1 ms a MB)."""
        if hasattr(mmap, "MADV_DONTNEED"):
            for start in range(0, self.size, CHUNK):
                piece = min(CHUNK, len(self._memory) - start)
                self._memory.madvise(mmap.MADV_DONTNEED, start, piece)
        self._memory.close()
