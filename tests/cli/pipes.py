"""The command line in a real process, its output in pipes."""

import os
import subprocess
import sys
from pathlib import Path

from support.doubles.child import ROOT
from support.helpers import MODELS

PAIR = MODELS / "digits_pair.onnx"
QUICK = ("--seconds", "0.05", "--warm-up", "0.02", "--rounds", "1", "--threads", "1")


def environment(tmp_path: Path, **settings: str) -> dict[str, str]:
    """Of a child whose terminal is as wide as rich takes it to be when it cannot know."""
    kept = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return {**kept, "PYTHONPATH": str(ROOT), "TRTASYNC_CACHE_DIR": str(tmp_path), **settings}


def command(*arguments: object) -> list[str]:
    """A real process."""
    return [sys.executable, "-m", "trtasync", *map(str, arguments)]


def trtasync(
    tmp_path: Path, *arguments: object, **settings: str
) -> subprocess.CompletedProcess[bytes]:
    """Run it with its output in pipes."""
    return subprocess.run(
        command(*arguments),
        cwd=ROOT,
        env=environment(tmp_path, **settings),
        capture_output=True,
        timeout=120,
        check=False,
    )
