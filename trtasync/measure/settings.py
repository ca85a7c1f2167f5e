"""Settings of a benchmark, and its progress reports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from trtasync.errors import InvalidInput
from trtasync.measure.inputs import Inputs
from trtasync.measure.loads import DEFAULT_CONCURRENCY, Closed, Load, Open, demand_positive
from trtasync.measure.trace import Recorder

Loop = Literal["asyncio", "uvloop", "trio"]

LOOPS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "asyncio": ("asyncio", {"use_uvloop": False}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}


def demand_loop(loop: object) -> None:
    """Raise InvalidInput unless the value is the name of an event loop."""
    if loop not in LOOPS:
        raise InvalidInput(f"loop must be one of {list(LOOPS)}, not {loop!r}.")


@dataclass(frozen=True, slots=True)
class Progress:
    """A progress report, made only between samples, never while one is taken.

    Attributes:
        step: samples taken so far, including yardsticks.
        steps: the total number.
        doing: the next sample.
        rate: requests (or rows) per second of the previous sample; None at the beginning.
    """

    step: int
    steps: int
    doing: str
    rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to measure.

    Attributes:
        loads: the loads, applied in this order in every round.
        seconds: length of each sample's window.
        warm_up: seconds of the same load before the window.
        rounds: samples of each load.
        inputs: the content of requests.
        deadline: seconds after which callers give up; None for never.
        loop: the event loop.
        compare: measure the ceiling, and on TensorRT trtexec's algorithm, in every round.
        trace: record a timeline of the last load at the end.
    """

    loads: Sequence[Load] = tuple(Closed(number) for number in DEFAULT_CONCURRENCY)
    seconds: float = 2.0
    warm_up: float = 0.5
    rounds: int = 3
    inputs: Inputs = field(default_factory=Inputs)
    deadline: float | None = None
    loop: Loop = "asyncio"
    compare: bool = False
    trace: Recorder | None = None

    def __post_init__(self) -> None:
        if not self.loads:
            raise InvalidInput("loads must name at least one load.")
        if not self.seconds > 0 or not self.warm_up >= 0:
            raise InvalidInput("seconds must be above 0, and warm_up 0 or more.")
        demand_positive("rounds", self.rounds)
        if self.deadline is not None and not self.deadline > 0:
            raise InvalidInput(f"the deadline must be above 0 s, not {self.deadline}.")
        demand_loop(self.loop)
        relative = [load for load in self.loads if isinstance(load, Open) and load.relative]
        if relative and not any(isinstance(load, Closed) for load in self.loads):
            raise InvalidInput(
                "rates relative to the capacity need a closed load that measures it "
                "(--concurrency)."
            )
