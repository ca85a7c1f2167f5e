"""What the tests of tuning share: searches answered by formulas instead of machines."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from trtasync.measure.loads import Open
from trtasync.tune import Aim, Config, Outcome, Probe, Search, Space
from trtasync.tune.state import State

COST = 2.0
"""Seconds that every measurement takes."""

Measure = Callable[[Probe], Outcome]

SPACE = Space(
    streams=(1, 2, 3, 4),
    max_batch_size=(4, 8, 16, 32, 64),
    buckets=("powers", "coarse"),
    graphs=(True, False),
    natural={size: tuple(1 << bit for bit in range(size.bit_length())) for size in (4, 8, 16)},
)


def config(streams: int = 1, batch: int = 8) -> Config:
    """The simplest of `SPACE` with these numbers."""
    return Config(streams, batch, "powers", True)


def outcome(rate: float, p99: float = 0.001) -> Outcome:
    """A measurement that went well."""
    return Outcome(COST, {"requests_per_second": rate, "tail_us": p99 * 1e6})


def failed(why: str = "out of memory") -> Outcome:
    """One that did not."""
    return Outcome(COST, failure=why)


def queue(capacity: float, floor: float = 0.001) -> Callable[[Probe], Outcome]:
    """A queue's figures: latency grows without bound as the rate nears the capacity."""

    def measure(probe: Probe) -> Outcome:
        if not isinstance(probe.load, Open):
            return outcome(capacity, 0.1)
        rate = probe.load.rate
        if rate >= capacity:
            return Outcome(COST, {"requests_per_second": capacity})
        return outcome(rate, floor / (1 - rate / capacity))

    return measure


def follow(search: Search, measure: Measure) -> list[Probe]:
    """Answer a search to its end; what it asked for."""
    asked = []
    while (probe := search.ask()) is not None:
        assert search.left > 0
        asked.append(probe)
        search.tell(measure(probe))
    assert search.left == 0
    return asked


def follow_with(state: State, search: Search, measure: Measure) -> int:
    """The same, with what was kept; how many were measured."""
    measured = 0
    while (probe := search.ask()) is not None:
        found = state.find(probe)
        if found is None:
            state.begin(probe)
            found = measure(probe)
            state.end(probe, found)
            measured += 1
        search.tell(found)
    return measured


def by_table(rates: Mapping[Config, float]) -> Measure:
    """Throughput as a table says; what it does not name fails."""

    def measure(probe: Probe) -> Outcome:
        rate = rates.get(probe.config)
        return failed() if rate is None else queue(rate)(probe)

    return measure


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Of one to a few hundred configurations, no two of which come to the same."""
    batches = tuple(4 << bit for bit in range(draw(st.integers(1, 6))))
    return Space(
        streams=tuple(range(1, draw(st.integers(1, 6)) + 1)),
        max_batch_size=batches,
        buckets=draw(st.sampled_from([("any",), ("any", "powers"), ("powers", "coarse", "full")])),
        graphs=draw(st.sampled_from([(None,), (True, False)])),
        threads=draw(st.sampled_from([(None,), (None, 7)])),
    )


FACTS = {"model": "abc", "versions numpy": "2.0", "shapes": {"x": [1, 3]}}
AIM = Aim(p99=0.020, budget=70)


def state(path: Path | None, facts: Any = FACTS, **more: bool) -> State:
    """A file that the user named."""
    return State(path, facts, **{"fresh": False, "given": True, **more})


def measure(probe: Probe) -> Outcome:
    """Some configurations fail, the others differ."""
    if probe.config.max_batch_size == 16:
        return failed()
    return queue(1000.0 * probe.config.streams + probe.config.max_batch_size)(probe)


def whole_run(path: Path) -> tuple[Search, int]:
    """A run to its end: (the search, how many were measured)."""
    search = Search(SPACE, AIM, config())
    with state(path) as kept:
        return search, follow_with(kept, search, measure)
