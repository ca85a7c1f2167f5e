"""The code in docs/tuning.md runs."""

from pathlib import Path

import pytest

from support.helpers import MODELS
from tests.documents.running import python_blocks


def test_the_code_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = python_blocks("docs/tuning.md")
    quick = block.replace("p99=0.020, budget=120", "p99=9.0, budget=5, seconds=0.01, warm_up=0.01")
    assert quick != block  # minutes are for users
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.onnx").write_bytes((MODELS / "digits_pair.onnx").read_bytes())
    exec(compile(quick, "block", "exec"), {})
    out = capsys.readouterr().out
    assert 'trtasync.open_engine("model.onnx"' in out  # with the options that suit this machine
    assert "callers" in out
