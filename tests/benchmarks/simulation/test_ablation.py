"""Every switch of the ablation switches something off, and only while it is asked to."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import ablation
from benchmarks.simulation.ablation import FIGURES, RULES, WHOLE, measure, summarize, table
from benchmarks.simulation.scenarios import SCENARIOS
from benchmarks.simulation.shapes import in_time
from benchmarks.simulation.study import Point
from trtasync.scheduler import dispatch

FIGURE_SETS = dict.fromkeys(FIGURES, 1.0)


def test_each_rule_makes_a_difference_somewhere_and_comes_back() -> None:
    machines = ("ResNet-50, 2 devices, 2 streams each", "1.0 + 0.1 n ms, 2 streams")
    taken = [
        measure(Point(machine=machine, process="bursty", load=load, seed=1, requests=600))
        for machine in machines
        for load in (0.5, 1.1)
    ]
    for rule in RULES:
        differs = any(sample["cells"][rule] != sample["cells"][WHOLE] for sample in taken)
        assert differs == (rule != WHOLE), rule
    again = measure(Point(machine=machines[1], process="bursty", load=1.1, seed=1, requests=600))
    assert again == taken[-1]


def test_haste_is_off_wherever_it_is_read() -> None:
    modules = [each for name, each in sys.modules.items() if name.startswith("trtasync.scheduler")]
    readers = [each for each in modules if hasattr(each, "HASTE")]
    with RULES["haste"]():
        assert {each.HASTE for each in readers} == {0.0}
    assert {each.HASTE for each in readers} == {dispatch.HASTE} != {0.0}


def test_only_the_short_ones_are_in_a_hurry() -> None:
    machine = SCENARIOS["1.0 + 0.1 n ms, 2 streams"]
    assert in_time(machine, "poisson", 0.1, 20 * machine.seconds(32), 200, 1) == 1.0
    assert in_time(machine, "poisson", 0.1, 0.5 * machine.seconds(1), 200, 1) == 0.0


def test_what_every_seed_says_counts_as_worse_or_better() -> None:
    def sample(seed: int, without: dict[str, float]) -> dict[str, object]:
        cells = dict.fromkeys(RULES, FIGURE_SETS)
        cells["cutting"] = {**FIGURE_SETS, **without}
        return {"machine": "m", "process": "p", "load": 0.5, "seed": seed, "cells": cells}

    seeds = [
        sample(1, {"p50": 1.1, "p99": 1.2, "goodput": 0.5, "tight goodput": 1.5}),
        sample(2, {"p50": 1.3, "p99": 0.9, "goodput": 0.7, "tight goodput": 1.2}),
        sample(3, {"p50": 1.2, "p99": 1.1, "goodput": 0.6, "tight goodput": 1.3}),
    ]
    effects = summarize(seeds)["cutting"]
    assert effects["p50"] == {"mean": 1.2, "worst": 1.2, "worse": 1, "better": 0}
    assert (effects["p99"]["worse"], effects["p99"]["better"]) == (0, 0)  # seeds disagree
    assert (effects["goodput"]["worse"], effects["goodput"]["better"]) == (1, 0)
    assert (effects["tight goodput"]["worse"], effects["tight goodput"]["better"]) == (0, 1)
    row = "| cutting | 1.20 (1.20), 1 : 0 | same | 0.60 (0.60), 1 : 0 | 1.30 (1.30), 0 : 1 | same |"
    assert row in table(summarize(seeds))


def test_the_command_writes_and_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ablation, "LOADS", (0.9,))
    monkeypatch.setattr(ablation, "PROCESSES", ("poisson",))
    out = tmp_path / "found.json"
    ablation.main(["--jobs", "1", "--seeds", "1", "--requests", "60", "--out", str(out)])
    found = json.loads(out.read_text())
    assert table(found["summary"]) in capsys.readouterr().out
    assert len(found["samples"]) == len(ablation.MACHINES)
