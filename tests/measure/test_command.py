"""`trtasync bench` as a command."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from support import doubles
from support.doubles.child import ROOT
from support.helpers import MODELS, heed_sigint
from tests.core.endless import FOREVER, endless_model
from trtasync.cli import app
from trtasync.measure import runs
from trtasync.measure.samples import take_sample

PAIR, GATHER = (str(MODELS / f"{name}.onnx") for name in ("digits_pair", "gather"))
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


def test_batching_and_batch_axes_reach_the_engine() -> None:
    axes = ("--batch-axis", "left=0", "--batch-axis", "right=0")
    for batching, largest in (("off", 1), ("on", 8), ("proved", 8)):
        done = bench(PAIR, *QUICK, "-c", "2", "--json", "-", "--batching", batching, *axes)
        found = json.loads(done.stdout)["parameters"]
        assert found["largest_batch"] == largest
        assert found["options"]["batch_axes"] == {"left": 0, "right": 0}


def test_limits_reach_the_engine(tmp_path: Path) -> None:
    model = str(endless_model(tmp_path / "endless.onnx"))
    np.savez(tmp_path / "samples.npz", x=np.array([[FOREVER]]))
    samples = ("--samples", str(tmp_path / "samples.npz"), "--batching", "off")
    done = bench(model, *QUICK, "-c", "1", *samples, "--run-timeout", "200ms")
    assert "run_timeout=0.2" in done.stderr
    done = bench(model, *QUICK, "-c", "1", *samples, "--max-row-bytes", "7B")
    assert "exceeds max_row_bytes=7" in done.stderr
    assert done.exit_code == 2


def test_a_plan_is_taken_of_the_owner_that_is_named(tmp_path: Path) -> None:
    here = ("-c", "1", "--cache-dir", str(tmp_path / "shared"), "--cache-owner")
    with doubles.install() as gpu:
        for _ in range(2):
            done = bench(GATHER, *QUICK[:-2], *here, str(os.geteuid()))
            assert done.exit_code == 0, done.output
        other = ("--max-batch-size", "2", *here, str(os.geteuid() + 1))
        assert bench(GATHER, *QUICK[:-2], *other).exit_code == 4
        assert gpu.builds.started == 1


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
        ["--samples", "missing.npz"],
        ["--plot", "out.gif"],
        ["--plot", "no/such/folder/out.png"],
        ["--seconds", "0"],
        ["--batch-axis", "left"],
        ["--batch-axis", "middle=0"],
        ["--run-timeout", "0"],
        ["--max-row-bytes", "much"],
        ["--cache-owner", "builder"],
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


@pytest.fixture
def third_sample_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the third sample is taken."""
    count = 0

    async def interrupted(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return await take_sample(*arguments)

    monkeypatch.setattr(runs, "take_sample", interrupted)


@pytest.mark.usefixtures("third_sample_interrupted")
def test_ctrl_c_keeps_what_was_measured_and_ends_with_130(tmp_path: Path) -> None:
    files = {name: tmp_path / f"out.{name}" for name in ("json", "png")}
    done = bench(
        *(PAIR, *QUICK, "-c", "1,4,8", "--compare", "--loop", "asyncio"),
        *("--json", str(files["json"]), "--plot", str(files["png"])),
    )
    assert done.exit_code == 130, done.output
    assert "Partial: the benchmark was interrupted." in done.stdout
    assert "4 callers" in done.stdout
    assert done.stderr == "trtasync: interrupted; these are the measurements so far.\n"
    found = json.loads(files["json"].read_text())
    assert [each["name"] for each in found["points"]] == ["1 caller", "4 callers"]
    assert (found["ended"], found["yardsticks"], found["ratios"]) == ("interrupted", {}, {})
    assert files["png"].stat().st_size > 0


@pytest.mark.usefixtures("third_sample_interrupted")
def test_ctrl_c_keeps_stdout_json() -> None:
    done = bench(PAIR, *QUICK, "-c", "1,4,8", "--json", "-")
    assert done.exit_code == 130
    assert len(json.loads(done.stdout)["samples"]) == 2


def test_ctrl_c_before_anything_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "take_sample", interrupted)
    done = bench(PAIR, *QUICK, "-c", "1")
    assert (done.exit_code, done.stdout) == (130, "")
    assert done.stderr == "trtasync: interrupted; nothing was written.\n"


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio"])
def test_a_process_that_gets_sigint_in_its_second_load(loop: str, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    arguments = ["-c", "1,4", "--loop", loop, "--seconds", "0.1", "--rounds", "1000"]
    arguments += ["--threads", "1", "--json", str(out)]
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.measure.children", PAIR, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_sigint,
    )
    try:
        assert child.stderr is not None
        for line in child.stderr:
            if line.startswith("2 of"):
                child.send_signal(signal.SIGINT)
                break
        output, errors = child.communicate(timeout=300)
    finally:
        child.kill()
    assert child.returncode == 130, errors
    assert errors.splitlines()[-1] == "trtasync: interrupted; these are the measurements so far."
    assert "Traceback" not in errors
    assert "Partial: " in output
    found = json.loads(out.read_text())
    assert found["parameters"]["loop"] == loop
    assert len(found["samples"]) >= 2
