"""`trtasync tune` as a command, in this process and in one that is interrupted."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from support import doubles
from support.doubles import models
from support.helpers import MODELS, heed_sigint
from tests.rows.support import graph
from tests.tensorrt.support import double, write
from trtasync.cli import app
from trtasync.cli.tune_tables import TuneBar
from trtasync.tune import Config, Progress, Tuning
from trtasync.tune.work import Runner

ROOT = Path(__file__).parents[2]
PAIR = str(MODELS / "digits_pair.onnx")
QUICK = ["--seconds", "0.01", "--warm-up", "0.005", "--rounds", "1", "--minutes", "60"]
SMALL = ["--streams", "1", "--max-batch-size", "2,4", "--batch-sizes", "any", "--threads", "1"]


def tune(*arguments: str, width: int = 80) -> Any:
    """The command in this process."""
    return CliRunner().invoke(app, ["tune", *arguments], env={"COLUMNS": str(width)})


def test_tables_files_and_lines_of_progress(tmp_path: Path) -> None:
    out = {name: tmp_path / f"out.{name}" for name in ("json", "png")}
    done = tune(PAIR, *QUICK, *SMALL, "--json", str(out["json"]), "--plot", str(out["png"]))
    assert done.exit_code == 0, done.output
    for word in ("* 1 ", "requests/s", "p99 ms", "its curve", "1 caller waiting", "Recommended: "):
        assert word in done.stdout
    assert "async with trtasync.open_engine(" in done.stdout
    assert "…" not in done.stdout  # nothing was cut at 80 columns
    assert "exploring: 1 stream, batch 4" in done.stderr
    assert "finals: " in done.stderr
    assert " left)" in done.stderr
    found = json.loads(out["json"].read_text())
    assert found["recommended"]["streams"] == 1
    assert out["png"].read_bytes().startswith(b"\x89PNG")


def test_json_on_stdout_is_nothing_but_json() -> None:
    done = tune(PAIR, *QUICK, *SMALL, "--json", "-")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["ended"] == "settled"
    assert done.stderr == ""


def test_the_second_run_takes_what_the_first_has_kept() -> None:
    assert tune(PAIR, *QUICK, *SMALL, "-q").exit_code == 0
    again = tune(PAIR, *QUICK, *SMALL, "-q", width=300)
    assert " of them taken from " in again.stdout
    assert " of them taken from " not in tune(PAIR, *QUICK, *SMALL, "-q", "--fresh").stdout


def test_a_goal_that_cannot_be_met_ends_with_6_and_names_the_nearest() -> None:
    done = tune(PAIR, *QUICK, *SMALL, "-q", "--p99", "0.001us")
    assert done.exit_code == 6
    assert done.stderr.startswith("trtasync: No configuration keeps the p99 within 1e-06 ms")
    assert "the nearest was" in done.stderr
    assert "open_engine" not in done.stdout


def test_a_goal_that_can_be_met() -> None:
    long = ("--seconds", "0.1", "--warm-up", "0")  # or a pause of the machine is all there is
    done = tune(PAIR, *QUICK, *SMALL, "-q", "--p99", "5s", *long)
    assert done.exit_code == 0, done.output
    assert "with a p99 of at most 5000 ms" in done.stdout


def test_too_little_time_is_said() -> None:
    done = tune(PAIR, *QUICK, "-q", "--minutes", "0.00002")
    assert done.exit_code == 0
    assert "Partial: the time (--minutes) was up" in done.stdout
    assert "open_engine" in done.stdout


def test_ctrl_c_prints_what_there_is_and_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    measure, count = Runner.measure, 0

    async def interrupted(self: Runner, probe: Any) -> Any:
        nonlocal count
        count += 1
        if count == 2:
            raise KeyboardInterrupt
        return await measure(self, probe)

    monkeypatch.setattr(Runner, "measure", interrupted)
    done = tune(PAIR, *QUICK, *SMALL, "-q")
    assert done.exit_code == 130
    assert "Partial: the search was interrupted." in done.stdout
    assert "open_engine" in done.stdout
    assert done.stderr == "trtasync: interrupted; run the same command again to resume.\n"


def test_ctrl_c_before_anything_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Tuning) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Tuning, "run", interrupted)
    done = tune(PAIR, *QUICK, *SMALL, "-q")
    assert done.exit_code == 130
    assert done.stdout == ""
    assert done.stderr == "trtasync: interrupted; nothing was written.\n"


def test_a_process_that_gets_sigint_and_goes_on(tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    command = [sys.executable, "-m", "trtasync", "tune", PAIR, *QUICK, *SMALL, "-q"]
    command += ["--state", str(state), "--backend", "onnxruntime"]
    places = {"cwd": ROOT, "env": {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}}
    child: subprocess.Popen[str] = subprocess.Popen(  # type: ignore[call-overload]
        [*command, "--warm-up", "0.2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_sigint,
        **places,
    )
    try:
        while not state.exists() or b'"end"' not in state.read_bytes():
            assert child.poll() is None, child.communicate()
        child.send_signal(signal.SIGINT)
        out, errors = child.communicate(timeout=300)
    finally:
        child.kill()
    assert child.returncode == 130, errors
    assert "Partial: the search was interrupted." in out
    assert "Traceback" not in errors
    kept = state.read_bytes().count(b'"end"')
    done = tune(*command[4:], "--warm-up", "0.2", width=300)
    assert done.exit_code == 0, done.output
    assert f"{kept} of them taken from" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--p99", "soon"],
        ["--minutes", "0"],
        ["--streams", "many"],
        ["--streams", "0"],
        ["--max-batch-size", "x"],
        ["--batch-sizes", "some"],
        ["--graphs", "maybe"],
        ["--graphs", "on"],
        ["--shape", "left"],
        ["--rows", "0"],
        ["--devices", "0"],
        ["--plot", "out.gif"],
        ["--json", "no/such/folder/out.json"],
        ["--state", "."],
        ["--run-timeout", "0"],
        ["--max-row-bytes", "much"],
        ["--cache-owner", "builder"],
    ],
)
def test_wrong_arguments_end_in_one_line_and_2(arguments: list[str]) -> None:
    budget = [] if "--minutes" in arguments else QUICK
    done = tune(PAIR, *budget, "-q", *arguments)
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("trtasync: ")
    assert done.stderr.count("\n") == 1


def test_a_missing_model_ends_in_4() -> None:
    assert tune("missing.onnx", *QUICK, "-q").exit_code == 4


def test_when_nothing_opens_it_ends_in_4(tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double, most=4))
    with doubles.install():
        done = tune(str(path), *QUICK, "-q", "--max-batch-size", "8", "--streams", "1")
    assert done.exit_code == 4
    assert "the plan allows at most 4" in done.stderr


def test_graphs_on_and_off_on_a_gpu(tmp_path: Path) -> None:
    path = write(tmp_path, models.elementwise(double, most=4))
    with doubles.install():
        done = tune(
            str(path), *QUICK, "-q", "--streams", "1", "--max-batch-size", "4", "--graphs", "off"
        )
        assert done.exit_code == 0, done.output
        assert "graphs=False" in done.stdout
        done = tune(str(path), *QUICK, "-q", "--streams", "1", "--max-batch-size", "4")
        assert " on " in done.stdout
        assert " off " in done.stdout


def test_batching_and_batch_axes_are_in_the_call(tmp_path: Path) -> None:
    done = tune(
        *(PAIR, *QUICK, *SMALL, "-q", "--backend", "onnxruntime"),
        *("--batching", "on", "--batch-axis", "left=0", "--batch-axis", "right=0"),
    )
    assert done.exit_code == 0, done.output
    call = " ".join(done.stdout.partition("open_engine(")[2].split())
    assert "batching=True, batch_axes={'left': 0, 'right': 0}" in call


def test_a_model_that_is_built_is_built_for_its_batch_axes(tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(graph("(float[4,M] x) => (float[4,M] y)", "{ y = Softmax <axis = 0> (x) }"))
    axes = ("--batch-axis", "x=1", "--batch-axis", "y=1")
    with doubles.install():
        done = tune(str(model), *QUICK, "-q", "--streams", "1", "--max-batch-size", "4", *axes)
    assert done.exit_code == 0, done.output
    assert "batch_axes={'x': 1, 'y': 1})" in " ".join(done.stdout.split())


def test_a_model_that_is_built_is_found_again_by_the_call(tmp_path: Path) -> None:
    owner = os.geteuid()
    folder = str(tmp_path / "shared")
    with doubles.install():
        done = tune(
            *(str(MODELS / "gather.onnx"), *QUICK, "-q", "--streams", "1"),
            *("--max-batch-size", "4", "--cache-dir", folder, "--cache-owner", str(owner)),
            *("--run-timeout", "10s", "--max-row-bytes", "1MiB"),
        )
    assert done.exit_code == 0, done.output
    told = " ".join(done.stdout.split())
    assert f'cache=trtasync.SharedCache("{folder}", owner={owner})' in told
    assert "run_timeout=10.0, max_row_bytes=1048576" in told


def drawn(
    news: list[Progress], *, shown: bool = True, terminal: bool = True, width: int = 160
) -> str:
    """What is on the screen after some news."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=width, color_system=None)
    with TuneBar(console, shown) as bar:
        for each in news:
            bar(each)
        return file.getvalue()


