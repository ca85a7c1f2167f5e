"""A cache on a read-only disk serves; what would have to be written there is one clear error."""

import json
import subprocess
from pathlib import Path

import pytest

from support.doubles.child import ROOT
from tests.genuine import process
from tests.plans.support import matrix, mountable, words, write_matmul
from trtasync.runtimes.tensorrt.library import Library


def test_a_read_only_cache_serves(rtx: Library, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if not mountable(disk):
        pytest.skip("this user may not mount a disk")
    model = write_matmul(tmp_path / "m.onnx", matrix())
    target = "tests.rtx.children:build_on_a_disk_that_becomes_read_only"
    done = subprocess.run(
        ["unshare", "-rm", *process.command(target, model, disk)],
        cwd=ROOT,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    assert told["writable"] == ["built", "built"]
    cached, refused = told["read-only"]
    assert cached == "cached"
    words(refused, "cannot be written", "Read-only file system", "writable")
