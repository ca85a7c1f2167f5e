"""The load of all benchmarks, and its disturbances: the closed loop of `trtasync bench`.

It also drives third-party batchers in environments of their own (`benchmarks.peers`), which
therefore need what `import trtasync` needs: numpy and anyio.
"""

import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anyio.lowlevel
import numpy as np

from benchmarks.systems import COLUMNS, Infer, model
from benchmarks.yardsticks import Array, Model
from trtasync.loops import bare_tasks
from trtasync.measure.driving import Driver
from trtasync.measure.loads import Closed, Open
from trtasync.measure.pacing import Pacer
from trtasync.measure.statistics import Figures, Seconds, percentiles, rates
from trtasync.measure.window import Span, Window

Sample = Figures
"""One system under one load for some seconds."""

PERCENTILES = (50, 99)
BURN_SECONDS = 0.002


class Used(NamedTuple):
    """CPU seconds of the whole machine (Linux), and of processes that help this one."""

    machine: float | None
    others: float


def _machine_busy_seconds() -> float | None:
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()
    except OSError:
        return None
    ticks = [int(field) for field in fields[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / 100  # without idle and iowait; USER_HZ is 100


def wait_for_quiet(patience: float, busy: float = 0.2) -> None:
    """Return when the machine uses less than `busy` cores (Linux), or when patience ends."""
    end = time.perf_counter() + patience
    while time.perf_counter() < end:
        began, before = time.perf_counter(), _machine_busy_seconds()
        time.sleep(0.1)
        after = _machine_busy_seconds()
        if before is None or after is None:
            return
        if (after - before) / (time.perf_counter() - began) < busy:
            return


def rows(count: int, seed: int = 3, columns: int = COLUMNS) -> list[Array]:
    """Random rows for the model of `benchmarks.systems`."""
    return list(np.random.default_rng(seed).standard_normal((count, columns), dtype=np.float32))


async def check(infer: Infer, callers: int, columns: int = COLUMNS, expect: Model = model) -> None:
    """Check, with a single caller and then with many, that each gets its own answer.

    Args:
        infer: what is asked.
        callers: at the same time.
        columns: of a row.
        expect: what the model behind it computes.

    Raises:
        AssertionError: an answer is neither the row's nor (of a system without a model) the row.
    """
    asked = rows(callers, seed=2, columns=columns)
    expected = expect(np.stack(asked))

    async def one(index: int) -> None:
        answer = await infer(asked[index])
        wanted = expected if answer.shape == expected[index].shape else asked
        np.testing.assert_allclose(answer, wanted[index], rtol=1e-3, atol=1e-3)

    await one(0)
    async with bare_tasks() as start:
        for index in range(callers):
            start(one(index))


async def closed_loop(
    infer: Callable[[Any], Awaitable[Any]],
    requests: Sequence[Any],
    seconds: float,
    warm_up: float = 0.0,
    *,
    delays: bool = False,
    others: Callable[[], float] = lambda: 0.0,
) -> Sample:
    """One caller per request; each sends the next as soon as it is answered, until time is up.

    Everything counts, from the first call to the last answer: systems that wait long for a batch to
    fill may not answer within a window.

    Args:
        infer: what is asked.
        requests: of the callers.
        seconds: how long.
        warm_up: seconds of the same before, not counted.
        delays: measure how late the loop wakes a task, too.
        others: returns the CPU seconds so far of other processes that do the work.
    """
    if warm_up:
        await closed_loop(infer, requests, warm_up)
    window = Window(Span(0.0, seconds), _reading(others), delays=delays, to_the_end=True)
    seen = await Driver(infer, requests, Pacer()).closed(Closed(len(requests)), window)
    window.close()
    return sample(window, window.answered(seen))


async def open_loop(
    infer: Callable[[Any], Awaitable[Any]],
    requests: Sequence[Any],
    rate: float,
    seconds: float,
    warm_up: float,
) -> Sample:
    """Poisson arrivals, independent of earlier answers. Latency counts from when each was due.

    Args:
        infer: what is asked.
        requests: taken in turn.
        rate: per second.
        seconds: requests due within them count.
        warm_up: seconds of the same load before.
    """
    due = Open(rate).schedule(rate, warm_up + seconds, seed=17)
    window = Window(Span(warm_up, seconds), _reading(lambda: 0.0), delays=False)
    with Pacer() as pacer:
        seen = await Driver(infer, requests, pacer).open(due, window)
    return sample(window, window.asked(seen))


def until_closed(others: Callable[[], float]) -> Window[Used]:
    """A window that is open from now on; see `closed_loop` for `others`."""
    window = Window(Span(0.0, 0.0), _reading(others), to_the_end=True)
    window.open()
    return window


def _reading(others: Callable[[], float]) -> Callable[[], Used]:
    return lambda: Used(_machine_busy_seconds(), others())


def sample(window: Window[Used], latencies: Seconds) -> Sample:
    """What was seen in a window."""
    cpu = window.cpu + window.end.counts.others - window.begin.counts.others
    found = rates("requests", len(latencies), window.seconds, cpu)
    found |= percentiles("", latencies, PERCENTILES)
    found |= percentiles("heartbeat_", window.delays, PERCENTILES)
    return found | foreign_cores(window)


def foreign_cores(window: Window[Used]) -> Figures:
    """What unrelated processes of the machine used meanwhile; nothing if that is not known."""
    before, after = window.begin.counts, window.end.counts
    if before.machine is None or after.machine is None:
        return {}
    known = window.cpu + after.others - before.others
    return {"foreign_cores": max(0.0, after.machine - before.machine - known) / window.seconds}


@contextmanager
def busy_thread() -> Iterator[None]:
    """A Python thread that computes forever and never releases the GIL voluntarily."""
    stop = threading.Event()

    def burn() -> None:
        while not stop.is_set():
            sum(range(1000))

    thread = threading.Thread(target=burn, name="busy")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@asynccontextmanager
async def busy_coroutine() -> AsyncIterator[None]:
    """A task on the loop that computes 2 ms at a time and then lets the others run."""
    stopped = False

    async def burn() -> None:
        while not stopped:
            end = time.perf_counter() + BURN_SECONDS
            while time.perf_counter() < end:
                pass
            await anyio.lowlevel.checkpoint()

    async with bare_tasks() as start:
        start(burn())
        yield
        stopped = True
