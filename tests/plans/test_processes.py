"""Several processes and one cache: one build, many readers, and killed ones do no harm."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.doubles import child
from support.doubles.child import ROOT
from tests.genuine import library, process
from tests.genuine.machines import GENUINE
from tests.plans.children import SIZE
from tests.plans.support import (
    ELEVEN,
    VERSIONS,
    contents,
    matrix,
    mountable,
    unfinished,
    words,
    write_matmul,
)

CHILDREN = "tests.plans.children"


EVERY_BUILDER = pytest.mark.parametrize("builder", [*VERSIONS, GENUINE])
ELEVEN_AND_GENUINE = pytest.mark.parametrize("builder", [ELEVEN, GENUINE])


def command(builder: str, target: str, *arguments: object) -> list[str]:
    """Of a child with doubles of a version, or with NVIDIA's own builder."""
    if builder != library.PACKAGE:
        return child.command(f"{CHILDREN}:{target}", *arguments)
    if not library.is_installed():
        pytest.skip("TensorRT for RTX is not there; `make test` fetches it")
    return process.command(f"{CHILDREN}:{target}", *arguments)


def start(
    builder: str, log: Path | str, target: str, *arguments: object, **settings: str
) -> subprocess.Popen[bytes]:
    """Such a child."""
    settings |= {"TRTASYNC_DOUBLE_LOG": str(log), "TRTASYNC_DOUBLE_VERSION": builder}
    return subprocess.Popen(
        command(builder, target, *arguments),
        cwd=ROOT,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def result(started: subprocess.Popen[bytes]) -> Any:
    """What a child returns; it must end well."""
    out, errors = started.communicate(timeout=290)
    assert started.returncode == 0, errors.decode()
    return json.loads(out)


@EVERY_BUILDER
def test_two_processes_at_once_make_one_build_and_two_readers(tmp_path: Path, builder: str) -> None:
    model, log = write_matmul(tmp_path / "m.onnx", matrix()), tmp_path / "log"
    children = [
        start(builder, log, "build_together", model, tmp_path / "cache", 2) for _ in range(2)
    ]
    results = [result(each) for each in children]
    events = [line.split()[0] for line in log.read_text().splitlines()]
    assert sorted(events) == ["came", "came", "end", "start"]
    assert events.index("end") > max(i for i, event in enumerate(events) if event == "came")
    assert sorted(each["cached"] for each in results) == [False, True]
    assert len({each["path"] for each in results}) == 1
    assert all(each["right"] for each in results)


@ELEVEN_AND_GENUINE
def test_fifty_killed_builders_never_leave_a_torn_plan(tmp_path: Path, builder: str) -> None:
    model = write_matmul(tmp_path / "m.onnx", matrix(0, SIZE, SIZE))
    settings = {"TRTASYNC_DOUBLE_STEP_SECONDS": "0.001"}
    told = result(
        start(builder, tmp_path / "log", "kill_builders", model, tmp_path, 50, **settings)
    )
    found = told["found"]
    assert told["broken"] == []
    assert sum(found.values()) >= 50
    assert told["operations"] > 10
    # killed in every phase: before and within the writing of files, while they appear, afterwards
    if builder == library.PACKAGE:  # it has no timing cache
        assert {"nothing", "tmp", "plan tmp", "json plan"} <= found.keys()
    else:
        wanted = {"nothing", "timing", "timing tmp", "plan timing tmp", "json plan timing"}
        assert wanted <= found.keys()


@ELEVEN_AND_GENUINE
@pytest.mark.parametrize("room", [0, 100, 20_000])
def test_no_room_for_files_is_one_clear_error_and_leaves_nothing(
    tmp_path: Path, builder: str, room: int
) -> None:
    model = write_matmul(tmp_path / "m.onnx", matrix(0, SIZE, SIZE))
    cache, output = tmp_path / "cache", tmp_path / "out" / "m.plan"
    text = result(start(builder, "", "build_with_little_room", model, cache, output, room))
    words(text, "cannot be written", "too large", "Free some space")
    assert not [name for name in contents(cache) if not name.startswith("timing/")]
    assert not unfinished(cache)
    assert contents(tmp_path / "out") == {}


@ELEVEN_AND_GENUINE
def test_a_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path: Path, builder: str) -> None:
    """On a real one where this user may mount one; `ENOSPC` is tested with no such rights too."""
    disk = tmp_path / "disk"
    disk.mkdir()
    model = write_matmul(tmp_path / "m.onnx", matrix(0, SIZE, SIZE))
    how = "mount" if mountable(disk) else "patch"
    arguments = command(builder, "build_on_a_small_disk", model, disk, how)
    inside = ["unshare", "-rm", *arguments] if how == "mount" else arguments
    done = subprocess.run(inside, cwd=ROOT, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    for text in told["errors"]:
        words(text, "cannot be written", "No space left on device", "Free some space")
    assert len(told["errors"]) == 2
    assert not [name for name in told["left"] if not name.endswith(".timing")]
