"""What the benchmark of pressing deadlines measures is the deadline's doing."""

import math

import pytest

from benchmarks import haste
from trtasync.measure.runs import on_loop
from trtasync.measure.settings import Loop


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_without_pressing_a_batch_that_waits_for_company_is_late(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times so long that it is no matter how late a busy machine wakes whoever sleeps."""
    monkeypatch.setattr(haste, "DEADLINE", 0.6)
    monkeypatch.setattr(haste, "HASTES", (-math.inf, 0.5))
    monkeypatch.setitem(haste.CASES, "company", {"streams": 1, "max_queue_delay": 100.0})
    late, early = on_loop(loop, lambda: haste.measure("company", 1, 0.2)).values()
    assert late[0] < early[0]
