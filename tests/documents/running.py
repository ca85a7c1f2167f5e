"""Runs examples, and the code in Markdown files."""

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python process in the repository's root, at its end."""
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=ROOT,
        # what is promised is the CPU's, also on a machine with a GPU
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )


def run(*arguments: str) -> str:
    """The output of such a process; it must exit with 0, silently."""
    done = start(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def python_blocks(page: str) -> list[str]:
    """The Python code in a Markdown file."""
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


async def run_block(block: str, names: dict[str, object]) -> None:
    """Run code that may await outside of any function."""
    running = eval(compile(block, "block", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if inspect.isawaitable(running):
        await running
