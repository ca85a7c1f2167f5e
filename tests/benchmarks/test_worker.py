"""A sample in a process of its own: what it finds, and how it fails."""

import json
from pathlib import Path

import pytest

from benchmarks.overhead import parse, wanted_ratios
from benchmarks.readme_tables import overhead
from benchmarks.rounds import finish, tabled
from benchmarks.worker import Plan, answer, start
from trtasync.measure.settings import Loop


@pytest.mark.parametrize(("system", "loop"), [("trtasync", "trio"), ("slab", "uvloop")])
def test_it_has_a_sample_for_each_number_of_callers(system: str, loop: Loop) -> None:
    found = answer(start(Plan(system, loop, {3: 0.05, 1: 0.02}, 0.01, "coroutine")))
    assert list(found) == ["3", "1"]
    for sample in found.values():
        assert sample["requests"] > 0
        assert 0 < sample["p50_us"] <= sample["p99_us"]
        assert sample["cpu_us"] == pytest.approx(
            sample["cpu_cores"] * sample["seconds"] / sample["requests"] * 1e6
        )


def test_an_idle_engine_uses_next_to_nothing() -> None:
    found = answer(start(Plan("trtasync", "asyncio", {64: 0.0}, idle=0.1)))
    assert found["seconds"] >= 0.1
    assert found["cores"] < 0.5


def test_a_failure_ends_in_its_reason(capfd: pytest.CaptureFixture[str]) -> None:
    worker = start(Plan("nobody's", "asyncio", {1: 0.01}))
    with pytest.raises(RuntimeError, match="ended with status 1"):
        answer(worker)
    assert capfd.readouterr().err.splitlines()[-1] == '''KeyError: "nobody's"'''


def test_a_quick_run_writes_nothing_and_shows_ratios(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = {"requests_per_second": 10.0, "cpu_us": 5.0, "p50_us": 6.0, "p99_us": 7.0}
    cells = {"trtasync/asyncio": {"64": figures, "1": figures}}
    cells["slab/asyncio"] = {"64": {**figures, "cpu_us": 2.5}, "1": figures}
    path = tmp_path / "found.json"
    finish("overhead", tabled([cells]), wanted_ratios(), parse(["--quick"]), {}, {}, path)
    shown = capsys.readouterr().out
    assert "trtasync/asyncio : slab/asyncio, cpu_us at 64" in shown
    assert "2.000" in shown
    assert not path.exists()
    finish("overhead", tabled([cells]), wanted_ratios(), parse([]), {"a": 1}, {"idle": {}}, path)
    found = json.loads(path.read_text())
    assert found["summary"]["cells"]["slab/asyncio"]["64"]["cpu_us"]["median"] == 2.5
    assert found["samples"][0] == {"cell": "trtasync/asyncio", "callers": 64, "round": 1, **figures}
    assert found["parameters"]["a"] == 1
    assert "| **trtasync** | asyncio | 10 (10 .. 10) | 5 | 6 | 7 | 6 |" in overhead(found)
