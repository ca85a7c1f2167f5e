"""One measurement: what is asked for, and what came of it. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from trtasync.measure.loads import Closed, Load, Open
from trtasync.tune.space import Config

EXPLORING, CURVE, AGAIN = 0, -1, -2
"""Turns of the first look at a configuration, of the curve, and of a second look at a rate that
missed the goal by little; those of the finals count from 1."""

STEP = 1.05
"""Rates of open loads are powers of it: one step is the finest difference that is told apart."""

SPAN = 43
"""Steps from the capacity down to the lowest rate that is tried, an eighth of it."""

UNDER_WAY = 3
"""Rows that callers have under way, per row that the streams run at once: one batch running, one
forming, one being answered."""


MOST_UNDER_WAY = 4096
"""Rows that callers have under way at most: what an engine queues by default."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A measurement to be made.

    Attributes:
        config: of the engine.
        load: what is asked of it.
        turn: tells repetitions apart; see `EXPLORING`.
    """

    config: Config
    load: Load
    turn: int = EXPLORING


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a measurement.

    Attributes:
        seconds: it took, opening the engine included.
        figures: those of `trtasync.measure`, and `tail_us`: the 99th percentile of the latencies in
            microseconds, requests without an answer taken as endless (then it is missing).
        failure: why there are none; "" otherwise.
    """

    seconds: float
    figures: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""

    @property
    def rate(self) -> float:
        """Requests answered per second."""
        return self.figures.get("requests_per_second", 0.0)

    @property
    def p99(self) -> float:
        """Seconds; endless when more than one in a hundred had no answer."""
        return self.figures.get("tail_us", math.inf) / 1e6


@dataclass(frozen=True, slots=True)
class Result:
    """A measurement that was made.

    Attributes:
        probe: what was to be measured.
        outcome: what came of it.
    """

    probe: Probe
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Aim:
    """What is looked for, and how much may be spent on it.

    Attributes:
        p99: seconds that the 99th percentile may take; None for the best throughput.
        budget: seconds of measuring.
        rounds: repetitions in the finals.
        rows: of each request.
        devices: that have `streams` streams each.
        most_rows: that may be under way.
    """

    p99: float | None = None
    budget: float = 180.0
    rounds: int = 3
    rows: int = 1
    devices: int = 1
    most_rows: int = MOST_UNDER_WAY

    def filling(self, config: Config) -> Closed:
        """A closed load that keeps all streams of `config` busy with full batches."""
        rows = UNDER_WAY * config.streams * self.devices * config.max_batch_size
        return Closed(max(2, math.ceil(min(rows, self.most_rows) / self.rows)))


def index_below(rate: float) -> int:
    """The highest step of the ladder that is not above a rate."""
    index = math.floor(math.log(max(rate, 1e-9)) / math.log(STEP)) + 1
    while _at(index) > rate:
        index -= 1
    return index


def rate_at(index: int) -> Open:
    """The load of a step."""
    return Open(_at(index))


def _at(index: int) -> float:
    return float(f"{STEP**index:.4g}")


def written_rate(rate: float) -> str:
    """E.g. "12,345" or "0.456"."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
