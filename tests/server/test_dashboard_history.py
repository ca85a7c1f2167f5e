"""What the page knows of how a model goes on; and its numbers."""

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest

from trtasync.core.metrics import Meter, Statistics, StreamStatistics
from trtasync.server.dashboard.figures import NOTHING, duration, number, share
from trtasync.server.dashboard.history import APART, LOOKS, RECENT, History
from trtasync.server.deployments import State
from trtasync.server.survey import Surveyed

STREAM = StreamStatistics(1, True, 2, 10, 3, 4, 0.5, 0.01)


def counted(sizes: Mapping[int, int], latencies: int = 0, queued: int = 0) -> Statistics:
    """Of batches of these sizes."""
    meter = Meter()
    meter.batch_sizes.update(sizes)
    meter.answered = sum(sizes.values())
    meter.latency.add(0.001, latencies)
    return meter.snapshot(queued, 0, 0, 0, 0, (STREAM,))


def look(history: History, time: float, statistics: Statistics | None) -> None:
    """At the one model."""
    history.add(time, [Surveyed("m", "1", State.READY, "", statistics, None)])


def test_the_first_look_knows_no_rate() -> None:
    history = History()
    look(history, 1.0, counted({2: 5}))
    recent = history.recent("m", "1")
    assert recent.seconds is None
    assert recent.rate(7) is None
    assert recent.counted.rows == 10


def test_what_happened_between_two_looks() -> None:
    history = History()
    look(history, 1.0, counted({2: 5, 3: 1}, latencies=4, queued=9))
    more = StreamStatistics(1, False, 0, 25, 4, 6, 0.75, 0.0)
    look(history, 5.0, replace(counted({2: 5, 3: 3, 4: 1}, 10, queued=8), streams=(more,)))
    recent = history.recent("m", "1")
    assert recent.seconds == 4
    assert recent.rate(recent.counted.rows) == 2.5
    assert recent.counted.batch_sizes == {3: 2, 4: 1}
    assert (recent.counted.answered, recent.counted.batches) == (3, 3)
    assert recent.counted.queued == 8
    assert (recent.counted.latency.count, sum(recent.counted.latency.counts)) == (6, 6)
    assert recent.counted.latency.total == pytest.approx(0.006)
    assert recent.counted.streams == (StreamStatistics(1, False, 0, 15, 1, 2, 0.25, 0.0),)


def test_only_the_last_seconds_count_as_recent() -> None:
    history = History()
    for time in range(40):
        look(history, float(time), counted({1: time}))
    assert history.recent("m", "1").seconds == RECENT
    look(history, 100.0, counted({1: 50}))  # nobody looked meanwhile
    assert history.recent("m", "1").seconds == 61


def test_it_forgets() -> None:
    history = History()
    for time in range(2 * LOOKS):
        look(history, float(time), counted({1: time}))
    assert [each.time for each in history.looks("m", "1")] == [*range(LOOKS, 2 * LOOKS)]


def test_several_who_look_at_once_are_one() -> None:
    history = History()
    times = [0.0, *(3 + APART / 10 * step for step in range(30))]
    for time in times:
        look(history, time, counted({1: round(time * 100)}))
    known = [each.time for each in history.looks("m", "1")]
    assert known[-1] == times[-1]
    assert all(b - a >= APART for a, b in pairwise(known[:-1]))
    look(history, known[-1], counted({1: 1000}))  # the clock has not moved on
    assert [each.time for each in history.looks("m", "1")] == known


@pytest.mark.parametrize(
    "after",
    [counted({1: 4}), counted({2: 9}), counted({1: 5}), replace(counted({1: 6}), streams=())],
)
def test_an_engine_that_counts_anew_has_no_past(after: Statistics) -> None:
    history = History()
    look(history, 1.0, counted({1: 5}, latencies=1))
    look(history, 2.0, after)
    assert history.recent("m", "1").seconds is None


def test_nor_has_one_that_was_away() -> None:
    history = History()
    look(history, 1.0, counted({1: 5}))
    look(history, 2.0, None)
    look(history, 3.0, counted({1: 6}))
    assert history.recent("m", "1").seconds is None


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "0"),
        (0.126, "0.13"),
        (12.34, "12.3"),
        (99.96, "100"),
        (1234.4, "1,234"),
        (12_345, "12.3 k"),
        (1_230_000, "1.23 M"),
        (2.5e9, "2.5 G"),
        (None, NOTHING),
        (math.inf, NOTHING),
    ],
)
def test_numbers(value: float | None, told: str) -> None:
    assert number(value) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0, "0 µs"),
        (1.6e-5, "16 µs"),
        (0.00315, "3.15 ms"),
        (0.25, "250 ms"),
        (12.5, "12.5 s"),
        (math.inf, "> 100 s"),
        (math.nan, NOTHING),
    ],
)
def test_durations(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_shares() -> None:
    assert (share(0.125), share(1.0), share(None)) == ("12 %", "100 %", NOTHING)
