"""Engines beside something that computes: what is measured, and its table."""

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import numpy_helper

from benchmarks.busy_table import SYSTEM_NAMES, busy_thread
from benchmarks.busy_thread import FILES, FUNCTIONS, cells, parse, sample, wanted_ratios
from benchmarks.sharing.client import Plan
from benchmarks.table import Table

QUICK = ["--quick", "--systems", "large"]


def of_large(folder: Path) -> dict[str, tuple[Plan, ...]]:
    """Under each condition, what its clients do."""
    options = parse(QUICK)
    options.seconds, options.warm_up = 0.05, 0.01
    found = cells(options, folder)
    return {name: plans for name, plans in found.items() if isinstance(plans, tuple)}


def test_every_system_is_measured_alone_and_beside_a_thread(tmp_path: Path) -> None:
    planned = cells(parse(["--systems", *FUNCTIONS, *FILES]), tmp_path)
    for system in SYSTEM_NAMES:
        for condition in ("none, 5 ms", "thread, 5 ms", "thread, 0.5 ms"):
            assert f"{system}/{condition}" in planned
    assert len(planned) == 3 * len(SYSTEM_NAMES) + len(FUNCTIONS)


def test_only_the_thread_computes_beside_what_is_asked(tmp_path: Path) -> None:
    found = {name: {each.busy for each in plans} for name, plans in of_large(tmp_path).items()}
    assert found == {
        "large/none, 5 ms": {False},
        "large/thread, 5 ms": {True},
        "large/thread, 0.5 ms": {True},
    }


def test_large_rows_are_asked_by_many_and_by_one(tmp_path: Path) -> None:
    found = sample(of_large(tmp_path)["large/thread, 0.5 ms"])
    assert list(found) == ["64", "1"]
    assert all(each["requests"] > 0 for each in found.values())


def test_a_model_that_answers_wrongly_is_not_measured(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plan, _ = of_large(tmp_path)["large/none, 5 ms"]
    model = onnx.load(plan.model)
    for tensor in model.graph.initializer:
        if tensor.name in ("begin", "end"):
            shifted = numpy_helper.to_array(tensor) + 1
            tensor.CopyFrom(numpy_helper.from_array(shifted, tensor.name))
    onnx.save(model, plan.model)
    with pytest.raises(RuntimeError, match="ended with status 1"):
        sample((plan,))
    assert "AssertionError" in capfd.readouterr().err


def _figures(rate: float) -> dict[str, float]:
    return {"requests_per_second": rate, "p50_us": 1e6 / rate, "p99_us": 2e6 / rate}


def test_its_table_tells_what_is_left() -> None:
    table = Table()
    for condition, rate in {
        "none, 5 ms": 2000.0,
        "thread, 5 ms": 50.0,
        "thread, 0.5 ms": 400.0,
        "coroutine, 5 ms": 1000.0,
    }.items():
        for system in ("trtasync", "large shared in place"):
            if "coroutine" not in condition or system == "trtasync":
                for callers in ("64", "1"):
                    table.add(f"{system}/{condition}", _figures(rate), callers)
    result: dict[str, Any] = {
        "name": "busy_thread",
        "date": "2026-11-27 00:00 UTC",
        "commit": "abcdef0",
        "dirty": False,
        "hardware": {"cpu": "c", "cores": 2, "memory_gib": 1.0, "system": "Linux"},
        "versions": {"python": "3.12", "numpy": "2.5"},
        "parameters": {"rounds": 1, "foreign_cores": None},
        "summary": {"cells": table.by_callers(), "ratios": table.ratios(wanted_ratios())},
    }
    lines = busy_thread(result).splitlines()
    name = SYSTEM_NAMES["large shared in place"]
    assert (
        f"| {name} | 2 k (2 k .. 2 k) | 50 (50 .. 50) | 2.5 % [2.5 .. 2.5] | 20 % [20 .. 20] "
        "| 1 | 40 | 1 | 40 |" in lines
    )
    beside_coroutine = lines[lines.index("") :]
    assert not any(name in line for line in beside_coroutine)
    assert (
        f"| {SYSTEM_NAMES['trtasync']} | 2 k (2 k .. 2 k) | 1 k (1 k .. 1 k) | 50 % [50 .. 50] "
        "| 0.5 | 1 | 0.5 | 1 |" in beside_coroutine
    )
