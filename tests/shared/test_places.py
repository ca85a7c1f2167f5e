"""The folder of sockets: this user's alone, or nothing is started."""

import os
import stat
from pathlib import Path

import pytest

from trtasync import InvalidInput
from trtasync.shared.places import MOST_PATH, VARIABLE, Place, runtime_folder


@pytest.fixture
def variable(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return monkeypatch


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_for_this_user_alone(variable: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wanted = tmp_path / "hosts"
    variable.setenv(VARIABLE, str(wanted))
    before = os.umask(0)
    try:
        assert runtime_folder() == wanted
    finally:
        os.umask(before)
    assert mode(wanted) == 0o700
    assert runtime_folder() == wanted  # it is there now


def test_that_of_the_session_is_taken_if_it_is_private(
    variable: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    variable.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    tmp_path.chmod(0o700)
    assert runtime_folder() == tmp_path / "trtasync"
    tmp_path.chmod(0o755)
    assert runtime_folder() == Path(f"/tmp/trtasync-{os.geteuid()}")


@pytest.mark.parametrize("wrong", [0o770, 0o701, 0o755])
def test_a_folder_that_is_open_to_others_is_refused(
    variable: pytest.MonkeyPatch, tmp_path: Path, wrong: int
) -> None:
    tmp_path.chmod(wrong)
    variable.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(InvalidInput, match="is open to others") as caught:
        runtime_folder()
    assert VARIABLE in str(caught.value)


def test_what_is_no_folder_is_refused(variable: pytest.MonkeyPatch, tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(0o700)
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to(private)
    file.touch()
    for path in (link, file):
        variable.setenv(VARIABLE, str(path))
        with pytest.raises(InvalidInput, match="is no plain folder"):
            runtime_folder()
    variable.setenv(VARIABLE, str(file / "below"))
    with pytest.raises(InvalidInput, match="cannot be created"):
        runtime_folder()


def test_somebody_elses_folder_is_refused(variable: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    variable.setenv(VARIABLE, str(tmp_path))
    mine = os.geteuid()
    variable.setattr(os, "geteuid", lambda: mine + 1)
    with pytest.raises(InvalidInput, match=f"belongs to user {mine}"):
        runtime_folder()


def test_a_path_that_no_socket_can_have(variable: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / ("x" * MOST_PATH)
    variable.setenv(VARIABLE, str(folder))
    with pytest.raises(InvalidInput, match=f"{MOST_PATH} bytes"):
        Place.of("a")
