"""What docs/observing.md shows, runs; and it tells all metrics there are."""

import logging
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from tests.documents.running import ROOT, python_blocks, run_block, write_identity
from trtasync.server.models import Models
from trtasync.server.prometheus.families import families

PAGE = "docs/observing.md"


@pytest.mark.anyio
async def test_its_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = CollectorRegistry()
    monkeypatch.setattr("prometheus_client.REGISTRY", registry)
    monkeypatch.chdir(tmp_path)
    write_identity(tmp_path / "digits.onnx", ["N", 4])
    server, collector, spans, logs = python_blocks(PAGE)
    names: dict[str, Any] = {"models": Models()}
    for block in (server, spans, collector):
        await run_block(block, names)
    async with aclosing(names["engine"]) as engine:
        await engine.infer(np.zeros((2, 4), np.float32))
        labels = {"model": "digits", "version": "1"}
        assert registry.get_sample_value("trtasync_rows_total", labels) == 2
    paths = {route.path for route in names["app"].routes}
    assert {"/metrics", "/dashboard"} <= paths
    await run_block(logs, names)
    log, handler = logging.getLogger("trtasync"), names["handler"]
    assert handler in log.handlers
    log.removeHandler(handler)


def test_it_tells_all_metrics() -> None:
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    for family in families(()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"`{name}`" in page
