"""The place where a host listens: a socket in the file system, and who may take it away."""

import fcntl
import os
import socket
import stat
from contextlib import suppress

from trtasync.errors import InvalidInput
from trtasync.shared.peers import ROOT
from trtasync.system.trust import OTHERS

BACKLOG = 128


def listen_at(path: str) -> socket.socket:
    """A listening socket that this user alone can connect to. One that a host left behind which
    was killed is replaced.

    Args:
        path: of the socket. Its folder is made if it is not there.

    Raises:
        InvalidInput: there can be no such socket, others could put theirs in its place, or another
            process listens there.
    """
    _demand_own_folder(os.path.dirname(os.path.abspath(path)))
    if _is_left_behind(path):
        os.unlink(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(path)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise InvalidInput(f"no socket can be made at {path}: {error}.") from error
    finally:
        os.umask(before)
    return listening


def _demand_own_folder(folder: str) -> None:
    """Who could write to it could stand in for the host.

    Raises:
        InvalidInput: it is not this user's or root's alone, or cannot be made.
    """
    try:
        with suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        facts = os.stat(folder)
    except OSError as error:
        raise InvalidInput(f"there is no folder for the socket: {error}.") from error
    if facts.st_uid not in (os.geteuid(), ROOT) or facts.st_mode & OTHERS:
        raise InvalidInput(
            f"the socket's folder, {folder}, can be written to by others (owner {facts.st_uid}, "
            f"mode {stat.S_IMODE(facts.st_mode):o}), who could stand in for the engine process; "
            "use one of your own, of mode 700."
        )


def _is_left_behind(path: str) -> bool:
    """There is a socket, and nobody listens to it.

    Raises:
        InvalidInput: somebody does.
    """
    with suppress(OSError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False  # a file of somebody's, which refuses connections too
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        try:
            end.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:  # nothing there, or nothing of the kind: `bind` says what
            return False
    raise InvalidInput(f"a process listens at {path} already; end it, or choose another socket.")


class StartLock:
    """What a client holds that connects or starts a host.

    A host that ends for want of clients holds it too, until its process has ended: nobody connects
    to it then, and no other one takes device memory beside it.
    """

    def __init__(self, path: str | None):
        """Hold nothing.

        Args:
            path: of the file; None where nobody starts hosts.
        """
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Get it if nobody has it; False if somebody has."""
        if self._path is None or self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def give_back(self) -> None:
        """Let others have it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)
