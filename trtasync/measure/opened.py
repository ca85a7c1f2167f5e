"""An engine opened as usual, whose lanes can also be driven directly while it is idle."""

import inspect
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from trtasync.engine import Engine
from trtasync.errors import InvalidInput
from trtasync.loops import in_thread
from trtasync.model.profiles import read_profiles
from trtasync.opening.api import open_engine
from trtasync.opening.arguments import check_options
from trtasync.opening.judging import load_judged
from trtasync.opening.loading import EngineOptions
from trtasync.requests.signature import Layout
from trtasync.rows import Judgement
from trtasync.runtimes import Backend, OpenLane
from trtasync.system.stopping import Stop

_OF_THE_ENGINE = (
    "streams",
    "max_batch_size",
    "batch_sizes",
    "max_queue_delay",
    "preferred_batch_size",
    "max_queue_size",
    "max_queue_time",
    "padding",
    "loop_budget",
    "run_timeout",
    "max_row_bytes",
)
"""Options of `open_engine` that concern the engine; the others say how a model is loaded."""


class Tap:
    """A backend that forwards every call, and remembers the lanes that were opened.

    Attributes:
        backend: the wrapped backend.
        judgement: of its rows, already made.
        lanes: the engine's own, with their slots.
        largest: rows of the largest batch.
        layouts: requested row shapes, in order.
    """

    def __init__(self, backend: Backend, judgement: Judgement):
        self.backend = backend
        self.judgement = judgement
        self.lanes: Sequence[OpenLane] = ()
        self.largest: int = 0
        self.layouts: list[Layout] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def trial(self) -> None:
        """Return None: the rows have been judged already."""

    def admit(self, layout: Layout) -> None:
        """See `Backend.admit`."""
        self.backend.admit(layout)
        self.layouts.append(layout)

    def open(
        self, streams: int, max_batch_size: int, batch_sizes: Sequence[int]
    ) -> Sequence[OpenLane]:
        """See `Backend.open`."""
        self.lanes = self.backend.open(streams, max_batch_size, batch_sizes)
        self.largest = max_batch_size
        return self.lanes

    def close(self) -> None:
        """See `Backend.close`."""
        self.backend.close()


@dataclass(frozen=True, slots=True)
class Opened:
    """An open engine.

    Attributes:
        engine: for requests.
        tap: its lanes, for use while the engine is idle.
    """

    engine: Engine
    tap: Tap


@asynccontextmanager
async def open_tapped(model: Any, options: dict[str, Any]) -> AsyncIterator[Opened]:
    """`open_engine(model, **options)`, with a tap between the engine and its backend.

    Raises:
        TrtasyncError: as from `open_engine`.
    """
    given = read_options(model, options)
    stop = Stop()
    backend, judgement = await in_thread(
        lambda: load_judged(given, stop),
        undo=lambda loaded: loaded[0].close(),
        interrupt=stop.call_off,
    )
    tap: Any = Tap(backend, judgement)
    chosen = {name: getattr(given, name) for name in _OF_THE_ENGINE}
    async with open_engine(tap, **chosen) as engine:
        yield Opened(engine, tap)


def read_options(model: Any, options: Mapping[str, Any]) -> EngineOptions:
    """Check options and complete them, as `open_engine` does.

    Raises:
        InvalidInput, TypeError: as `open_engine` would, and for an engine of another process.
    """
    wanted = inspect.signature(open_engine).bind(model, **options)
    wanted.apply_defaults()
    complete = wanted.arguments
    complete["profiles"] = read_profiles(complete["profiles"])
    complete["padding"] = complete["padding"] or {}
    if complete.pop("shared"):
        raise InvalidInput("measuring needs the engine in this process: leave shared=True out.")
    for name in ("linger", "reconnect", "traces", "hang_timeout"):
        del complete[name]
    given = EngineOptions(**complete)
    check_options(given)
    return given
