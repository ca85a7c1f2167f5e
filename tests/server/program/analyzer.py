"""Triton's perf_analyzer, which comes with older wheels of its client for Linux on x86-64."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

VERSION = "2.50.0"
"""The Makefile fetches the same. Later ones want a newer libc than Debian 12 has, or have none."""

FOLDER = Path(sys.prefix) / f"perf-analyzer-{VERSION}"
PROGRAM = FOLDER / "bin" / "perf_analyzer"
LIBRARIES = FOLDER / "nvidia" / "cuda_runtime" / "lib"

QUICKLY = ("--measurement-interval", 200, "--stability-percentage", 999, "--max-trials", 50)
"""Three windows are enough, however they differ. Not `--request-count`: on a busy machine it waits
for ever, now and then (5 times in 750), for requests that it has made long ago."""


def analyze(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run it to its end."""
    command = [str(each) for each in (PROGRAM, *arguments)]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(LIBRARIES)}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@cache
def why_not() -> str:
    """Why it cannot be run here; empty where it can."""
    if not PROGRAM.is_file():
        return f"perf_analyzer {VERSION} is not in {FOLDER}; `make test` fetches it"
    try:
        started = analyze("--version")
    except OSError as error:
        return f"perf_analyzer does not run here: {error}"
    return "" if started.returncode == 0 else f"perf_analyzer does not start: {started.stderr}"


def table(text: str) -> list[dict[str, Any]]:
    """The rows of the file that it writes, by the names of their columns."""
    names, *rows = (line.split(",") for line in text.splitlines())
    return [dict(zip(names, row, strict=False)) for row in rows]
