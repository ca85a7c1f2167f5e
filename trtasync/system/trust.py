"""Files whose content is trusted because of who can have written it.

Owner and mode are asked of what is open, and that is then read: between a look at a path and its
opening, others may have put another file there.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path
from typing import IO

from trtasync.errors import InvalidInput

SUPERUSER = 0
"""Whose files everybody has to trust."""

OTHERS = stat.S_IWGRP | stat.S_IWOTH

_READ = os.O_RDONLY | sum(
    # no links followed, no waiting for the writer of a pipe, no terminal made ours
    getattr(os, name, 0)
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY")
)


class NotTrusted(PermissionError):
    """Others can have written it, or it is no plain file; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The user whose files are trusted. Root's are too.

    Where the system has no POSIX owners nobody can be told from others: only links and what is no
    plain file are refused, and nobody is `me`.

    Attributes:
        uid: the user's number; None on such a system.
    """

    uid: int | None

    @classmethod
    def me(cls) -> "Owner":
        """Whoever runs this process."""
        return cls(os.geteuid() if hasattr(os, "geteuid") else None)

    @classmethod
    def named(cls, user: str | int) -> "Owner":
        """A user, by name or number.

        Raises:
            InvalidInput: there is none of this name, or the system has no POSIX owners.
        """
        if not hasattr(os, "geteuid"):
            raise InvalidInput("this system has no POSIX owners; a shared cache cannot be checked.")
        if isinstance(user, int):
            return cls(user)
        from pwd import getpwnam

        try:
            return cls(getpwnam(user).pw_uid)
        except KeyError:
            raise InvalidInput(f"there is no user {user!r} here; name another one.") from None

    @property
    def is_me(self) -> bool:
        """It is this process's own user."""
        return self.uid is not None and self == Owner.me()

    def open(self, path: Path) -> BufferedReader:
        """Open a file to be read; its folder is held to the same.

        Raises:
            NotTrusted: others can have written it, it is a link, or no plain file.
            OSError: it cannot be opened.
        """
        with self.folder(path.parent) as folder:
            descriptor = _open(path, _READ, folder)
        self._check(path, descriptor)
        return os.fdopen(descriptor, "rb")

    def open_to_append(self, path: Path) -> FileIO:
        """Open a file to be read and added to, unbuffered; it is made, for its owner alone, if it
        is not there. Only the file itself is judged: it says itself what it is.

        Raises:
            NotTrusted, OSError: as `open`.
        """
        descriptor = _open(path, _READ | os.O_RDWR | os.O_CREAT, None)
        self._check(path, descriptor)
        return os.fdopen(descriptor, "r+b", buffering=0)

    def _check(self, path: Path, descriptor: int) -> None:
        """Close what is not trusted."""
        try:
            self.demand(path, os.fstat(descriptor), stat.S_ISREG)
        except BaseException:
            os.close(descriptor)
            raise

    @contextmanager
    def folder(self, path: Path, *, sticky: bool = False) -> Iterator[int | None]:
        """A folder held open: its descriptor, or None where folders have none.

        Args:
            path: of the folder.
            sticky: others may add to it what is theirs, and it may be reached through a link: it is
                a place for folders, which are judged by themselves.

        Raises:
            NotTrusted, OSError: as `open`.
        """
        if os.open not in os.supports_dir_fd:
            self.demand(path, path.lstat(), stat.S_ISDIR)
            yield None
            return
        flags = _READ | os.O_DIRECTORY
        descriptor = _open(path, flags & ~os.O_NOFOLLOW if sticky else flags, None)
        try:
            self.demand(path, os.fstat(descriptor), stat.S_ISDIR, sticky=sticky)
            yield descriptor
        finally:
            os.close(descriptor)

    def demand(
        self,
        path: Path,
        facts: os.stat_result,
        kind: Callable[[int], bool],
        *,
        sticky: bool = False,
    ) -> None:
        """Hold what is open against what is trusted.

        Raises:
            NotTrusted: it is not.
        """
        if not kind(facts.st_mode):
            raise NotTrusted(f"{path} is no plain {'file' if kind is stat.S_ISREG else 'folder'}")
        if self.uid is None:
            return
        if facts.st_uid not in (self.uid, SUPERUSER):
            raise NotTrusted(
                f"{path} belongs to {user_name(facts.st_uid)} and is not trusted: use one of your "
                "own, or say whose it may be (cache=SharedCache(folder, owner))"
            )
        if facts.st_mode & OTHERS and not (sticky and facts.st_mode & stat.S_ISVTX):
            raise NotTrusted(
                f"{path} can be written by others (mode {stat.S_IMODE(facts.st_mode):o}) and is "
                "not trusted: take that right from them (chmod go-w) if its content is as you "
                "left it, or use another one"
            )


def _open(path: Path, flags: int, folder: int | None) -> int:
    """Links have an error of their own on every system; it is made one."""
    name = path if folder is None else path.name
    try:
        return os.open(name, flags, 0o600, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENOTDIR) and path.is_symlink():
            raise NotTrusted(f"{path} is a link, which is not followed here") from error
        if error.errno == errno.ENXIO:
            raise NotTrusted(f"{path} is no plain file") from error
        error.filename = str(path)
        raise


def make_own(path: Path, mode: int) -> None:
    """Make a folder of this mode, whatever the umask; one that is there and this user's own is
    closed to others if they can write it.

    Raises:
        NotTrusted, OSError: it can be neither made nor opened.
    """
    try:
        path.mkdir(mode)
    except FileExistsError:
        close_to_others(path, mode)
    else:
        if os.open in os.supports_dir_fd:
            path.chmod(mode)


def close_to_others(path: Path, mode: int) -> None:
    """Give a folder of this user's own this mode if others can write in it: what is in it is judged
    by itself, and stays as it is judged.

    Raises:
        NotTrusted, OSError: it cannot be opened.
    """
    if os.open not in os.supports_dir_fd:
        return
    descriptor = _open(path, _READ | os.O_DIRECTORY, None)
    try:
        facts = os.fstat(descriptor)
        if facts.st_uid == os.geteuid() and facts.st_mode & OTHERS:
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def user_name(uid: int) -> str:
    """A user in words."""
    with suppress(ImportError, KeyError):
        from pwd import getpwuid

        return f"user {getpwuid(uid).pw_name}"
    return f"user {uid}"


def read_whole(file: IO[bytes], most: int) -> bytes:
    """What is in a file.

    Raises:
        ValueError: it has more than `most` bytes.
    """
    # no more is asked for than is there: a reader without a buffer makes room for all of it first
    data = file.read(min(os.fstat(file.fileno()).st_size, most) + 1)
    if len(data) > most:
        raise ValueError(f"it has more than {most} bytes")
    return data
