"""How to measure, and what is told meanwhile."""

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
    """Raise InvalidInput unless it is the name of an event loop."""
    if loop not in LOOPS:
        raise InvalidInput(f"loop must be one of {list(LOOPS)}, not {loop!r}.")


@dataclass(frozen=True, slots=True)
class Progress:
    """A piece of news: what comes next. Told between samples only, never while one is taken.

    Attributes:
        step: samples taken so far, yardsticks included.
        steps: of how many.
        doing: the next one.
        rate: requests (or rows) per second of the one before; None at the beginning.
    """

    step: int
    steps: int
    doing: str
    rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to measure.

    Attributes:
        loads: what is asked, in this order in every round.
        seconds: of each sample's window.
        warm_up: seconds of the same load before it.
        rounds: samples of each load.
        inputs: what requests hold.
        deadline: seconds after which callers give up; for ever by default.
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
            raise InvalidInput("there is no load to apply.")
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
