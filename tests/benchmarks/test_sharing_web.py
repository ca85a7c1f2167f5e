"""FastAPI over engines of its workers' own, and over a shared one: the parts of the benchmark."""

import os
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from benchmarks.load import rows
from benchmarks.sharing.models import product
from benchmarks.sharing.web import KINDS, parse, wanted_ratios
from benchmarks.sharing.web_app import app
from benchmarks.systems import model
from trtasync.shared.places import VARIABLE


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("kind", KINDS)
async def test_the_app_answers_rightly_and_says_when_it_can(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {"MODEL": str(product(tmp_path)), "SHARED": KINDS[kind], "FOLDER": str(tmp_path)}
    for name, value in {**made, VARIABLE: str(tmp_path)}.items():
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
