"""Where a host listens: a socket in the file system, and who may remove it."""

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
    """A listening socket to which only this user can connect. One left behind by a killed host is
    replaced.

    Args:
        path: path of the socket. Its folder is created if missing.

    Raises:
        InvalidInput: the socket cannot be created, others could replace it, or another process
            listens there.
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
        raise InvalidInput(f"cannot create a socket at {path}: {error}.") from error
    finally:
        os.umask(before)
    return listening


def _demand_own_folder(folder: str) -> None:
    """Whoever could write to it could impersonate the host.

    Raises:
        InvalidInput: it is not this user's or root's alone, or cannot be created.
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
    """Whether there is a socket on which nobody listens.

    Raises:
        InvalidInput: somebody does.
    """
    with suppress(OSError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False  # some other file, which refuses connections too
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        try:
            end.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:  # nothing there, or not a socket: `bind` tells
            return False
    raise InvalidInput(f"a process already listens at {path}; end it, or choose another socket.")


class StartLock:
    """The lock that a client holds while it connects to or starts a host.

    A host that ends for lack of clients holds it too, until its process has ended: then nobody
    connects to it, and no other one takes device memory at the same time.
    """

    def __init__(self, path: str | None):
        """Hold nothing.

        Args:
            path: path of the file; None if nobody starts hosts.
        """
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Take it if it is free; False if somebody has it."""
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
        """Release it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)
