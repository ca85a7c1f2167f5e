"""Runs examples, and the code in Markdown files."""

import ast
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from onnx import TensorProto, helper, save_model

ROOT = Path(__file__).parents[2]


def start(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A Python process in the repository's root, or in another folder, at its end."""
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        # what is promised is the CPU's, also on a machine with a GPU
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def run(*arguments: str, folder: Path = ROOT) -> str:
    """The output of such a process; it must exit with 0, silently."""
    done = start(*arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def all_pages() -> list[str]:
    """README and what is in docs, by their paths in the repository."""
    return ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]


def python_blocks(page: str, sections: Sequence[str] | None = None) -> list[str]:
    """The Python code in a Markdown file: all of it, or that of some sections, "" being what
    stands before the first."""
    first, *others = re.split(
        r"^## ", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    parts = {"": first, **{part.partition("\n")[0]: part for part in others}}
    chosen = parts.values() if sections is None else [parts[section] for section in sections]
    return re.findall(r"```python\n(.*?)```", "".join(chosen), re.DOTALL)


def code_blocks(page: str) -> list[tuple[str, str]]:
    """All fenced code of a Markdown file, each with its language."""
    return re.findall(
        r"^```(\w+)\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


async def run_block(block: str, names: dict[str, object]) -> None:
    """Run code that may await outside of any function."""
    running = eval(compile(block, "block", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if inspect.isawaitable(running):
        await running


def write_identity(path: Path | str, axes: Sequence[int | str]) -> None:
    """An ONNX file: x -> y, the same."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "identity",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, axes)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, axes)],
    )
    save_model(helper.make_model(graph), path)
