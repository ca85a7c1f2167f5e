"""What the kernel shows, as a report has it."""

from pathlib import Path

import pytest

from trtasync.doctor.gpus import gpus
from trtasync.doctor.limits import limits

V2 = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw,nsdelegate"
MEMINFO = "MemAvailable: 4096 kB\nHugePages_Total:      3\nHugepagesize:       2048 kB\n"


def written(root: Path, **files: str) -> Path:
    """A root directory with files, "__" standing for a slash."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_limits_are_those_of_the_group_and_the_kernel(tmp_path: Path) -> None:
    root = written(
        tmp_path,
        proc__self__cgroup="0::/\n",
        proc__self__mountinfo=f"{V2}\n",
        proc__meminfo=MEMINFO,
        sys__kernel__mm__transparent_hugepage__enabled="always [madvise] never\n",
    )
    written(root / "sys/fs/cgroup", **{"cpu.max": "150000 100000\n"})

    found = limits(root)

    assert (found.quota, found.free_memory) == (1.5, 4 << 20)
    assert (found.huge_pages, found.transparent_huge_pages) == (6 << 20, "madvise")


def test_where_nothing_is_told_nothing_is_made_up(tmp_path: Path) -> None:
    found = limits(tmp_path)

    assert (found.quota, found.huge_pages, found.transparent_huge_pages) == (None, 0, "")
    assert gpus(tmp_path).models == []
    assert gpus(tmp_path).driver == ""


def test_locked_memory_is_what_the_process_may_lock() -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (4096, before[1]))
    try:
        assert limits().locked_memory == 4096
    finally:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, before)


def test_gpus_are_those_of_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    nvidia = tmp_path / "proc/driver/nvidia"
    written(nvidia, version="NVRM version: NVIDIA UNIX Kernel Module  580.1  x\nGCC version: 1\n")
    for bus, model in (("0000:01", "NVIDIA H200"), ("0000:02", "NVIDIA L4")):
        written(nvidia / "gpus" / bus, information=f"Model: \t\t {model}\nIRQ:   12\n")

    found = gpus(tmp_path)

    assert found.driver == "NVIDIA UNIX Kernel Module 580.1 x"
    assert (found.models, found.visible) == (["NVIDIA H200", "NVIDIA L4"], "1")
