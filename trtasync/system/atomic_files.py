"""Files that are written completely or not at all."""

import errno
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import IO


class Draft:
    """A file that is written under another name, until it appears under its own.

    Attributes:
        file: to be written to, until it is sealed.
    """

    def __init__(self, path: Path, mode: int | None = None):
        """Begin it; see `written_whole`.

        Raises:
            OSError: it cannot be made.
        """
        _demand_own_link(path)
        self._target = Path(os.path.realpath(path))
        self._mode = _mode_there(self._target) if mode is None else mode
        self._unfinished = unfinished_name(self._target)
        descriptor = os.open(
            self._unfinished,
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0),
            0o666 if self._mode is None else 0o600,
        )
        self.file: IO[bytes] = os.fdopen(descriptor, "wb")

    def seal(self) -> None:
        """All is written: bring it to the disk."""
        with self.file as file:
            file.flush()
            if self._mode is not None and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), self._mode)
            os.fsync(file.fileno())

    def appear(self) -> None:
        """Put it where it belongs, in one moment."""
        self._unfinished.replace(self._target)

    def last(self) -> None:
        """Make that last; not every system can."""
        _sync_folder(self._target.parent)

    def drop(self) -> None:
        """Remove it, unless it has appeared."""
        with suppress(OSError):  # what is left in its buffer need not be written
            self.file.close()
        with suppress(OSError):
            self._unfinished.unlink(missing_ok=True)


@contextmanager
def written_whole(path: Path, mode: int | None = None) -> Iterator[IO[bytes]]:
    """Yield a file that becomes `path` if the block succeeds: it is synced, then renamed.

    If `path` is a link of this user, its target is written. If it exists and is not a plain file (a
    pipe, a terminal), it is written directly.

    Args:
        path: the file.
        mode: its mode, regardless of the umask; None for the mode of the user's own file that it
            replaces, or else the umask's.

    Raises:
        OSError: it cannot be written; nothing is left behind, and an existing file is unchanged.
    """
    try:
        with _draft(path, mode) if _is_plain(path) else _as_it_is(path) as file:
            yield file
    except OSError as error:
        error.filename = str(path)  # instead of the temporary name
        raise


@contextmanager
def _draft(path: Path, mode: int | None) -> Iterator[IO[bytes]]:
    draft = Draft(path, mode)
    try:
        yield draft.file
        draft.seal()
        draft.appear()
        draft.last()
    except BaseException:
        draft.drop()
        raise


def _as_it_is(path: Path) -> IO[bytes]:
    _demand_own_link(path)
    return path.open("wb")


def _is_plain(path: Path) -> bool:
    """What is to be there is a file, as far as can be seen."""
    try:
        kind = path.stat().st_mode
    except OSError:  # whether it can be written is known early
        return True
    return stat.S_ISREG(kind) or stat.S_ISDIR(kind)


def _mode_there(target: Path) -> int | None:
    """Of the file that is replaced; None where it is not this user's."""
    try:
        there = target.stat()
    except OSError:
        return None
    return there.st_mode & 0o777 if _is_mine(there) else None


def _is_mine(there: os.stat_result) -> bool:
    """What this user has set, and nobody else."""
    return not hasattr(os, "geteuid") or there.st_uid == os.geteuid()


def _demand_own_link(path: Path) -> None:
    """In a folder that everybody can write, another user's link may lead anywhere."""
    with suppress(FileNotFoundError):
        there = os.lstat(path)
        if stat.S_ISLNK(there.st_mode) and not _is_mine(there) and there.st_uid != 0:
            raise PermissionError(errno.EPERM, "it is a link of another user's", str(path))


def unfinished_name(path: Path) -> Path:
    """A temporary name for `path`; short, because names have at most 255 bytes."""
    return path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.tmp")


def unfinished_files(path: Path) -> Iterator[Path]:
    """What is there of such a name."""
    return path.parent.glob(f"{escape(path.name)}.{'[0-9a-f]' * 12}.tmp")


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
