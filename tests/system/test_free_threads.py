"""How many threads are left: by a control group's number, the user's limit, and addresses."""

import os
import resource
from pathlib import Path

import pytest

from trtasync.system.free_threads import ARENA, free_threads

USER = 1234
PAGE = resource.getpagesize()


class Limits:
    """The limits of a process that is not root's; none at first."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._limits: dict[int, int] = {}
        monkeypatch.setattr(os, "getuid", lambda: USER)
        monkeypatch.setattr(resource, "getrlimit", self._get)

    def set(self, which: int, limit: int) -> None:
        """Limit something."""
        self._limits[which] = limit

    def _get(self, which: int) -> tuple[int, int]:
        limit = self._limits.get(which, resource.RLIM_INFINITY)
        return limit, limit


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Limits:
    return Limits(monkeypatch)


def process(root: Path, number: int, user: int, threads: int) -> None:
    folder = root / f"proc/{number}"
    folder.mkdir(parents=True)
    ids = "\t".join([str(user)] * 4)
    (folder / "status").write_bytes(
        f"Name:\tmy: \nUid:\t{ids}\nThreads:\t{threads}\n".encode() + b"x:\t\xff\n"
    )


def test_nothing_limits_them(tmp_path: Path, limits: Limits) -> None:
    process(tmp_path, 7, USER, 3)
    assert free_threads(tmp_path) is None


def test_a_user_may_have_so_many_in_all_processes(tmp_path: Path, limits: Limits) -> None:
    process(tmp_path, 7, USER, 30)
    process(tmp_path, 8, USER + 1, 500)
    process(tmp_path, 9, USER, 5)
    (tmp_path / "proc/10").mkdir()  # it has just ended
    limits.set(resource.RLIMIT_NPROC, 40)
    assert free_threads(tmp_path) == 5
    limits.set(resource.RLIMIT_NPROC, 20)
    assert free_threads(tmp_path) == 0


def test_root_has_no_such_limit(
    tmp_path: Path, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits.set(resource.RLIMIT_NPROC, 1)
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert free_threads(tmp_path) is None


@pytest.mark.parametrize(
    ("stack", "expected"), [(8 << 20, 10), (80 << 20, 5), (resource.RLIM_INFINITY, 10)]
)
def test_stacks_and_arenas_take_addresses(
    tmp_path: Path, limits: Limits, stack: int, expected: int
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/statm").write_text("100 50 20 1 0 40 0\n")
    limits.set(resource.RLIMIT_AS, 100 * PAGE + 10 * (ARENA + (8 << 20)))
    limits.set(resource.RLIMIT_STACK, stack)
    assert free_threads(tmp_path) == expected


@pytest.mark.parametrize(
    ("groups", "mount"),
    [
        ("0::/job\n", "1 2 0:3 / /groups rw - cgroup2 cgroup2 rw\n"),
        ("8:pids:/job\n", "1 2 0:3 / /groups rw - cgroup cgroup rw,pids\n"),
    ],
)
def test_what_a_control_group_leaves(
    tmp_path: Path, limits: Limits, groups: str, mount: str
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    (tmp_path / "proc/self/mountinfo").write_text(mount)
    group = tmp_path / "groups/job"
    group.mkdir(parents=True)
    (group / "pids.current").write_text("70\n")
    (group / "pids.max").write_text("max\n")
    assert free_threads(tmp_path) is None
    (group / "pids.max").write_text("100\n")
    assert free_threads(tmp_path) == 30
    (tmp_path / "groups/pids.current").write_text("95\n")
    (tmp_path / "groups/pids.max").write_text("100\n")
    assert free_threads(tmp_path) == 5
