"""Percentiles, spreads and rates."""

import math

import numpy as np
import pytest

from trtasync.measure.statistics import percentiles, rates, rounded, spread, spreads, tail


def test_the_tail_counts_who_had_no_answer() -> None:
    latencies = np.arange(1, 101) / 100
    assert tail(latencies, 0.99) == 0.99
    assert tail(latencies, 0.99, lost=1) == 1.0
    assert tail(latencies, 0.99, lost=2) == math.inf
    assert tail(latencies[:0], 0.99) == math.inf
    assert tail(latencies[:1], 0.99) == 0.01


def test_half_of_all_lie_at_or_below_the_median() -> None:
    assert [tail(list(range(1, n + 1)), 0.5) for n in (1, 2, 3, 4)] == [1, 1, 2, 2]


def test_percentiles_are_named_and_in_microseconds() -> None:
    found = percentiles("late_", [0.001, 0.002, 0.003], (50, 99))
    assert found == {"late_p50_us": pytest.approx(2000), "late_p99_us": pytest.approx(2980)}
    assert percentiles("late_", [], (50,)) == {}


def test_rates_have_no_cost_per_piece_of_nothing() -> None:
    found = rates("rows", 4, 2.0, 1.0)
    assert found == {
        "rows": 4.0,
        "seconds": 2.0,
        "rows_per_second": 2.0,
        "cpu_cores": 0.5,
        "cpu_us": 250_000.0,
    }
    assert "cpu_us" not in rates("rows", 0, 2.0, 1.0)


def test_a_spread_is_of_the_rounds_that_have_the_figure() -> None:
    assert spread([3.0, 1.0, 2.000_004]) == {"median": 2.0, "min": 1.0, "max": 3.0}
    found = spreads([{"a": 1.0, "b": 5.0}, {"a": 3.0}])
    assert found["a"] == {"median": 2.0, "min": 1.0, "max": 3.0}
    assert found["b"]["max"] == 5.0
    assert rounded({"a": 123_456.7}, 3) == {"a": 123_000.0}
