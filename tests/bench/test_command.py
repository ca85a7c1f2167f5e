"""`trtasync bench` as a command."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.helpers import MODELS
from trtasync.cli import app

PAIR = str(MODELS / "digits_pair.onnx")
QUICK = ["--seconds", "0.05", "--warm-up", "0.02", "--rounds", "1", "-q", "--threads", "1"]


def bench(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["bench", *arguments], env={"COLUMNS": "200"})


def test_tables_and_files(tmp_path: Path) -> None:
    files = {name: tmp_path / f"out.{name}" for name in ("png", "json")}
    trace = tmp_path / "trace.json"
    done = bench(
        *(PAIR, *QUICK, "-c", "1,4", "--rate", "100,50%", "--compare", "--deadline", "1s"),
        *("--plot", str(files["png"]), "--json", str(files["json"]), "--trace", str(trace)),
    )
    assert done.exit_code == 0, done.output
    for word in ("1 caller", "4 callers", "100/s", "50% of capacity", "of ceiling", "H2D", "p99"):
        assert word in done.stdout
    assert "full batches back to back" in done.stdout
    assert files["png"].read_bytes().startswith(b"\x89PNG")
    assert len(json.loads(files["json"].read_text())["points"]) == 4
    assert json.loads(trace.read_text())["traceEvents"]


def test_json_on_stdout_is_nothing_but_json() -> None:
    done = bench(PAIR, *QUICK, "-c", "2", "--json", "-")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["points"][0]["name"] == "2 callers"


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c", "0"],
        ["--rate", "fast"],
        ["--deadline", "soon"],
        ["--shape", "left"],
        ["--shape", "middle:1x64"],
        ["--rows", "0"],
        ["--streams", "0"],
        ["--devices", "0"],
        ["--input", "missing.npz"],
        ["--plot", "out.gif"],
        ["--plot", "no/such/folder/out.png"],
        ["--seconds", "0"],
    ],
)
def test_wrong_arguments_end_in_one_line_and_2(arguments: list[str]) -> None:
    done = bench(PAIR, *QUICK, "-c", "1", *arguments)
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("trtasync: ")
    assert done.stderr.count("\n") == 1


def test_a_missing_model_ends_in_4() -> None:
    assert bench("missing.onnx", *QUICK).exit_code == 4


def test_without_matplotlib_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    done = bench(PAIR, *QUICK, "--plot", str(tmp_path / "out.png"))
    assert done.exit_code == 3
    assert "pip install 'trtasync[plot]'" in done.stderr
    assert done.stderr.count("\n") == 1
