"""A model file's bytes, read and hashed in one pass, kept for as long as they are needed."""

import hashlib
import mmap
import os
from pathlib import Path
from typing import Final

CHUNK: Final = 4 << 20


class Content:
    """The content of a file.

    Attributes:
        size: bytes.
        hashed: their SHA-256, to be copied and continued; None if not requested.
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
            # not backed by a file, unlike a mapping of the model: nobody can change or truncate it
            self._memory = mmap.mmap(-1, max(size, 1))
            self.hashed: hashlib._Hash | None = hashlib.sha256() if hashing else None
            self.size: int = 0
            with memoryview(self._memory) as view:
                while read := file.readinto(view[self.size : min(self.size + CHUNK, size)]):
                    if self.hashed is not None:
                        self.hashed.update(view[self.size : self.size + read])
                    self.size += read

    def view(self) -> memoryview:
        """The bytes; must be released before `let_go`."""
        return memoryview(self._memory)[: self.size]

    def let_go(self) -> None:
        """Free the memory piece by piece, since nothing else runs meanwhile (0.1 ms per MB)."""
        if hasattr(mmap, "MADV_DONTNEED"):
            for start in range(0, self.size, CHUNK):
                piece = min(CHUNK, len(self._memory) - start)
                self._memory.madvise(mmap.MADV_DONTNEED, start, piece)
        self._memory.close()
