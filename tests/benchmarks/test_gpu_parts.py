"""The benchmarks of one GPU, on the doubles: they measure, and all ratios that they want are there.

What they find means nothing here.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.gpu import arrivals, busy, lead, memory, results, tiny, zero_copy
from benchmarks.gpu.ceiling import Ceiling
from benchmarks.gpu.resnet import Group
from benchmarks.gpu.results import LiveTable
from benchmarks.gpu.systems import ours
from benchmarks.gpu.works import Work
from benchmarks.table import Ratio
from support.gpu.hardware import Ledger
from tests.benchmarks.support import means, on_doubles
from trtasync.measure.runs import on_loop
from trtasync.opening import api

LEAST = 0.05
"""Seconds of a sample."""


class Few:
    """`means` with a few callers."""

    def __init__(self, work: Work):
        self._work = work

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)

    def rows(self, count: int = 8) -> Any:
        return self._work.rows(min(count, 8))


def run(measure: Callable[[Work, LiveTable], None]) -> LiveTable:
    """What a part finds with one round of everything."""
    table = LiveTable()
    with on_doubles(clean=False) as gpu:  # the yardsticks keep their streams
        few: Any = Few(means())
        measure(few, table)
        assert gpu.violations == []
    for samples in table.cells.values():
        for sample in samples:
            assert sample["requests"] > 0
            assert sample["requests_per_second"] > 0
    table.show()
    return table


def ratios(table: LiveTable, wanted: Sequence[Ratio]) -> set[str]:
    """Keys of those that were formed."""
    return set(table.ratios(wanted))


def test_tiny() -> None:
    def measure(work: Work, table: LiveTable) -> None:
        bench = tiny.Tiny(work, 1, LEAST, table, lanes=sum(tiny.STREAMS))
        for loop in tiny.LOOPS:
            on_loop(loop, partial(bench.run, loop))
        bench.close()

    wanted = tiny.wanted_ratios()
    assert ratios(run(measure), wanted) == {each.key for each in wanted}


@pytest.mark.parametrize(("kind", "over"), [(Group, "A"), (zero_copy.ZeroCopy, "copied")])
def test_resnet_and_zero_copy(kind: type[Group], over: str) -> None:
    def measure(work: Work, table: LiveTable) -> None:
        group = kind("", work, 2, LEAST, table)
        on_loop("asyncio", partial(group.many, 3))
        on_loop("asyncio", group.one)
        group.close()

    table = run(measure)
    ours = "trtasync" if over == "A" else "zero-copy"
    pairs = [
        Ratio(f"{ours}/float32/3", f"{other}/float32/3", "cpu_us") for other in ("ceiling", over)
    ]
    assert ratios(table, pairs) == {pair.key for pair in pairs}
    assert len(table.cells[f"{ours}/float32/3"]) == 2
    assert {"heartbeat_p99_us", "p50_us"} <= set(table.cells[f"{ours}/float32/3"][0])


def test_arrivals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "DELAYS", (0.001,))
    monkeypatch.setattr(arrivals, "LOADS", (0.1, 0.3))
    monkeypatch.setattr(arrivals, "CLIENTS", 8)

    def measure(work: Work, table: LiveTable) -> None:
        on_loop("asyncio", partial(arrivals.compare, work, 1, 0.2, table))

    wanted = arrivals.wanted_ratios()
    assert ratios(run(measure), wanted) == {each.key for each in wanted}


def test_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lead, "CLIENTS", (1, 8))
    monkeypatch.setattr(lead, "LOADS", (0.2,))
    monkeypatch.setattr(lead, "WARM_UP", 0.01)
    opened = []

    def noting(work: Work, streams: int) -> Any:
        opened.append(api.LEAD)
        return ours(work, streams)

    monkeypatch.setattr(lead, "ours", noting)

    def measure(work: Work, table: LiveTable) -> None:
        on_loop("asyncio", partial(lead.compare, work, 1, 0.2, table))

    wanted = lead.wanted_ratios(["means"])
    assert ratios(run(measure), wanted) == {each.key for each in wanted}
    assert opened == list(lead.LEADS)


def test_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(busy, "WARM_UP", 0.01)
    works: list[Work] = []

    def measure(work: Work, table: LiveTable) -> None:
        works.append(work)
        for system in busy.SYSTEMS:
            on_loop("asyncio", partial(busy.measure, work, system, 1, LEAST, table))

    table = run(measure)
    wanted = busy.wanted_ratios(works)
    assert ratios(table, wanted) == {each.key for each in wanted}


def test_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "REQUESTS", 300)
    monkeypatch.setattr(memory, "WARM_UP", 100)
    monkeypatch.setattr(memory, "watched", lambda: nullcontext(Ledger()))  # for real allocations
    with on_doubles(clean=False):
        few: Any = Few(means())
        found = on_loop("asyncio", partial(memory.a_million, few))
    assert found["answered"] >= 300
    assert len(found["marks"]) == memory.MARKS + 1


def test_the_ceiling_of_every_depth_and_size() -> None:
    def measure(work: Work, table: LiveTable) -> None:
        ceiling = Ceiling(work, 2, work.rows(), (1, 4))
        for depth in (1, 2):
            sample = ceiling.run(2, LEAST, 4, depth)
            assert sample["requests"] % 4 == 0
            assert sample["p50_us"] <= sample["p99_us"]
            table.add(f"{depth} deep", sample)
        ceiling.close()

    assert len(run(measure).cells) == 2


def test_a_part_ends_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    out = tmp_path / "copies"
    with on_doubles():
        options = results.parse("tiny", "", ["--rounds", "2", "--out", str(out)])
        table = LiveTable()
        for rate in (100.0, 300.0):
            table.add("a", {"requests_per_second": rate})
            table.add("b", {"requests_per_second": 100.0})
        wanted = [Ratio("a", "b", "requests_per_second")]
        results.finish("tiny", table, wanted, options, {"seconds": 0.5}, more=1)
    text = (tmp_path / "gpu_tiny.json").read_text()
    assert (out / "gpu_tiny.json").read_text() == text
    found = json.loads(text)
    assert found["name"] == "gpu_tiny"
    assert found["hardware"]["gpu"] == "Double GPU"
    assert found["parameters"] == {"rounds": 2, "seconds": 0.5}
    assert found["summary"]["more"] == 1
    ratio = {"median": 2.0, "min": 1.0, "max": 3.0}
    assert found["summary"]["ratios"] == {"a : b, requests_per_second": ratio}
    sample = {"cell": "a", "round": 2, "requests_per_second": 300.0}
    assert found["samples"][1] == sample
    assert f"\n  {json.dumps(sample)},\n" in text  # a line of its own
