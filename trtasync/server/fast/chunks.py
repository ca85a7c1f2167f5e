"""Bodies that come in chunks (RFC 9112, 7.1), read strictly."""

import re

from trtasync.server.protocol.bodies import too_large
from trtasync.server.protocol.refusals import Refusal

LONGEST_LINE = 18
"""Bytes of the line before a chunk: 16 digits and its end."""

LINES_AT_ONCE = 2048
"""Most lines read in one go, which takes a millisecond or two, however small the chunks are."""

_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}\r\n")


class Chunks:
    """Puts the chunks of a body together.

    Chunk extensions and trailers are refused: nobody sends them, and servers disagree on them.

    Attributes:
        body: what has come so far.
        is_complete: the last chunk was read.
        is_behind: more has come than was read in one go; `feed(b"")` reads on.
    """

    def __init__(self, most: int):
        """`most`: bytes of the largest body accepted."""
        self.body: bytearray = bytearray()
        self.is_complete: bool = False
        self.is_behind: bool = False
        self._most = most
        self._missing = 0  # bytes of the current chunk that are still to come
        self._begun = b""  # what was fed and not read yet, such as part of a line
        self._after_data = self._after_last = False

    def feed(self, data: bytes) -> bytes:
        """Read on, `LINES_AT_ONCE` at most; return what follows the body once it is complete.

        Raises:
            Refusal: these are no chunks, or the body is too large.
        """
        data = self._begun + data
        at = lines = 0
        while lines < LINES_AT_ONCE and not self.is_complete:
            if self._missing:
                piece = data[at : at + self._missing]
                self.body += piece
                self._missing -= len(piece)
                at += len(piece)
                if self._missing:
                    break
                self._after_data = True
            end = data.find(b"\n", at, at + LONGEST_LINE) + 1
            if not end:
                if len(data) - at >= LONGEST_LINE:
                    raise Refusal("a chunk of the body begins with no size.")
                break
            self._read_line(data[at:end])
            at = end
            lines += 1
        self.is_behind = lines == LINES_AT_ONCE and not self.is_complete
        self._begun = b"" if self.is_complete else data[at:]
        return data[at:] if self.is_complete else b""

    def _read_line(self, line: bytes) -> None:
        if self._after_data:
            if line != b"\r\n":
                raise Refusal("a chunk of the body is longer than it says.")
            self._after_data = False
            return
        if self._after_last:
            if line != b"\r\n":
                raise Refusal("trailers behind the chunks of a body are not taken.")
            self.is_complete = True
            return
        if not _SIZE.fullmatch(line):
            raise Refusal("a chunk of the body begins with no size, or with more than that.")
        self._missing = int(line, 16)
        self._after_last = not self._missing
        if len(self.body) + self._missing > self._most:
            raise too_large(self._most)
