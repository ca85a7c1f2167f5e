"""Who is at the other end of a socket, as the system knows it."""

import os
import socket
import struct
from pathlib import Path

from trtasync.errors import BackendUnavailable, InvalidInput

ROOT = 0
"""Who can do everything anyway."""

_CREDENTIALS = struct.Struct("3i")


def credentials(connection: socket.socket) -> tuple[int, int]:
    """Process and user at the other end."""
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(packed)
    return pid, uid


def check_client(uid: int) -> None:
    """Requests and answers are this user's own; root could read them anyway.

    Raises:
        InvalidInput: it is somebody else.
    """
    if uid not in (os.geteuid(), ROOT):
        raise InvalidInput(
            f"the engine process belongs to user {os.geteuid()}, and user {uid} asks; open an "
            "engine as the same user."
        )


def check_host(uid: int, path: Path) -> None:
    """Nobody stands in for the host: who else could listen where others may write, too?

    Raises:
        BackendUnavailable: it is somebody else.
    """
    if uid not in (os.geteuid(), ROOT):
        raise BackendUnavailable(
            f"user {uid} listens at {path}, and this is user {os.geteuid()}: they could read what "
            "is asked. Have the engine process run as the same user."
        )
