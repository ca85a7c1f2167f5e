"""Every exit code that the help names, by a real process; files that are kept come what may."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from support.doubles.child import ROOT
from tests.cli.pipes import PAIR, QUICK, trtasync
from tests.cli.support import run, start
from trtasync.cli import app, bench_tables

CODES = {0, 1, 2, 3, 4, 5, 6, 130}
"""Each is reached below; 130 in `test_processes` and `tests.measure.test_command`."""


def documented() -> set[int]:
    """What `trtasync --help` says."""
    text = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    _, _, codes = text.partition("Exit codes: ")
    return {
        int(part.split()[0]) for part in codes.partition(".")[0].split(", ") if part[0].isdigit()
    }


def test_the_help_names_them_all() -> None:
    assert documented() == CODES


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (0, ("inspect", PAIR)),
        (2, ("inspect", PAIR, "--max-batch-size", 0)),
        (2, ("inspect", PAIR, "--no-such-option")),
        (2, ("no-such-command",)),
        (4, ("inspect", "none.onnx")),
        (6, ("tune", PAIR, *QUICK, "--streams", 1, "--max-batch-size", 1, "--p99", "0.001us")),
    ],
)
def test_without_a_gpu(tmp_path: Path, code: int, arguments: tuple[object, ...]) -> None:
    assert trtasync(tmp_path, *arguments).returncode == code


def test_3_without_a_gpu_driver(tmp_path: Path) -> None:
    code = "import sys; sys.modules['cuda'] = None; import trtasync.__main__ as m; m.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "build", str(PAIR)],
        cwd=ROOT,
        env={**os.environ, "TRTASYNC_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert "pip install" in done.stderr


def test_5_when_cuda_refuses(tmp_path: Path) -> None:
    child = start(tmp_path / "log", "build", PAIR, TRTASYNC_DOUBLE_REFUSES="cudaSetDevice")
    _, errors = child.communicate(timeout=120)
    assert (child.returncode, errors.count("\n")) == (5, 1), errors


def test_1_for_what_nobody_expected(tmp_path: Path) -> None:
    code = (
        "import trtasync.__main__ as m, trtasync.measure.targets as t; "
        "t.open_tapped = lambda *_: 1 / 0; m.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "bench", str(PAIR), *QUICK],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "ZeroDivisionError: division by zero (unexpected; --debug shows where)" in done.stderr


# -- files ----------------------------------------------------------------------------------------


def test_files_are_whole_when_the_terminal_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise UnicodeEncodeError("ascii", "x", 0, 1, "ordinal not in range")

    monkeypatch.setattr(bench_tables, "_throughput", broken)
    out = tmp_path / "out.json"
    run("bench", PAIR, *QUICK, "-c", 1, "--json", out, "--plot", tmp_path / "out.png", code=1)
    assert json.loads(out.read_text())["points"]
    assert (tmp_path / "out.png").stat().st_size


@pytest.mark.parametrize("command", [("inspect",), ("bench", *QUICK, "-c", "1")])
def test_tables_are_printed_when_a_file_fails(command: tuple[str, ...]) -> None:
    name, *options = command
    result = run(name, PAIR, *options, "--json", "/dev/full", code=2)
    assert "left" in result.stdout or "requests/s" in result.stdout
    (line,) = result.stderr.splitlines()[-1:]
    assert line.startswith("trtasync: cannot write ")
    assert "No space left on device" in line


@pytest.mark.parametrize("command", ["build", "inspect", "bench", "tune"])
def test_a_place_for_json_is_checked_before_anything_is_done(command: str, tmp_path: Path) -> None:
    result = run(command, PAIR, "--json", tmp_path / "no" / "out.json", code=2)
    assert (result.stdout, "there is no folder" in result.stderr) == ("", True)


def test_json_goes_to_a_file_beside_the_tables(tmp_path: Path) -> None:
    result = run("inspect", PAIR, "--json", tmp_path / "out.json")
    assert "same_probability" in result.stdout
    report = json.loads((tmp_path / "out.json").read_text())
    assert report == json.loads(run("inspect", PAIR, "--json", "-").stdout)
