"""Files that are there as a whole or not at all."""

import errno
import os
import shutil
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from trtasync.errors import BuildError

_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG}


def check_writable(path: Path, source: Path | None = None) -> Path:
    """Find out before a long build that its result could not be written. Makes the folder.

    Args:
        path: the file to be.
        source: what it is built from.

    Returns:
        where to write: `path`, or what it is a link to.

    Raises:
        BuildError: it could not be written, or something else than a plan would be lost.
    """
    try:
        target = Path(os.path.realpath(path))
        make_folder(target.parent)
        if target.is_dir():
            raise BuildError(f"{path} cannot be written: it is a folder. Name a file in it.")
        if target.exists() and not target.is_file():
            raise BuildError(f"{path} is no ordinary file, and would be replaced by one.")
        if source is not None and target.exists() and target.samefile(source):
            raise BuildError(f"{path} is the model itself; name another file for the plan.")
        probe = _unfinished(target)
        probe.open("xb").close()
        probe.unlink()
    except OSError as error:
        raise cannot_write(path, error) from error
    return target


def write_atomically(path: Path, data: Any) -> None:
    """Put a buffer into a file: under another name, synced, then renamed.

    Raises:
        BuildError: no permission, no space, no such folder. Nothing is left behind.
    """
    _replace(path, lambda file: file.write(memoryview(data)))


def copy_atomically(source: Path, path: Path) -> None:
    """The same with the content of a file.

    Raises:
        BuildError: as for `write_atomically`, or the source is not there any more.
    """
    try:
        content = source.open("rb")
    except OSError as error:
        raise BuildError(f"{source} cannot be read any more: {error.strerror or error}.") from error
    with content:
        _replace(path, lambda file: shutil.copyfileobj(content, file, 1 << 20))


def _replace(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    unfinished = _unfinished(path)
    try:
        with unfinished.open("xb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise cannot_write(path, error) from error
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def _unfinished(path: Path) -> Path:
    """A name for what is to become `path`; short, because names may have 255 bytes at most."""
    return path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.tmp")


def _sync_folder(folder: Path) -> None:
    """Make the rename last; not every system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_unfinished(path: Path) -> None:
    """What writers of `path` left behind that were killed. Only while nobody else writes it."""
    with suppress(OSError):
        for unfinished in path.parent.glob(f"{path.name}.*.tmp"):
            unfinished.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises:
        BuildError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error


def cannot_write(path: Path, error: OSError) -> BuildError:
    """Why, and what to do about it."""
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
