"""Socket reads and writes that keep the GIL.

On a non-blocking socket they take a microsecond. The methods of `socket.socket` release the GIL,
and beside a thread that computes in Python the loop would get it back only after a switch interval:
5 ms each time.
"""

import ctypes
import os
import socket
from functools import cache
from typing import Any


class Quick:
    """A non-blocking stream socket, for short messages."""

    def __init__(self, end: socket.socket, most: int):
        """Look up what is needed.

        Args:
            end: the socket, which its creator closes.
            most: the most bytes read at once.
        """
        self._number = end.fileno
        self._most = most
        self._room = ctypes.create_string_buffer(most)
        self._content = memoryview(self._room)
        self._recv, self._send = _functions()

    def receive(self) -> bytes:
        """Read what has arrived; b"" if the other side is gone.

        Raises:
            BlockingIOError, InterruptedError: nothing has arrived.
            OSError: the connection is broken.
        """
        size = self._recv(self._number(), self._room, self._most, 0)
        if size < 0:
            raise _problem()
        return bytes(self._content[:size])

    def send(self, said: bytes) -> int:
        """Send; return how many of these bytes could be sent.

        Raises:
            BlockingIOError, InterruptedError: none could.
            OSError: the connection is broken.
        """
        size: int = self._send(self._number(), said, len(said), 0)
        if size < 0:
            raise _problem()
        return size


@cache
def _functions() -> tuple[Any, Any]:
    """`recv` and `send` of the C library. `PyDLL` is what keeps the GIL."""
    library = ctypes.PyDLL(None, use_errno=True)
    recv, send = library.recv, library.send
    recv.argtypes = ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    send.argtypes = ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int
    recv.restype = send.restype = ctypes.c_ssize_t
    return recv, send


def _problem() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
