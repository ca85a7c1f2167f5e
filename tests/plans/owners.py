"""Who owns what lies in a cache, and who may write there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trtasync import BuilderConfig

NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")

CODE = BuilderConfig(version_compatible=True)
"""Of plans that carry a runtime, which is run when they are opened."""


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """What new files do not get, for this process."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def give_away(folder: Path, what: str) -> None:
    """To another user, all that is called so."""
    for each in folder.rglob(what):
        os.chown(each, NOBODY, NOBODY)


def modes(folder: Path) -> dict[str, set[str]]:
    """(folders, files) -> their modes."""
    found = [folder, *folder.rglob("*")]
    return {
        "folders": {f"{path.stat().st_mode & 0o777:o}" for path in found if path.is_dir()},
        "files": {f"{path.stat().st_mode & 0o777:o}" for path in found if path.is_file()},
    }


def take_owners_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: neither users nor descriptors of folders."""
    monkeypatch.delattr(os, "geteuid")
    monkeypatch.setattr(os, "supports_dir_fd", set())
