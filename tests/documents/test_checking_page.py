"""What docs/checking.md shows, runs."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from support import doubles
from support.helpers import MODELS
from tests.cli.support import run
from tests.documents.running import ROOT, python_blocks, run_block
from tests.rows.support import graph

PAGE = "docs/checking.md"
RECURRENT = (
    "(float[N,4] x, float[2,N,4] h, float rate) => (float[N,4] y, float[2,N,4] hn)",
    "{ y = Mul(x, rate)  hn = Add(h, x) }",
)
RUNNING_SUM = (
    "(float[N,4] x) => (float[N,4] y)",
    "<int64 axis = {0}> { y = CumSum(x, axis) }",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the files are that the page names."""
    (tmp_path / "model.onnx").write_bytes((MODELS / "digits_pair.onnx").read_bytes())
    (tmp_path / "recurrent.onnx").write_bytes(graph(*RECURRENT))
    (tmp_path / "running_sum.onnx").write_bytes(graph(*RUNNING_SUM))
    rows = np.random.default_rng(0).random((6, 64), np.float32)
    np.savez(tmp_path / "samples.npz", left=rows, right=rows[::-1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRTASYNC_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.anyio
async def test_the_code_runs(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    names: dict[str, object] = {}
    for block in python_blocks(PAGE):
        await run_block(block, names)
    assert "every request runs alone" in caplog.text


def test_the_commands_run(folder: Path) -> None:
    (block,) = re.findall(r"```sh\n(.*?)```", (ROOT / PAGE).read_text(encoding="utf-8"), re.DOTALL)
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    commands = [words[1:] for words in lines if words[:1] == ["trtasync"]]
    assert len(commands) == 5
    with doubles.install():
        for words in commands:
            run(*words)
    assert (folder / "model.plan").is_file()
    assert (folder / "report.json").is_file()
