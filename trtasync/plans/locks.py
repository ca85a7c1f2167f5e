"""Locks between processes, by the `filelock` package; a killed owner's lock is free at once."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trtasync.errors import BackendUnavailable
from trtasync.plans.files import cannot_write, clear_the_way
from trtasync.system.stopping import go_on

log: logging.Logger = logging.getLogger("trtasync")

_PATIENCE = 0.2
"""Seconds between two looks at whether the wait was called off."""


@contextmanager
def locked(path: Path, stop: threading.Event | None = None) -> Iterator[None]:
    """Be the only one, of all threads and processes, that writes `path`.

    The lock is a file beside it, which stays: removing it would let two in.

    Args:
        path: what is to be written.
        stop: set to give up waiting.

    Raises:
        Stopped: because `stop` was set.
        BuildError: the folder cannot be written.
    """
    try:
        from filelock import FileLock, Timeout
    except ImportError as error:
        raise BackendUnavailable(
            f"keeping plans needs the filelock package: pip install 'trtasync[build]' ({error})."
        ) from error
    file = path.with_name(path.name + ".lock")
    try:
        if clear_the_way(file):  # the lock would be what a link leads to, or wait for a pipe
            log.warning("%s: no plain file; taken away", file)
    except OSError as error:
        raise cannot_write(file, error) from error
    lock = FileLock(file, mode=0o600)
    told = False
    while True:
        try:
            lock.acquire(timeout=_PATIENCE)
            break
        except Timeout:
            if stop is not None:
                go_on(stop)
            if not told:
                log.warning("%s: waiting for whoever is making it", path.name)
                told = True
        except OSError as error:
            raise cannot_write(path, error) from error
    try:
        yield
    finally:
        lock.release()
