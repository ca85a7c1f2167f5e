"""The memory available to this process: its container's share, not the whole machine."""

import os
from pathlib import Path

from trtasync.system.cores import CGROUP_V2, groups


def free_memory(root: Path = Path("/")) -> int | None:
    """Bytes available to this process, by the machine, its control groups and its address space
    limit (`ulimit -v`); None if unknown.

    Args:
        root: the root of `/proc` and the control groups' file systems.
    """
    known = [_of_the_machine(root), free_addresses(root)]
    known += [_of_a_group(folder, kind) for folder, kind in groups(root, "memory")]
    found = [size for size in known if size is not None]
    return max(0, min(found)) if found else None


def free_addresses(root: Path = Path("/")) -> int | None:
    """Bytes of address space left by this process's limit (`ulimit -v`); None without one.

    Args:
        root: the root of `/proc`.
    """
    try:
        import resource
    except ImportError:  # no such limit on this system
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    pages = read_text(root / "proc/self/statm").split()
    return limit - int(pages[0]) * os.sysconf("SC_PAGE_SIZE") if pages else limit


def _of_the_machine(root: Path) -> int | None:
    size = _entries(root / "proc/meminfo").get("MemAvailable:")
    return None if size is None else size * 1024


def _of_a_group(folder: Path, kind: str) -> int | None:
    """Bytes left by a group's limit; pages that only cache files count as free."""
    names = ("memory.max", "memory.current")
    if kind != CGROUP_V2:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
    limit, used = (read_number(folder / name) for name in names)
    if limit is None or used is None:
        return None
    facts = _entries(folder / "memory.stat")
    return limit - used + facts.get("inactive_file", 0) + facts.get("active_file", 0)


def _entries(path: Path) -> dict[str, int]:
    """Parse a file with a name and a number in every line."""
    lines = [line.split() for line in read_text(path).splitlines()]
    return {line[0]: int(line[1]) for line in lines if len(line) > 1 and line[1].isdecimal()}


def read_number(path: Path) -> int | None:
    """The number in a control group's file; None without one ("max" is no limit)."""
    text = read_text(path).strip()
    return int(text) if text.isdecimal() else None


def read_text(path: Path) -> str:
    """Read a file; "" if it is missing, unreadable or gone meanwhile."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
