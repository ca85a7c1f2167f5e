"""What the machine and the control groups let this process have."""

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

from trtasync.system.cores import cores, quota
from trtasync.system.free_memory import free_memory, read_text


@dataclass(frozen=True, slots=True)
class Limits:
    """None stands for no limit, or for what the system does not tell.

    Attributes:
        cores: that this process may use.
        machine_cores: that the machine has.
        quota: of CPU, by the control groups, in cores.
        free_memory: bytes that it may still take.
        locked_memory: bytes that may be locked (`ulimit -l`).
        open_files: (`ulimit -n`).
        most_open_files: that it may be raised to.
        huge_pages: bytes of memory that are reserved for these.
        transparent_huge_pages: always, madvise or never; "" if not told.
    """

    cores: int
    machine_cores: int
    quota: float | None
    free_memory: int | None
    locked_memory: int | None
    open_files: int | None
    most_open_files: int | None
    huge_pages: int
    transparent_huge_pages: str


def limits(root: Path = Path("/")) -> Limits:
    """Of this process; `root` is that of `/proc`, `/sys` and the control groups."""
    share = quota(root)
    locked, _ = _limit("RLIMIT_MEMLOCK")
    files, most_files = _limit("RLIMIT_NOFILE")
    return Limits(
        cores=cores(),
        machine_cores=os.cpu_count() or 1,
        quota=None if math.isinf(share) else share,
        free_memory=free_memory(root),
        locked_memory=locked,
        open_files=files,
        most_open_files=most_files,
        huge_pages=_huge_pages(read_text(root / "proc/meminfo")),
        transparent_huge_pages=_chosen(
            read_text(root / "sys/kernel/mm/transparent_hugepage/enabled")
        ),
    )


def _limit(name: str) -> tuple[int | None, int | None]:
    try:
        import resource
    except ImportError:  # no such limits on this system
        return None, None
    now, most = (
        None if each == resource.RLIM_INFINITY else each
        for each in resource.getrlimit(getattr(resource, name))
    )
    return now, most


def _huge_pages(meminfo: str) -> int:
    told = dict(re.findall(r"^(HugePages_Total|Hugepagesize):\s+(\d+)", meminfo, re.M))
    return int(told.get("HugePages_Total", 0)) * int(told.get("Hugepagesize", 0)) * 1024


def _chosen(text: str) -> str:
    found = re.search(r"\[(\w+)\]", text)
    return found[1] if found else ""
