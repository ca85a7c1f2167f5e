"""Who is at the other end of a socket, according to the kernel."""

import os
import socket
import struct
from pathlib import Path

from trtasync.errors import BackendUnavailable, InvalidInput

ROOT = 0
"""Who can do everything anyway."""

_CREDENTIALS = struct.Struct("3i")


def credentials(connection: socket.socket) -> tuple[int, int]:
    """Process ID and user ID at the other end."""
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(packed)
    return pid, uid


def check_client(uid: int) -> None:
    """Admit only this user's processes, and root's, which could read everything anyway.

    Raises:
        InvalidInput: it is another user.
    """
    if uid not in (os.geteuid(), ROOT):
        raise InvalidInput(
            f"the engine process belongs to user {os.geteuid()}, but the client is user {uid}; "
            "open an engine as the same user."
        )


def check_host(uid: int, path: Path) -> None:
    """Demand that nobody impersonates the host, which is possible where others may write.

    Raises:
        BackendUnavailable: it is another user.
    """
    if uid not in (os.geteuid(), ROOT):
        raise BackendUnavailable(
            f"user {uid} listens at {path}, but this is user {os.geteuid()}: they could read "
            "requests. Run the engine process as the same user."
        )
