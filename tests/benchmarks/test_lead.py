"""The benchmark of `lead`, on the doubles: each engine has the lead of its cells."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from benchmarks.gpu import lead
from benchmarks.gpu.results import Table
from benchmarks.gpu.systems import ours
from benchmarks.gpu.works import Work
from benchmarks.load import run_on
from tests.benchmarks.support import on_doubles
from tests.benchmarks.test_two_gpus import small_work
from trtasync.opening import api


def test_a_run_on_the_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lead, "CLIENTS", (1, 8))
    monkeypatch.setattr(lead, "LOADS", (0.2,))
    monkeypatch.setattr(lead, "WARM_UP", 0.02)
    table, opened = Table(), []

    def noting(work: Work, streams: int) -> AbstractAsyncContextManager[Any]:
        opened.append(api.LEAD)
        return ours(work, streams)

    monkeypatch.setattr(lead, "ours", noting)
    with on_doubles(clean=False) as gpu:  # the yardstick keeps its stream
        bench = lead.Bench(small_work(), 1, 0.1, table)
        run_on("asyncio", bench.run)
        assert gpu.violations == []
    assert opened == list(lead.LEADS)
    assert len(table.cells) == len(lead.LEADS) * len(lead.loads("means"))
    assert all(sample["requests"] > 0 for (sample,) in table.cells.values())
    assert len(table.ratios(lead.wanted_ratios(["means"]))) == 2 * (2 * 3 + 2)
