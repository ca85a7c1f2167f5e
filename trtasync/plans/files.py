"""What a build writes, and why it could not be written."""

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from trtasync.errors import BuildError
from trtasync.system.atomic_files import unfinished_files, unfinished_name, written_whole
from trtasync.system.trust import NotTrusted, Owner, make_own

PRIVATE = 0o600
"""Mode of files that are of use to one user only."""

_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG}


def check_writable(path: Path, sources: Iterable[Path] = ()) -> Path:
    """Find out before a long build whether its result can be written. Creates the folder.

    Args:
        path: the file to be written.
        sources: the files that it is built from.

    Returns:
        where to write: `path`, or the target of the link that it is.

    Raises:
        BuildError: it cannot be written, or something other than a plan would be lost.
    """
    try:
        target = Path(os.path.realpath(path))
        make_folder(target.parent)
        if target.is_dir():
            raise BuildError(f"{path} cannot be written: it is a folder. Name a file in it.")
        if target.exists() and not target.is_file():
            raise BuildError(f"{path} is not a regular file; name another file for the plan.")
        for source in sources:
            if target.exists() and target.samefile(source):
                raise BuildError(
                    f"{path} is the model itself ({source}); name another file for the plan."
                )
        probe = unfinished_name(target)
        probe.open("xb").close()
        probe.unlink()
    except OSError as error:
        raise cannot_write(path, error) from error
    return target


def write_atomically(path: Path, data: Any, mode: int | None = None) -> None:
    """Put a buffer into a file; see `written_whole`.

    Raises:
        BuildError: no permission, no space, no such folder. Nothing is left behind.
    """
    try:
        with written_whole(path, mode) as file:
            file.write(memoryview(data))
    except OSError as error:
        raise cannot_write(path, error) from error


def remove_unfinished(path: Path) -> None:
    """Remove, as far as possible, what killed writers of `path` left behind. Only while nobody else
    writes it."""
    with suppress(OSError):
        for unfinished in unfinished_files(path):
            with suppress(OSError):  # a folder that was moved aside and is not empty
                unfinished.unlink()


def clear_the_way(path: Path) -> bool:
    """Remove whatever is in the place of one of our files but not a regular file; True if there was
    anything.

    A folder that is not empty is moved aside.

    Raises:
        OSError: it cannot be removed.
    """
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISREG(kind):
        return False
    if not stat.S_ISDIR(kind):
        path.unlink()
        return True
    aside = unfinished_name(path)
    path.rename(aside)
    with suppress(OSError):
        aside.rmdir()
    return True


def make_folder(folder: Path) -> None:
    """Create a folder and its parents.

    Raises:
        BuildError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error


def make_private(folder: Path, mode: int = 0o700) -> None:
    """Create a folder that nobody else can write to, inside one of the same kind; missing parents
    are created like it.

    Raises:
        BuildError: it cannot be created, or is not this user's own.
    """
    above, me = folder.parent, Owner.me()
    try:
        for missing in reversed([each for each in (above, *above.parents) if not each.exists()]):
            make_own(missing, mode)
        with me.folder(above, sticky=True):
            make_own(folder, mode)
        with me.folder(folder):
            pass
    except OSError as error:
        raise cannot_write(folder, error) from error


def cannot_write(path: Path, error: OSError) -> BuildError:
    """The error that says why, and what to do about it."""
    if isinstance(error, NotTrusted):
        return BuildError(f"{error}.")
    if error.errno in _FULL:
        remedy = f"Free some space on the disk of {path.parent}, or choose another folder"
    elif error.errno in _FORBIDDEN:
        remedy = f"Make {path.parent} writable for this user, or choose another folder"
    else:
        remedy = "Choose another file or folder"
    return BuildError(
        f"{path} cannot be written: {error.strerror or error}. {remedy} (output and cache, or the "
        "environment variable TRTASYNC_CACHE_DIR)."
    )
