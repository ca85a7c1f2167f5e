"""FastAPI over engines of its workers' own, and over a shared one: the parts of the benchmark."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from benchmarks.load import rows
from benchmarks.sharing.models import product
from benchmarks.sharing.tables import sharing_web
from benchmarks.sharing.web import KINDS, parse, wanted_ratios
from benchmarks.sharing.web_app import app
from benchmarks.systems import model
from benchmarks.table import Table
from trtasync.shared.places import VARIABLE


@pytest.fixture
def runtime() -> Iterator[str]:
    """Where the engine's process listens: sockets have short paths."""
    with tempfile.TemporaryDirectory(prefix="web-") as folder:
        yield folder


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("kind", KINDS)
async def test_the_app_answers_rightly_and_says_when_it_can(
    kind: str, tmp_path: Path, runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {"MODEL": str(product(tmp_path)), "SHARED": KINDS[kind], "FOLDER": str(tmp_path)}
    for name, value in {**made, VARIABLE: runtime}.items():
        monkeypatch.setenv(name, value)
    (x,) = rows(1)
    async with app.router.lifespan_context(app) as state:
        assert state is not None
        assert (tmp_path / str(os.getpid())).is_file()
        assert hasattr(state["engines"]["rows"], "host_pid") is (kind == "shared")

        async def served(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": dict(state)}, receive, send)

        transport = httpx.ASGITransport(served)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            answer = await client.post("/infer", content=x.tobytes())
    np.testing.assert_allclose(
        np.frombuffer(answer.content, np.float32), model(x[None])[0], rtol=1e-3, atol=1e-3
    )


def test_each_number_of_workers_is_compared() -> None:
    ratios = wanted_ratios(parse(["--quick", "--workers", "2", "3"]))
    assert {(each.cell, each.over) for each in ratios} == {
        ("shared/2", "own/2"),
        ("shared/3", "own/3"),
    }
    assert {each.callers for each in ratios} == {"64"}


def test_its_table_has_both_beside_each_other() -> None:
    options = parse(["--quick", "--workers", "2"])
    table = Table()
    for kind, rate in (("own", 1000.0), ("shared", 1500.0)):
        sample = {
            "requests_per_second": rate,
            "cpu_us": 1e6 / rate,
            "p50_us": 9,
            "p99_us": rate / 5,
        }
        table.add(f"{kind}/2", {**sample, "pss_mib": rate / 10}, "64")
    result = {
        "name": "sharing_web",
        "date": "2026-11-27 00:00 UTC",
        "commit": "abcdef0",
        "dirty": False,
        "hardware": {"cpu": "c", "cores": 2, "memory_gib": 1.0, "system": "Linux"},
        "versions": {"python": "3.12", "numpy": "2.5"},
        "parameters": {"workers": [2], "callers": 64, "rounds": 1, "foreign_cores": None},
        "summary": {"cells": table.by_callers(), "ratios": table.ratios(wanted_ratios(options))},
    }
    row = (
        "| 2 | 1.5 k (1.5 k .. 1.5 k) | 1 k (1 k .. 1 k) | 1.50× [1.50 .. 1.50] "
        "| 667 | 1,000 | 150 | 100 | 300 | 200 |"
    )
    assert row in sharing_web(result).splitlines()
