"""The code in docs/tuning.md runs; its list of commands is true."""

import re
from pathlib import Path

import pytest

from tests.helpers import MODELS
from tests.test_examples import ROOT, python_blocks
from trtasync.cli.tune import tune as command


def test_the_code_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = python_blocks("docs/tuning.md")
    quick = block.replace("p99=0.020, budget=120", "p99=9.0, budget=1, seconds=0.02, warm_up=0.01")
    assert quick != block  # minutes are for users
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.onnx").write_bytes((MODELS / "digits_pair.onnx").read_bytes())
    exec(compile(quick, "block", "exec"), {})
    out = capsys.readouterr().out
    assert 'trtasync.open_engine("model.onnx", streams=' in out
    assert "callers" in out


def test_every_option_that_it_names_exists() -> None:
    text = (ROOT / "docs" / "tuning.md").read_text()
    named = {word.replace("-", "_") for word in re.findall(r"--([a-z][a-z0-9-]*)", text)}
    assert named <= set(command.__annotations__) | {"json", "plot", "input"}
