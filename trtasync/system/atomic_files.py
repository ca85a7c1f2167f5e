"""Files that are there as a whole or not at all."""

import errno
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import IO


@contextmanager
def written_whole(path: Path, mode: int | None = None) -> Iterator[IO[bytes]]:
    """A file to write to, which becomes `path` when the block ends well: synced, then renamed.

    What is a link of this user's is written where it leads. What is there and no plain file (a
    pipe, a terminal) is written to as it is.

    Args:
        path: the file to be.
        mode: of it, whatever the umask; None for that of the own file it replaces, or else what the
            umask says.

    Raises:
        OSError: it cannot be written; nothing is left behind, and what was there stays.
    """
    _demand_own_link(path)
    target = Path(os.path.realpath(path))
    try:
        there = target.stat()
    except OSError:  # whether it can be written is seen soon
        there = None
    plain = there is None or stat.S_ISREG(there.st_mode) or stat.S_ISDIR(there.st_mode)
    if mode is None and there is not None and _is_mine(there):
        mode = there.st_mode & 0o777
    try:
        with _renamed_at_the_end(target, mode) if plain else target.open("wb") as file:
            yield file
    except OSError as error:
        error.filename = str(path)  # instead of a name that nobody knows
        raise


def _is_mine(there: os.stat_result) -> bool:
    """What this user has set, and nobody else."""
    return not hasattr(os, "geteuid") or there.st_uid == os.geteuid()


def _demand_own_link(path: Path) -> None:
    """In a folder that all can write, another user's link leads where that user likes."""
    with suppress(FileNotFoundError):
        there = os.lstat(path)
        if stat.S_ISLNK(there.st_mode) and not _is_mine(there) and there.st_uid != 0:
            raise PermissionError(errno.EPERM, "it is a link of another user's", str(path))


@contextmanager
def _renamed_at_the_end(target: Path, mode: int | None) -> Iterator[IO[bytes]]:
    unfinished = unfinished_name(target)
    created = os.open(
        unfinished,
        os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0),
        0o666 if mode is None else 0o600,
    )
    try:
        with os.fdopen(created, "wb") as file:
            yield file
            file.flush()
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(created, mode)
            os.fsync(created)
        unfinished.replace(target)
        _sync_folder(target.parent)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def unfinished_name(path: Path) -> Path:
    """A name for what is to become `path`; short, because names may have 255 bytes at most."""
    return path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.tmp")


def unfinished_files(path: Path) -> Iterator[Path]:
    """What is there of such a name."""
    return path.parent.glob(f"{escape(path.name)}.{'[0-9a-f]' * 12}.tmp")


def _sync_folder(folder: Path) -> None:
    """Make the rename last; not every system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
