"""The number of cores this process may use: its container's share, not the whole machine."""

import os
from collections.abc import Iterator
from pathlib import Path

CGROUP_V2, CGROUP_V1 = "cgroup2", "cgroup"
"""File systems of the two generations of control groups, as `mountinfo` names them."""


def cores() -> int:
    """Whole cores available to this process by its affinity and the quotas of its control groups.

    A quota of 1.5 cores counts as 1: with more threads, all of them would be stopped for the rest
    of every scheduling period.
    """
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    return max(1, int(min(allowed, quota(Path("/")))))


def quota(root: Path) -> float:
    """The CPU quota of this process's control groups, in cores; inf without a limit.

    Args:
        root: the root of `/proc` and the control groups' file systems.
    """
    least = float("inf")
    for folder, generation in groups(root, "cpu"):
        least = min(least, _limit_v2(folder) if generation == CGROUP_V2 else _limit_v1(folder))
    return least


def groups(root: Path, controller: str) -> Iterator[tuple[Path, str]]:
    """The control groups of this process, including outer ones, each of which may set a limit.

    Args:
        root: the root of `/proc` and the control groups' file systems.
        controller: the limited resource, "cpu" or "memory".

    Yields:
        a group's folder, and the generation of its files.
    """
    paths = _paths(_lines(root / "proc/self/cgroup"), controller)
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        kind, _, options = (*after.split(), "", "", "")[:3]
        if kind not in paths or (kind == CGROUP_V1 and controller not in options.split(",")):
            continue
        inside, mounted = before.split()[3:5]
        mount = root / mounted.lstrip("/")
        # Inside a container the group's path may be the host's, and the mount the group itself.
        path = Path(paths[kind].removeprefix(inside if inside != "/" else "").lstrip("/"))
        yield mount, kind
        for depth in range(len(path.parts)):
            yield mount.joinpath(*path.parts[: depth + 1]), kind


def _paths(lines: list[str], controller: str) -> dict[str, str]:
    """Map each generation to the path of the relevant group."""
    paths = {}
    for line in lines:
        number, controllers, path = (*line.split(":", 2), "", "")[:3]
        if number == "0" and not controllers:
            paths[CGROUP_V2] = path
        elif controller in controllers.split(","):
            paths[CGROUP_V1] = path
    return paths


def _limit_v2(folder: Path) -> float:
    return _ratio(" ".join(_lines(folder / "cpu.max")).split())


def _limit_v1(folder: Path) -> float:
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    return _ratio([word for name in names for word in _lines(folder / name)])


def _ratio(words: list[str]) -> float:
    """Parse a quota and its period in microseconds; anything else ("max", -1, "") is no limit."""
    try:
        allowed, period = map(int, words)
    except ValueError:
        return float("inf")
    return allowed / period if allowed > 0 and period > 0 else float("inf")


def _lines(path: Path) -> list[str]:
    """Read a file's lines; none if it is missing or cannot be read."""
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
