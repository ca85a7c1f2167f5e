"""The arithmetic of a fleet's table, with numbers that can be worked out in one's head."""

from typing import Any

from benchmarks.fleet_table import (
    DOORS,
    EXAMPLE,
    NEEDED,
    SERVING,
    WORKS,
    example,
    fleet,
    fronts,
)

FIGURES = {"requests_per_second": 1000.0, "cpu_us": 100.0, "host_us": 500.0}


def _result(name: str) -> dict[str, Any]:
    cell = {figure: {"median": median} for figure, median in FIGURES.items()}
    return {
        "date": "today",
        "commit": "0123456789",
        "dirty": False,
        "hardware": {"gpu": "GPU"},
        "summary": {"cells": {work.cell: cell for work in WORKS if work.result == name}},
    }


def test_cores_and_links_follow_from_rates_and_sizes() -> None:
    images, *_, tiny, _, source = fleet({name: _result(name) for name in NEEDED}).splitlines()[2:]

    # 700 rows/s: of 602 112 bytes, at 500 us in the engine's process and 100 us in its clients'
    assert images.endswith("| 1,000 | 700 | 0.35 | 0.07 | 3.37 Gbit/s | 5,190 | 20,800 |")
    assert tiny.endswith("| 1,000 | 700 | 0.07 |  | 0.0688 Gbit/s | 254,000 | 1,020,000 |")
    assert all(f"`{name}.json`: today, 0123456789" in source for name in NEEDED)


def test_a_core_answers_what_its_time_is_enough_for() -> None:
    about = {"cpu": "CPU", "cores": 2, "memory_gib": 1, "system": "Linux"}
    result = _result("serving") | {
        "name": SERVING,
        "hardware": about,
        "versions": {"python": "3", "numpy": "2"},
        "parameters": {"foreign_cores": None, "rounds": 3},
        "summary": {"cells": {"": {cell: {"cpu_us": {"median": 100.0}} for cell in DOORS}}},
    }

    first, *_ = fronts({SERVING: result}).splitlines()[2:]

    assert first == "| HTTP, binary, 12 KB | 100 | 7,000 |"


def test_the_example_follows_from_both_tables() -> None:
    gpu = _result(EXAMPLE.result)
    gpu["summary"]["cells"][EXAMPLE.cell] = {
        "requests_per_second": {"median": 30_000.0},
        "host_us": {"median": 20.0},
    }
    costs = zip(DOORS, (20.0, 148.0, 0.0, 0.0, 0.0), strict=True)
    doors = {cell: {"cpu_us": {"median": cost}} for cell, cost in costs}
    serving = _result(SERVING) | {"summary": {"cells": {"": doors}}}
    text, _, source = example({EXAMPLE.result: gpu, SERVING: serving}).splitlines()

    # 70 % of 30,000 are 21,000; three GPUs take 13,333 each, of 150,528 bytes and 20 us
    assert "40,000 / 21,000 = 1.9: 2 GPUs, and one more to lose" in text
    assert "13,333 images/s at most on a common day: 16.1 Gbit/s" in text
    assert "13,333 × 20 µs = 0.27 of a core" in text
    # 150,528 bytes lie at 0.234 of the way from 12,288 to 602,112
    assert "30,000 × 50 µs = 1.5, rounded up: 2 fronts" in text
    assert "the others have 20,000 images/s each" in text
    assert f"`{SERVING}.json`: today, 0123456789" in source
