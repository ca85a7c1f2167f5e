"""The benchmark of the doors: what is asked, what is read from wrk, what the tables say."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.peers.bodies import BODIES
from benchmarks.peers.catalogue import ENVIRONMENTS
from benchmarks.peers.http11 import Answer
from benchmarks.report import ROOT, cell_name
from benchmarks.rounds import NotRun
from benchmarks.serving import wrk
from benchmarks.serving.__main__ import described, main, parse
from benchmarks.serving.catalogue import (
    GRPC,
    LARGE,
    MOSEC,
    OURS,
    OWN,
    RATIOS,
    SEVERAL,
    STANDS,
    Load,
)
from benchmarks.serving.grpc_calls import request
from benchmarks.serving.tables import serving
from benchmarks.systems import CLASSES, COLUMNS, MODELS, echo, first_columns
from trtasync.server.grpc.messages import INFERENCE

ROW = np.arange(COLUMNS, dtype=np.float32)
CELLS = [cell_name(name, load) for name, stand in STANDS.items() for load in stand.loads]


def test_what_is_compared_is_measured() -> None:
    assert {cell for ratio in RATIOS for cell in ratio[:2]} <= set(CELLS)


@pytest.mark.parametrize("name", STANDS)
def test_every_server_can_be_asked(name: str) -> None:
    stand = STANDS[name]
    assert stand.system.environment in {OWN, *ENVIRONMENTS}
    for load in stand.loads.values():
        if isinstance(load, Load):
            assert load.body in BODIES
            assert load.model in MODELS
        else:
            assert "GRPC_PORT" in stand.system.server


def test_numbers_as_text() -> None:
    body = BODIES["KServe v2, JSON"].request(ROW).partition(b"\r\n\r\n")[2]
    (told,) = json.loads(body)["inputs"]
    assert told["data"] == ROW.tolist()
    answer = json.dumps({"outputs": [{"name": "y", "data": [1.0, 2.0]}]}).encode()
    read = BODIES["KServe v2, JSON"].answer(Answer(200, b"", answer))
    np.testing.assert_array_equal(read, [1.0, 2.0])


def test_a_row_over_grpc() -> None:
    message = INFERENCE.parse("ModelInferRequest", request(ROW))
    assert message.raw_input_contents[0] == ROW.tobytes()
    assert list(message.inputs[0].shape) == [1, COLUMNS]


def test_models_without_work() -> None:
    rows = np.stack([ROW, ROW + 1])
    np.testing.assert_array_equal(first_columns(rows), rows[:, :CLASSES])
    assert echo(rows) is rows


def said(**changed: float) -> str:
    found = {"requests": 300, "seconds": 2.0, "p50_us": 10.0, "p99_us": 20.0, "failed": 0}
    return f"Running 2s test\n  Latency ...\n{json.dumps(found | changed)}\n"


def test_what_wrk_says() -> None:
    assert wrk.read(said()) == {
        "requests": 300,
        "seconds": 2.0,
        "p50_us": 10.0,
        "p99_us": 20.0,
        "requests_per_second": 150.0,
    }


@pytest.mark.parametrize(
    ("changed", "reason"), [({"failed": 3}, "3 of 300 requests failed"), ({"requests": 0}, "no")]
)
def test_failures_are_not_measured(changed: dict[str, float], reason: str) -> None:
    with pytest.raises(NotRun, match=reason):
        wrk.read(said(**changed))


def test_without_wrk_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="apt-get install wrk"):
        main(["--quick"])


def test_only_whole_runs_are_kept_unless_a_file_is_named() -> None:
    assert not parse([]).no_write
    assert parse(["--quick"]).no_write
    assert parse(["--only", MOSEC]).no_write
    assert not parse(["--quick", "--out", "x.json"]).no_write


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")
def test_our_own_server_is_measured(tmp_path: Path) -> None:
    # in a process of its own: it ends whatever it started, by looking for all below it
    out = tmp_path / "serving.json"
    command = [sys.executable, "-m", "benchmarks.serving", "--quick", "--only", f"{OURS}, {LARGE}"]
    subprocess.run([*command, "--out", str(out)], check=True, cwd=ROOT, timeout=120)
    (sample,) = json.loads(out.read_text())["samples"]
    assert sample["cell"] == cell_name(f"{OURS}, {LARGE}", LARGE)
    assert sample["requests"] > 0
    assert sample["cpu_us"] > 0
    assert 0 < sample["p50_us"] <= sample["p99_us"]


def _one(value: float) -> dict[str, float]:
    return {"median": value, "min": value / 2, "max": value * 2}


@pytest.fixture
def result() -> dict[str, Any]:
    """Ours beside mosec; several fronts were left out."""
    reason = "it takes 8 cores, and this machine has 2"
    systems = described(
        [OURS, MOSEC, SEVERAL], {"mosec": {"mosec": "0.9.8"}, OWN: {"x": "1"}}, {SEVERAL: reason}
    )
    figures = {"requests_per_second": _one(20_000), "cpu_us": _one(25), "p50_us": _one(900)}
    figures["p99_us"] = _one(2_000)
    ratios = {ratio.key: _one(1.75) for ratio in RATIOS[:2]}
    return {
        "name": "serving",
        "commit": "0123456789abcdef",
        "dirty": False,
        "date": "2026-01-02 03:04 UTC",
        "hardware": {"cpu": "X", "cores": 2, "memory_gib": 4.0, "system": "Linux x86_64"},
        "versions": {"python": "3.11.7", "numpy": "2.4.6"},
        "parameters": {"rounds": 3, "foreign_cores": None},
        "summary": {
            "systems": systems,
            "cells": {"": {cell: figures for cell in systems if SEVERAL not in cell}},
            "ratios": ratios,
        },
    }


def test_the_table_tells_figures_aims_and_who_was_left_out(result: dict[str, Any]) -> None:
    table = serving(result).splitlines()
    assert (
        "| mosec 0.9.8 | `max_wait_time=1` | raw, /inference | 64 | 20 k (10 k .. 40 k) | 25 "
        "| 900 | 2,000 |" in table
    )
    left_out = [line for line in table if "not run" in line]
    assert len(left_out) == 2
    for line in left_out:
        assert "not run: it takes 8 cores, and this machine has 2" in line
        assert line.count("|") == table[0].count("|")
    (rate,) = [line for line in table if "requests/s | 1.75" in line]
    assert "1.75× [0.88 .. 3.50] | ≥ 1.5 |" in rate
    (cpu,) = [line for line in table if "CPU per request | 1.75" in line]
    assert "| ≤ 0.6 |" in cpu


def test_grpc_is_told_as_such(result: dict[str, Any]) -> None:
    about = described([f"{OURS}, {GRPC}"], {OWN: {"x": "1"}}, {})
    assert [each["body"] for each in about.values()] == [GRPC]
