"""Tables of when batches go, and of what a reading of a deadline costs."""

import json
from typing import Any

from benchmarks import effective_deadline
from benchmarks.gpu_policy_tables import lead, streams
from benchmarks.readme_tables import policies
from benchmarks.report import RESULTS


def _spread(value: float) -> dict[str, float]:
    return {"median": value, "min": value, "max": value}


def _result(parameters: dict[str, Any], **summary: Any) -> dict[str, Any]:
    return {
        "name": "made-up",
        "date": "today",
        "commit": "abc",
        "dirty": False,
        "hardware": {"cpu": "CPU", "gpu": "GPU", "cores": 2, "system": "Linux"},
        "versions": {"python": "3", "torch": "2", "anyio": "4"},
        "parameters": {"rounds": 1, "seconds": 1.0, **parameters},
        "summary": summary,
    }


def test_streams_share_what_was_measured() -> None:
    cells = {
        f"float32/{count} streams, depth 1/{rows} rows": {
            "batch_us": _spread(1000.0 * rows / count),
            "p50_us": _spread(500.0 * rows * count),
        }
        for count in (1, 2)
        for rows in (1, 4, 16, 64)
    }
    table = streams(_result({"streams": [1, 2]}, cells=cells)).splitlines()
    assert table[0].endswith("| 1 stream | 2 streams | latency of one batch beside 0 / 1 others |")
    assert "| 4 | 4 | 2 | 2 / 4 |" in table


def test_a_lead_is_compared_with_none_in_both_kinds_of_loop() -> None:
    def key(case: str, figure: str) -> str:
        name = f"resnet50 uint8/{case}/lead"
        return f"{name} 0 ms : {name} 0.1 ms, {figure}"

    ratios = {
        key("load 30%", "p50_us"): _spread(1.1),
        key("load 30%", "p99_us"): _spread(1.4),
        key("8 clients", "p50_us"): _spread(1.0),
        key("8 clients", "p99_us"): _spread(0.9),
    }
    table = lead(_result({"clients": [8], "loads": [0.3]}, cells={}, ratios=ratios)).splitlines()
    assert "| open loop, 30% of capacity | 1.1 | 1.4 |" in table
    assert "| closed loop, 8 callers | 1 | 0.9 |" in table


def test_policies_are_compared_in_closed_loops_too() -> None:
    result = json.loads((RESULTS / "policies.json").read_text())
    table = policies(result)
    for arrivals in ("poisson", "closed loop"):
        assert f"\n| {arrivals} | 5% |" in table
        assert f"\n| {arrivals} | 120% |" in table


def test_a_reading_is_told_beside_anyios() -> None:
    result = _result(
        {},
        readings={"asyncio/1": {"ours": 200.0, "anyio": 800.0}},
        requests={"asyncio": {"ours": _spread(6.0), "anyio": _spread(8.0), "ratio": _spread(0.75)}},
    )
    table = effective_deadline.table(result).splitlines()
    assert (
        "| one reading, scopes around the caller: 1 | asyncio | 200 ns | 800 ns | 0.25 |" in table
    )
    assert (
        "| CPU per request, 64 callers with a scope each | asyncio | 6 µs | 8 µs "
        "| 0.75× [0.75 .. 0.75] |" in table
    )
