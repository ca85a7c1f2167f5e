"""`cores()`: affinity, and the quotas of control groups of both generations."""

import math
import os
from pathlib import Path

import pytest

from trtasync.system.cores import cores, quota

V2 = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw,nsdelegate"
V1 = "31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"
V1_MEMORY = "32 24 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
DISK = "24 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw"


def machine(root: Path, groups: str, mounts: list[str], files: dict[str, str]) -> Path:
    """A root directory with what the kernel shows."""
    shown = {
        "proc/self/cgroup": groups,
        "proc/self/mountinfo": "\n".join([DISK, *mounts]) + "\n",
        **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
    }
    for name, text in shown.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "expected"),
    [
        pytest.param("0::/\n", [V2], {"cpu.max": "150000 100000\n"}, 1.5, id="container"),
        pytest.param("0::/\n", [V2], {"cpu.max": "max 100000\n"}, math.inf, id="no limit"),
        pytest.param("0::/a\n", [V2], {"a/cpu.max": "50000 25000\n"}, 2, id="own"),
        pytest.param(
            "0::/a/b\n",
            [V2],
            {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"},
            3,
            id="an outer group's",
        ),
        pytest.param(
            "0::/a/b\n",
            [V2],
            {"a/cpu.max": "300000 100000", "a/b/cpu.max": "200000 100000"},
            2,
            id="the smaller of two",
        ),
        pytest.param(
            "4:cpu,cpuacct:/job\n3:memory:/job\n",
            [V1_MEMORY, V1],
            {
                "cpu,cpuacct/job/cpu.cfs_quota_us": "250000\n",
                "cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
            },
            2.5,
            id="v1",
        ),
        pytest.param(
            "4:cpu,cpuacct:/docker/123\n",
            [V1.replace(" / /sys", " /docker/123 /sys")],
            {
                "cpu,cpuacct/cpu.cfs_quota_us": "400000\n",
                "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            4,
            id="v1 seen from within",
        ),
        pytest.param(
            "4:cpu,cpuacct:/\n",
            [V1],
            {
                "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            math.inf,
            id="v1 no limit",
        ),
        pytest.param(
            "4:cpu,cpuacct:/\n0::/\n",
            [V1, V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified")],
            {
                "cpu,cpuacct/cpu.cfs_quota_us": "300000\n",
                "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
                "unified/cgroup.procs": "1\n",
            },
            3,
            id="both generations",
        ),
        pytest.param("0::/\n", [V2], {"cpu.max": "a lot\n"}, math.inf, id="nonsense"),
        pytest.param("0::/\n", [V2], {"cpu.max": "100000 0\n"}, math.inf, id="no period"),
        pytest.param("0::/\n", [V2], {"cpu.max/x": ""}, math.inf, id="unreadable"),
        pytest.param("nonsense\n", ["what is this"], {}, math.inf, id="unknown formats"),
    ],
)
def test_quotas(
    groups: str, mounts: list[str], files: dict[str, str], expected: float, tmp_path: Path
) -> None:
    assert quota(machine(tmp_path, groups, mounts, files)) == expected


def test_no_proc_is_no_limit(tmp_path: Path) -> None:
    assert quota(tmp_path) == math.inf


@pytest.mark.parametrize(("limit", "expected"), [(0.5, 1), (1.9, 1), (2.0, 2), (math.inf, 3)])
def test_whole_cores_and_at_least_one(
    limit: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    monkeypatch.setattr("trtasync.system.cores.quota", lambda root: limit)
    assert cores() == expected
