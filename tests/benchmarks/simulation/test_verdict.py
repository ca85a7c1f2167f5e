"""What the tables say of samples made by hand, and the command from end to end."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import policies
from benchmarks.simulation.study import FIXED, POLICIES
from benchmarks.simulation.table import counts, sign, tables
from benchmarks.simulation.verdict import summarize

FIGURES = ("throughput", "p50", "p90", "p99", "goodput", "batch", "busy")


def sample(seed: int, ours: float, eager: float, waiting: float) -> dict[str, Any]:
    """All figures of a policy alike."""
    values = dict.fromkeys(POLICIES, 9.0)
    values |= {"trtasync": ours, f"{FIXED} 0.00 ms": eager, f"{FIXED} 1.00 ms": waiting}
    cells = {name: dict.fromkeys(FIGURES, value) for name, value in values.items()}
    return {"machine": "m", "process": "p", "load": 0.5, "seed": seed, "cells": cells}


def test_a_point_is_held_against_the_best_of_the_sweep_for_it() -> None:
    (point,) = summarize([sample(seed, 2.0, 1.0, 3.0) for seed in range(3)])
    best = point["best fixed delay"]
    assert best["p50"]["setting"] == "0.00 ms"
    assert sign(best["p50"], "p50") == "**WORSE 2.00×** [2.00 .. 2.00]"
    assert best["goodput"]["setting"] == "1.00 ms"  # more of it is better
    assert sign(best["goodput"], "goodput") == "**WORSE 0.67×** [0.67 .. 0.67]"
    assert sign(point["best delay above 0"]["p99"], "p99") == "better 0.67×"
    assert "**1** of 1, at most 2.00×" in counts([point])


def test_a_hundredth_is_no_difference() -> None:
    (point,) = summarize([sample(1, 1.009, 1.0, 1.0)])
    assert sign(point["best fixed delay"]["p50"], "p50") == "same"
    (point,) = summarize([sample(1, 1.011, 1.0, 1.0)])
    assert "WORSE 1.01×" in sign(point["best fixed delay"]["p50"], "p50")
    assert sign(point["best fixed delay"]["goodput"], "goodput") == "better 1.01×"


def test_ratios_are_formed_seed_by_seed() -> None:
    (point,) = summarize(
        [sample(1, 1.0, 2.0, 9.0), sample(2, 4.0, 2.0, 9.0), sample(3, 2.0, 2.0, 9)]
    )
    assert point["best fixed delay"]["p50"]["ratio"] == {"median": 1.0, "min": 0.5, "max": 2.0}


def test_the_command_writes_prints_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(policies, "FEW_LOADS", (0.2, 0.8))
    monkeypatch.setattr(policies, "NAMES", ("poisson", "closed loop"))
    out = tmp_path / "found.json"
    policies.main(["--quick", "--jobs", "1", "--out", str(out)])
    found = json.loads(out.read_text())
    assert tables(found["summary"]) in capsys.readouterr().out
    assert len(found["summary"]) == len(found["samples"]) == 4
    assert set(found["samples"][0]["cells"]) == set(POLICIES)
    assert found["parameters"]["cost"]
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
