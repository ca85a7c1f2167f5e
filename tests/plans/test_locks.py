"""Locks where the file system, or what lies at their place, does not play along."""

import errno
import fcntl
from pathlib import Path
from typing import NoReturn

import pytest

from trtasync import BuildError
from trtasync.plans.locks import locked


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EIO, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_an_error_and_no_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(descriptor: int, operation: int) -> NoReturn:
        raise OSError(code, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(BuildError, match="cannot be written"), locked(tmp_path / "a.plan"):
        pass


def test_what_a_lock_is_a_link_to_stays_as_it_is(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("years of work")
    (tmp_path / "a.plan.lock").symlink_to(precious)
    with locked(tmp_path / "a.plan"):
        assert not (tmp_path / "a.plan.lock").is_symlink()
    assert precious.read_text() == "years of work"
