"""Exporters are found by their names, and get all spans by the end."""

import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from support.helpers import row
from trtasync import BackendUnavailable, InvalidInput, open_engine
from trtasync.testing import ScriptedBackend
from trtasync.tracing.exporting import exporting, provider_of

pytestmark = pytest.mark.anyio

KEPT: list[Any] = []

SDKS_OWN_PATIENCE = 30.0
"""Seconds that its `shutdown` waits for an exporter."""

MODULE = """
import threading
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from tests.tracing import test_exporting

class Keeping(SpanExporter):
    def export(self, spans):
        test_exporting.KEPT.extend(spans)
        return SpanExportResult.SUCCESS

class Stuck(Keeping):
    told = threading.Event()

    def export(self, spans):
        assert self.told.wait(50)
        return SpanExportResult.FAILURE

    def shutdown(self):
        self.told.set()

def broken():
    raise ValueError("no such place")
"""
OFFERED = """
[opentelemetry_traces_exporter]
keeping = kept_spans:Keeping
stuck = kept_spans:Stuck
broken = kept_spans:broken
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that offers exporters."""
    (tmp_path / "kept_spans.py").write_text(MODULE)
    about = tmp_path / "kept_spans-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: kept_spans\nVersion: 1\n")
    (about / "entry_points.txt").write_text(OFFERED)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "kept_spans", raising=False)
    KEPT.clear()


@pytest.mark.parametrize("named", ["", "reader"])
async def test_everything_is_exported_by_the_end(
    named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if named:
        monkeypatch.setenv("OTEL_SERVICE_NAME", named)
    backend = ScriptedBackend()
    async with exporting("keeping") as tracing, open_engine(backend, name="m") as engine:
        tracing.trace(engine)
        await engine.infer(row(1))
    assert {each.name for each in KEPT} == {"infer m", "batch m"}
    assert {each.resource.attributes["service.name"] for each in KEPT} == {named or "trtasync"}


async def test_who_is_cancelled_does_not_wait_for_a_collector() -> None:
    """It would be waited for half a minute; it is told to give up."""
    began = anyio.current_time()
    with anyio.CancelScope() as scope:
        async with exporting("stuck") as tracing:
            async with open_engine(ScriptedBackend(), name="m") as engine:
                tracing.trace(engine)
                await engine.infer(row(1))
            scope.cancel()
    assert scope.cancelled_caught
    assert anyio.current_time() - began < SDKS_OWN_PATIENCE - 5


async def test_without_a_name_nothing_is_traced() -> None:
    async with exporting(None) as tracing, open_engine(ScriptedBackend()) as engine:
        before = engine._future
        tracing.trace(engine)
        assert engine._future == before
        assert engine._core.observer is None
        assert engine._core.completion.watcher is None


async def test_what_cannot_be_exported_to_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match=r"no exporter 'nowhere' here; there are: .*keeping"):
        provider_of("nowhere")
    with pytest.raises(BackendUnavailable, match=r"'broken' cannot be set up .*no such place"):
        provider_of("broken")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(BackendUnavailable, match=r"pip install 'trtasync\[otel\]' opentel"):
        async with exporting("keeping"):
            raise AssertionError
