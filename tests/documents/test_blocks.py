"""The code of every page runs, from top to bottom, and prints what it says it prints."""

import ast
import json
import re
import shlex
import tomllib
from codeop import CommandCompiler
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from anyio import to_thread

from support import doubles
from tests.cli.support import run
from tests.documents.running import (
    ROOT,
    all_pages,
    code_blocks,
    python_blocks,
    run_block,
    write_identity,
)

PRINTED = re.compile(r"^ *print\(.*\)  # (.+)$", re.MULTILINE)
"""A line of code that says what it prints; `...` stands for anything."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where the code of a page runs.

    Attributes:
        models: files beside it (x -> y, the same), and the axes of their tensors.
        gpu: it runs on the doubles of CUDA and TensorRT.
        commands: those of `trtasync` are run, too, which end by themselves.
    """

    models: Mapping[str, Sequence[int | str]] = field(default_factory=dict)
    gpu: bool = False
    commands: bool = False


HERE = {
    "docs/first-engine.md": Setting(),
    "docs/deadlines.md": Setting(),
    "docs/padding.md": Setting(),
    "docs/dependent-rows.md": Setting(),
    "docs/first-gpu.md": Setting({"model.onnx": ["N", 3, 32, 32]}, gpu=True, commands=True),
    "docs/blocking.md": Setting({"model.onnx": ["N", 4]}),
    "docs/notebooks.md": Setting({"model.onnx": ["N", 4]}),
    "docs/several-models.md": Setting({"detect.onnx": ["N", 4], "classify.onnx": ["N", 4]}),
    "docs/reloading.md": Setting({"model.onnx": ["N", 4], "better.onnx": ["N", 4]}),
}
"""Pages whose code needs no more than this."""

TYPED = ["first-engine", "deadlines", "padding", "dependent-rows", "notebooks", "reloading"]
"""Pages of docs that are tried out by hand."""

ELSEWHERE = {
    "README.md": "test_readme.py",
    "docs/benchmarking.md": "test_gpu_pages.py",
    "docs/checking.md": "test_checking_page.py",
    "docs/deploying.md": "test_deploying_page.py",
    "docs/fastapi.md": "test_pages.py",
    "docs/first-server.md": "test_first_server_page.py",
    "docs/gallery.md": "test_gallery_page.py",
    "docs/migrating.md": "test_migrating_page.py",
    "docs/observing.md": "test_observing_page.py",
    "docs/ray.md": "../ray/test_page.py",
    "docs/serving.md": "test_pages.py",
    "docs/testing.md": "test_testing_page.py",
    "docs/tensorrt.md": "test_gpu_pages.py",
    "docs/tensorrt-flow.md": "test_pages.py",
    "docs/tuning.md": "../tune/test_docs.py",
}
"""Pages whose code is run by tests of their own."""


def test_no_page_with_code_is_left_out() -> None:
    pages = {page for page in all_pages() if python_blocks(page)}
    assert pages == {*HERE, *ELSEWHERE}
    for page, test in ELSEWHERE.items():
        assert page in (Path(__file__).parent / test).read_text(encoding="utf-8"), test


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("page", HERE)
async def test_its_code_runs(
    page: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    setting = HERE[page]
    for name, axes in setting.models.items():
        write_identity(elsewhere / name, axes)
    names: dict[str, object] = {}
    with doubles.install() if setting.gpu else nullcontext():
        for language, block in code_blocks(page):
            if language == "python":
                await run_block(block, names)
            elif language == "sh" and setting.commands:
                for line in re.findall(r"^trtasync (.*)", block, re.MULTILINE):
                    await to_thread.run_sync(run, *shlex.split(line, comments=True))
    said = PRINTED.findall("\n".join(python_blocks(page)))
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(said)
    for line, promise in zip(printed, said, strict=True):
        assert re.fullmatch(re.escape(promise).replace(r"\.\.\.", ".*"), line), (line, promise)


@pytest.mark.parametrize("page", TYPED)
def test_it_can_be_typed_line_by_line(page: str) -> None:
    """As `python -m asyncio` takes it: an empty line ends a block, and nothing else does."""
    take = CommandCompiler()
    take.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    for block in python_blocks(f"docs/{page}.md"):
        typed: list[str] = []
        for line in [*block.splitlines(), ""]:
            typed.append(line)
            if take("\n".join(typed), page) is not None:  # a whole statement
                typed.clear()
        assert typed == [], page


def test_other_languages_are_well_formed() -> None:
    """TOML and JSON that a page shows can be read."""
    read = {"toml": tomllib.loads, "json": json.loads}
    found = [block for page in all_pages() for block in code_blocks(page)]
    for language, text in found:
        if language in read:
            read[language](text)
    assert {"toml", "json", "python", "sh"} <= {language for language, _ in found}


def test_make_and_pip_are_told_what_there_is() -> None:
    """Targets of the Makefile, and extras of the package."""
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = set(project["optional-dependencies"])
    for page in all_pages():
        text = (ROOT / page).read_text(encoding="utf-8")
        shells = "\n".join(block for language, block in code_blocks(page) if language == "sh")
        made = re.findall(r"^make ([a-z-]+)", shells, re.MULTILINE)
        made += re.findall(r"`make ((?!lanes)[a-z-]+)", text)  # which is the name of a range
        asked = re.findall(r"(?:trtasync|trtasync-\*\.whl\)|\"\.)\[([a-z0-9,]+)\]", text)
        assert set(made) <= targets, page
        assert set(",".join(asked).split(",")) <= {*extras, ""}, page
