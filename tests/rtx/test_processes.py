"""Several processes, one cache and the genuine builder; and places where nothing can be written."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.plans.support import contents, matrix, unfinished, words, write_matmul
from tests.plans.test_processes import _mountable
from trtasync.runtimes.tensorrt.library import Library

ROOT = Path(__file__).parents[2]
SIZE = 512
"""Of a weight; its plan of a megabyte takes a while to be written."""


def start(target: str, *arguments: object) -> subprocess.Popen[bytes]:
    """A child with the genuine builder."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.rtx.children", target, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def result(child: subprocess.Popen[bytes], seconds: float = 50) -> Any:
    """What a child returns; it must end well."""
    try:
        out, errors = child.communicate(timeout=seconds)
    finally:
        child.kill()
    assert child.returncode == 0, errors.decode()
    return json.loads(out)


def test_two_processes_at_once_make_one_build_and_one_reader(rtx: Library, tmp_path: Path) -> None:
    model, barrier = write_matmul(tmp_path / "m.onnx", matrix()), tmp_path / "barrier"
    barrier.mkdir()
    cache = tmp_path / "cache"
    children = [start("build_together", model, cache, barrier, 2) for _ in range(2)]
    results = [result(child) for child in children]
    assert sorted(each["cached"] for each in results) == [False, True]
    assert len({each["path"] for each in results}) == 1


@pytest.mark.timeout(180)
@pytest.mark.stress
def test_fifty_killed_builders_never_leave_a_torn_plan(rtx: Library, tmp_path: Path) -> None:
    model = write_matmul(tmp_path / "m.onnx", matrix(0, SIZE, SIZE))
    told = result(start("kill_builders", model, tmp_path, 50), seconds=170)
    found = told["found"]
    assert told["broken"] == []
    assert told["random"] == 50
    assert told["operations"] > 10
    # killed in every phase: before, between and within the writing of files, and when all was done
    assert {"nothing", "plan", "json plan"} <= found.keys()
    assert any("tmp" in state for state in found)


@pytest.mark.parametrize("room", [0, 100, 20_000])
def test_no_room_for_files_is_one_clear_error_and_leaves_nothing(
    rtx: Library, tmp_path: Path, room: int
) -> None:
    model = write_matmul(tmp_path / "m.onnx", matrix())
    cache, output = tmp_path / "cache", tmp_path / "out" / "m.plan"
    text = result(start("build_with_little_room", model, cache, output, room))
    words(text, "cannot be written", "too large", "Free some space")
    assert contents(cache) == contents(tmp_path / "out") == {}
    assert not unfinished(cache)


@pytest.mark.parametrize("size", [64, 4096])
def test_a_full_disk_and_a_read_only_one_are_clear_errors_or_serve(
    rtx: Library, tmp_path: Path, size: int
) -> None:
    """A plan takes 140 KiB: it does not fit, or is there when the disk is read-only."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if not _mountable(disk):
        pytest.skip("this user may not mount a disk")
    model = write_matmul(tmp_path / "m.onnx", matrix())
    child = [sys.executable, "-m", "tests.rtx.children", "build_on_a_small_disk"]
    done = subprocess.run(
        ["unshare", "-rm", *child, str(model), str(disk), str(size)],
        cwd=ROOT,
        capture_output=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    if size == 64:
        for text in told["full"]:
            words(text, "cannot be written", "No space left on device", "Free some space")
        assert told["left"] == []
    else:
        assert told["full"] == ["built", "built"]
        assert told["read-only"][0] == "cached"  # a reader writes nothing
    words(told["read-only"][1], "cannot be written", "Read-only file system", "writable")
