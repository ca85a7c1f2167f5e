"""Closed loops of callers with deadlines, and what the table says of them."""

import json
from pathlib import Path

import pytest

from benchmarks import deadlines
from benchmarks.simulation.deadlines import MACHINES, Loop, loops, summarize, table
from benchmarks.simulation.ours import Ours
from benchmarks.simulation.study import OURS


def test_nobody_in_the_comparison_asks_for_what_one_row_cannot_make() -> None:
    for loop in loops(1):
        assert loop.patience > MACHINES[loop.machine].seconds(1)


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("patience", [0.5, 0.9])
def test_full_batches_that_come_too_late_leave_some_in_time(name: str, patience: float) -> None:
    machine = MACHINES[name]
    full = machine.seconds(machine.largest)
    loop = Loop(machine=name, callers=machine.largest, patience=patience * full, seed=1)
    assert loop.run(Ours(machine)) > 0.3 * machine.largest / full


def test_a_point_is_held_against_the_best_that_could_be_set() -> None:
    cells = {OURS: 2.0, "8 rows, 0 ms, 1": 1.0, "4 rows, 0 ms, 1": 3.0}
    sample = {"machine": "m", "callers": 8, "patience": 0.3, "seed": 0, "largest": 8}
    (point,) = summarize([{**sample, "cells": cells}])
    assert point["best"]["setting"] == "4 rows, 0 ms, 1"
    assert point["best of the largest batch"]["median"] == 1.0
    assert "| m, 8 | 8 | 300 | 2 | 1 | 3 | 4 rows, 0 ms, 1 |" in table([point])


def test_the_command_writes_and_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = loops(1)[:1]
    monkeypatch.setattr(deadlines, "loops", lambda seeds: few)
    out = tmp_path / "found.json"
    deadlines.main(["--jobs", "1", "--out", str(out)])
    found = json.loads(out.read_text())
    assert table(found["summary"]) in capsys.readouterr().out
    assert len(found["samples"]) == 1
