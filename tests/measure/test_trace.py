"""Timelines: valid, bounded, and everything nests."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import anyio
import pytest

from support.helpers import opened, row
from trtasync.core.records import BatchRecord
from trtasync.engine import watch
from trtasync.measure import Recorder
from trtasync.measure.trace import REQUESTS, SLOTS, STREAMS, trace
from trtasync.testing import ScriptedBackend


def check_nesting(found: dict[str, Any]) -> None:
    """On each track a span lies within the one around it, or beside it: what Perfetto demands."""
    tracks: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for event in found["traceEvents"]:
        if event["ph"] == "X":
            begin, length = round(event["ts"] * 1000), round(event["dur"] * 1000)
            assert begin >= 0
            assert length >= 0
            tracks[event["pid"], event["tid"]].append((begin, begin + length))
    for spans in tracks.values():
        around: list[tuple[int, int]] = []
        for begin, end in sorted(spans, key=lambda span: (span[0], -span[1])):
            while around and around[-1][1] <= begin:
                around.pop()
            assert not around or end <= around[-1][1]
            around.append((begin, end))


@pytest.mark.anyio
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_timeline_of_an_engine(tmp_path: Path, asynchronous: bool) -> None:
    backend = ScriptedBackend(asynchronous=asynchronous, depth=1 + asynchronous)
    recorder = Recorder()
    async with opened(backend, streams=2, max_batch_size=4) as engine:
        watch(engine, recorder)
        async with anyio.create_task_group() as tasks:
            for number in range(40):
                tasks.start_soon(engine.infer, row(number))
        watch(engine, None)
        await engine.infer(row(0))
    assert sum(batch.rows for batch in recorder.batches) == 40
    recorder.write(tmp_path / "trace.json")
    found = json.loads((tmp_path / "trace.json").read_text())
    check_nesting(found)
    events = [event for event in found["traceEvents"] if event["ph"] == "X"]
    assert sum(event["name"] == "request" for event in events) == 40
    assert {event["pid"] for event in events} == {REQUESTS, SLOTS, STREAMS}
    named = {event["pid"] for event in found["traceEvents"] if event["name"] == "process_name"}
    assert named == {REQUESTS, SLOTS, STREAMS}


def record(start: float, slot: int = 1, **more: Any) -> BatchRecord:
    given = {"lane": 0, "rows": 2, "run_rows": 2, "arrivals": (start, start + 0.1)}
    given |= {"started": start + 0.2, "ended": start + 0.5, "delivered": start + 0.6}
    given |= {"times": (0.05, 0.1, 0.05), "slot": slot}
    return BatchRecord(**{**given, **more})


def test_batches_enqueued_behind_one_another_do_not_overlap_on_their_stream() -> None:
    first, second = record(0.0), record(0.1, 2, times=(1.0, 1.0, 1.0))
    check_nesting(trace([first, second, record(0.3, 3, arrivals=(0.0, 0.3))]))
    assert trace([])["traceEvents"] == []


def test_the_recorder_keeps_the_latest() -> None:
    recorder = Recorder(limit=5)
    for number in range(10):
        recorder(record(float(number)))
    assert [batch.arrivals[0] for batch in recorder.batches] == [8.0, 9.0]
