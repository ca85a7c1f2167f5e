"""Settings of a tuning, and its progress reports."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from trtasync.errors import InvalidInput
from trtasync.measure import Inputs
from trtasync.measure.loads import demand_positive
from trtasync.measure.settings import Loop, demand_loop
from trtasync.tune.space import BUCKETS, Buckets, Config

TUNED = ("streams", "max_batch_size", "batch_sizes", "graphs", "threads")
"""Options of `open_engine` that are tuned, so the caller cannot set them."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A progress report, made only between measurements.

    Attributes:
        phase: "opening", "exploring", "finals" or "curve".
        doing: the next configuration and load, in words.
        step: measurements so far, including those of an earlier run.
        spent: seconds they took.
        left: estimated seconds of the remaining ones.
        last: the previous result in words; "" at the beginning.
        best: the best configuration so far, if any.
        score: its requests per second.
    """

    phase: str
    doing: str
    step: int = 0
    spent: float = 0.0
    left: float = 0.0
    last: str = ""
    best: Config | None = None
    score: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to tune.

    Attributes:
        p99: goal for the 99th percentile of the latency in seconds; None to look for the best
            throughput.
        budget: limit of the measuring time in seconds, including an interrupted run.
        seconds: length of each measurement; extended up to five times if it would have too few
            batches or requests.
        warm_up: seconds of the same load before each measurement.
        rounds: repetitions in the finals.
        inputs: the content of requests.
        loop: the event loop.
        streams: values to choose from; None, here and below, for values that suit the machine.
        max_batch_size: likewise.
        buckets: likewise: "any" (any size), "powers" (of two), "coarse" (every other power), "full"
            (the largest only).
        graphs: likewise; on a GPU only.
        threads: likewise; on the CPU only.
        state: where measurements are kept, so that an interrupted run can be resumed: a file, True
            for one in the user's cache folder, False for nowhere.
        fresh: discard the kept measurements.
    """

    p99: float | None = None
    budget: float = 180.0
    seconds: float = 1.0
    warm_up: float = 0.3
    rounds: int = 3
    inputs: Inputs = field(default_factory=Inputs)
    loop: Loop = "asyncio"
    streams: Sequence[int] | None = None
    max_batch_size: Sequence[int] | None = None
    buckets: Sequence[Buckets] | None = None
    graphs: Sequence[bool] | None = None
    threads: Sequence[int] | None = None
    state: bool | str | os.PathLike[str] = True
    fresh: bool = False

    def __post_init__(self) -> None:
        for name in ("budget", "seconds", "p99"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InvalidInput(f"{name} must be seconds above 0, not {value!r}.")
        if not 0 <= self.warm_up < math.inf:
            raise InvalidInput(f"warm_up must be seconds, 0 or more, not {self.warm_up!r}.")
        demand_positive("rounds", self.rounds)
        demand_loop(self.loop)
        for name in ("streams", "max_batch_size", "threads"):
            for value in self._given(name):
                demand_positive(f"every number of {name}", value)
        for value in self._given("buckets"):
            if value not in BUCKETS:
                raise InvalidInput(f"buckets are {', '.join(BUCKETS)}, not {value!r}.")
        for value in self._given("graphs"):
            if not isinstance(value, bool):
                raise InvalidInput(f"graphs are True or False, not {value!r}.")

    def _given(self, name: str) -> Sequence[object]:
        values = getattr(self, name)
        if values is None:
            return ()
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise InvalidInput(f"{name} must be a list of at least one value, not {values!r}.")
        return values
