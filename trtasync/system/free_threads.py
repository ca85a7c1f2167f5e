"""The number of threads this process can still start, for libraries that hang without them."""

import os
from collections.abc import Callable
from pathlib import Path

from trtasync.system.cores import groups
from trtasync.system.free_memory import free_addresses, read_number, read_text

STACK = 8 << 20
"""Default bytes of a thread's stack."""

ARENA = 64 << 20
"""Bytes of address space that glibc's `malloc` reserves for a new thread."""


def free_threads(root: Path = Path("/")) -> int | None:
    """Threads that this process can still start, by its address space (`ulimit -v`), its control
    groups (`pids.max`) and its user's processes (`ulimit -u`); None without a limit.

    Args:
        root: the root of `/proc` and the control groups' file systems.
    """
    known = [_of_addresses(root), _of_the_user(root)]
    known += [_of_a_group(folder) for folder, _ in groups(root, "pids")]
    found = [count for count in known if count is not None]
    return max(0, min(found)) if found else None


def _of_addresses(root: Path) -> int | None:
    free = free_addresses(root)
    return None if free is None else free // (_stack() + ARENA)


def _stack() -> int:
    """Bytes of a thread's, by the limit of the first one's."""
    import resource  # there are free addresses, and so limits

    limit, _ = resource.getrlimit(resource.RLIMIT_STACK)
    return STACK if limit == resource.RLIM_INFINITY else limit


def _of_a_group(folder: Path) -> int | None:
    limit, used = (read_number(folder / name) for name in ("pids.max", "pids.current"))
    return None if limit is None or used is None else limit - used


def _of_the_user(root: Path) -> int | None:
    """Processes left by the user's limit; root has none."""
    try:
        import resource
    except ImportError:  # no such limit on this system
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if limit == resource.RLIM_INFINITY or os.getuid() == 0:
        return None
    return limit - sum(map(_threads_of(os.getuid()), root.glob("proc/[0-9]*/status")))


def _threads_of(user: int) -> Callable[[Path], int]:
    """Threads of a process by its `status`; 0 if it is another user's, or has ended."""

    def count(status: Path) -> int:
        facts = dict(line.partition(":")[::2] for line in read_text(status).splitlines())
        mine = facts.get("Uid", "").split()[:1] == [str(user)]
        return int(facts["Threads"]) if mine else 0

    return count
