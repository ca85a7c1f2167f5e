"""ONNX Runtime sends no telemetry."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.helpers import MODELS

ROOT = Path(__file__).parents[3]

TELEMETRY = """
import os, sys
from pathlib import Path
from trtasync.runtimes.onnxruntime import load

def threads():
    return len(os.listdir("/proc/self/task"))

before = threads()
backend = load(Path(sys.argv[1]), threads=1)
print(threads() - before, os.environ.get("ORT_DISABLE_TELEMETRY"))
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads in /proc")
@pytest.mark.parametrize("setting", [None, "0"])
def test_telemetry_stays_off_and_the_environment_as_it_was(
    tmp_path: Path, setting: str | None
) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    if setting is not None:
        environment["ORT_DISABLE_TELEMETRY"] = setting
    done = subprocess.run(
        [sys.executable, "-c", TELEMETRY, str(MODELS / "gather.onnx")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", str(setting)]
    assert list(tmp_path.rglob("*")) == []
