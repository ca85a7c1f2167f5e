"""Locks between processes, using `filelock`; a killed owner's lock is released at once."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trtasync.errors import BackendUnavailable
from trtasync.plans.files import cannot_write, clear_the_way
from trtasync.system.stopping import go_on

if TYPE_CHECKING:
    from filelock import BaseFileLock

log: logging.Logger = logging.getLogger("trtasync")

_PATIENCE = 0.2
"""Seconds between two looks at whether the wait was called off."""


@contextmanager
def locked(path: Path, stop: threading.Event | None = None) -> Iterator[None]:
    """Be the only one, among all threads and processes, that writes `path`.

    The lock is a file beside it, which stays: removing it could let two in.

    Args:
        path: the file to be written.
        stop: set to give up waiting.

    Raises:
        Stopped: because `stop` was set.
        BuildError: the folder cannot be written.
    """
    lock = _lock_of(path)
    told = False
    while not _take(lock, path, _PATIENCE):
        if stop is not None:
            go_on(stop)
        if not told:
            log.warning("%s: waiting for another process that is building it", path.name)
            told = True
    try:
        yield
    finally:
        lock.release()


@contextmanager
def locked_at_once(path: Path) -> Iterator[bool]:
    """The same without waiting: False if somebody else is writing.

    Raises:
        BuildError: the folder cannot be written.
    """
    lock = _lock_of(path)
    taken = _take(lock, path, 0)
    try:
        yield taken
    finally:
        if taken:
            lock.release()


def _lock_of(path: Path) -> "BaseFileLock":
    try:
        from filelock import FileLock
    except ImportError as error:
        raise BackendUnavailable(
            f"keeping plans needs the filelock package: pip install 'trtasync[build]' ({error})."
        ) from error
    file = path.with_name(path.name + ".lock")
    try:
        if clear_the_way(file):  # it would lock a link's target, or wait for a pipe
            log.warning("%s: not a regular file; removed", file)
    except OSError as error:
        raise cannot_write(file, error) from error
    return FileLock(file, mode=0o600)


def _take(lock: "BaseFileLock", path: Path, seconds: float) -> bool:
    """Wait this long for it; return whether it was acquired."""
    from filelock import Timeout

    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        return False
    except OSError as error:
        raise cannot_write(path, error) from error
    return True