NEWS = [
    Progress("opening", "the model"),
    Progress("exploring", "1 stream: 24 callers", 0, 0.0, 90.0),
    Progress(
        "finals", "2 streams: 48 callers", 9, 31.0, 65.0, "1,234/s", Config(2, 8, "any"), 1234
    ),
]


def test_the_bar_shows_phase_time_left_and_the_best() -> None:
    screen = drawn(NEWS)
    for word in (
        "finals",
        "0:00:00",
        "01:05 left",
        "2 streams: 48 callers",
        "best 1,234/s: 2 streams, batch 8",
    ):
        assert word in screen


def test_a_narrow_terminal_cuts_what_is_done_not_how_long_it_takes() -> None:
    screen = drawn(NEWS, width=60)
    for word in ("finals", "0:00:00", "01:05 left", "2 streams"):
        assert word in screen


def test_elsewhere_there_is_a_line_for_each_measurement() -> None:
    lines = drawn(NEWS, terminal=False).splitlines()
    assert lines == [
        "opening: the model",
        "exploring: 1 stream: 24 callers (01:30 left)",
        "  1,234/s",
        "finals: 2 streams: 48 callers (01:05 left)",
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_is_drawn_when_nobody_wants_it(terminal: bool) -> None:
    assert drawn(NEWS, shown=False, terminal=terminal) == ""
