"""Shared by test modules: arrays, cancellable callers, waiting without sleeping."""

import math
import signal
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import numpy.typing as npt
from anyio.abc import TaskGroup

from trtasync import AnyEngine, Engine, Statistics, TensorSpec, TrtasyncError, open_engine
from trtasync.runtimes import OpenLane
from trtasync.testing import ScriptedBackend

Array = npt.NDArray[Any]

MODELS = Path(__file__).parents[1] / "examples" / "models"
PATIENCE = 100.0
"""Seconds after which a condition is taken to be never true, on a machine that others use too. Less
than a test may take (`timeout` in pyproject.toml), so that the test says what it waited for."""
TURNS, PAUSE = 20, 0.0005
"""Turns of the loop before a condition is polled only with pauses, of this many seconds."""


def heed_sigint() -> None:
    """For `preexec_fn`: what a shell starts in the background ignores Ctrl-C, and so would its
    children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def tensor(name: str, *shape: int | str | None, dtype: Any = np.float32) -> TensorSpec:
    """A spec in one line."""
    return TensorSpec(name, np.dtype(dtype), shape)


def row(value: float, width: int = 4) -> Array:
    """One row of the scripted model: four times the same number."""
    return np.full(width, value, np.float32)


def rows(values: Sequence[float], width: int = 4) -> Array:
    """Rows of the scripted model, batch axis first."""
    return np.stack([row(value, width) for value in values])


def same(answer: Any, expected: Any) -> bool:
    """The same numbers, bit by bit, in the same shape and dtype."""
    answer, expected = np.asarray(answer), np.asarray(expected)
    return bool(
        answer.shape == expected.shape
        and answer.dtype == expected.dtype
        and answer.tobytes() == expected.tobytes()
    )


async def until(condition: Callable[[], bool]) -> None:
    """Let others run until the condition is true.

    First for some turns of the loop, then with pauses, or the spinning loop would starve the
    threads that it waits for (each would get the GIL only every 5 ms).
    """
    with anyio.fail_after(PATIENCE):
        for _ in range(TURNS):
            if condition():
                return
            await anyio.lowlevel.checkpoint()
        while not condition():  # noqa: ASYNC110 - no event signals the condition
            await anyio.sleep(PAUSE)


@asynccontextmanager
async def opened(backend: ScriptedBackend, **options: Any) -> AsyncIterator[Engine]:
    """`open_engine` with all runs off the loop; if the test fails, its gate is opened."""
    async with open_engine(backend, **{"loop_budget": 0.0, **options}) as engine:
        try:
            yield engine
        except BaseException:
            backend.gate.let()
            raise


class Caller:
    """A task that waits for one answer.

    Attributes:
        scope: cancels it.
        began: the request was submitted.
        done: the task has ended.
        answer: the answer, if there was one.
        error: the library's exception, if there was one.
    """

    def __init__(self, deadline: float = math.inf) -> None:
        self.scope = anyio.CancelScope(deadline=deadline)
        self.began = False
        self.done = False
        self.answer: Any = None
        self.error: TrtasyncError | None = None

    async def run(self, engine: AnyEngine, inputs: Any, priority: int = 0) -> None:
        """Send the request and wait; never raises the library's exceptions."""
        try:
            with self.scope:
                try:
                    self.began = True
                    self.answer = await engine.infer(inputs, priority=priority)
                except TrtasyncError as error:
                    self.error = error
        finally:
            self.done = True

    @property
    def cancelled(self) -> bool:
        """Whether the scope was cancelled (or expired) and cancelled the task."""
        return self.scope.cancelled_caught


def start(
    tasks: TaskGroup,
    engine: AnyEngine,
    inputs: Any,
    *,
    priority: int = 0,
    deadline: float = math.inf,
) -> Caller:
    """Start a caller; its request is submitted when its task gets its turn."""
    caller = Caller(deadline)
    tasks.start_soon(caller.run, engine, inputs, priority)
    return caller


async def submit(
    tasks: TaskGroup,
    engine: AnyEngine,
    inputs: Any,
    *,
    priority: int = 0,
    deadline: float = math.inf,
) -> Caller:
    """Start a caller and return when its request is submitted (trio starts tasks in any order)."""
    caller = start(tasks, engine, inputs, priority=priority, deadline=deadline)
    await until(lambda: caller.began)
    return caller


async def submit_all(tasks: TaskGroup, engine: AnyEngine, values: Sequence[float]) -> list[Caller]:
    """One caller per value, each with one row of the scripted model, submitted in this order."""
    return [await submit(tasks, engine, row(value)) for value in values]


async def at_once(engine: AnyEngine, requests: Sequence[Any]) -> list[Any]:
    """All requests together; their answers in the order of the requests."""
    answers: list[Any] = [None] * len(requests)

    async def ask(index: int) -> None:
        answers[index] = await engine.infer(requests[index])

    async with anyio.create_task_group() as tasks:
        for index in range(len(requests)):
            tasks.start_soon(ask, index)
    return answers


async def hold(tasks: TaskGroup, engine: Engine, backend: ScriptedBackend) -> Caller:
    """Shut the gate and occupy the (idle) engine's lane with one row of -1."""
    backend.gate.shut()
    arrived = backend.gate.arrived
    blocker = await submit(tasks, engine, row(-1))
    await until(lambda: backend.gate.arrived > arrived)
    return blocker


async def ended(*callers: Caller) -> None:
    """Wait until these tasks have ended."""
    await until(lambda: all(caller.done for caller in callers))


def join_threads() -> None:
    """Wait for the library's threads, which nothing else does for a forgotten engine."""
    for thread in threading.enumerate():
        if "trtasync" in thread.name:
            thread.join(PATIENCE)


def computed(backend: ScriptedBackend) -> list[float]:
    """The first number of every row that was computed, in order."""
    return [float(line[0]) for batch in backend.computed for line in batch]


def check_at_rest(engine: Engine) -> Statistics:
    """Nothing waits, forms or runs, and the counts add up."""
    statistics = engine.statistics()
    assert (statistics.queued, statistics.in_flight) == (0, 0)
    ends = statistics.answered + statistics.failed + statistics.cancelled + statistics.displaced
    assert statistics.requests == ends
    assert all(stream.running == 0 for stream in statistics.streams)
    return statistics


class SlowToOpen(ScriptedBackend):
    """Opening waits until the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.opening = threading.Event()
        self.go_on = threading.Event()

    def open(
        self, streams: int, max_batch_size: int, batch_sizes: Sequence[int] = ()
    ) -> Sequence[OpenLane]:
        self.opening.set()
        assert self.go_on.wait(PATIENCE)
        return super().open(streams, max_batch_size, batch_sizes)
