"""The load: closed-loop callers on asyncio, uvloop or trio, and what may disturb them."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NotRequired, TypedDict, TypeVar

import numpy as np

from benchmarks.systems import COLUMNS, Infer, model
from benchmarks.yardsticks import Array

T = TypeVar("T")
Caller = Callable[[], Coroutine[Any, Any, None]]
BURN_SECONDS = 0.002


class Sample(TypedDict):
    """One system under one load for some seconds."""

    requests: int
    seconds: float
    requests_per_second: float
    cpu_us: float
    p50_us: float
    p99_us: float
    foreign_cores: float | None
    generator_cores: NotRequired[float]
    """What a load generator in a process of its own used; not in `cpu_us`."""


class Clocks(NamedTuple):
    """Wall, this process's CPU, and (Linux) the whole machine's busy CPU, in seconds."""

    wall: float
    own: float
    machine: float | None

    @classmethod
    def now(cls) -> "Clocks":
        """Read all three."""
        return cls(time.perf_counter(), time.process_time(), _machine_busy_seconds())


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
        before = Clocks.now()
        time.sleep(0.1)
        after = Clocks.now()
        if before.machine is None or after.machine is None:
            return
        if (after.machine - before.machine) / (after.wall - before.wall) < busy:
            return


def run_on(loop: str, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `main` to its end on a fresh loop of the kind named."""
    if loop == "trio":
        import trio

        return trio.run(main)
    if loop == "uvloop":
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main())
    return asyncio.run(main())


async def together(loop: str, callers: list[Caller]) -> None:
    """Run all callers at the same time, as bare tasks of the loop's own library."""
    if loop == "trio":
        import trio

        async with trio.open_nursery() as nursery:
            for caller in callers:
                nursery.start_soon(caller)
        return
    async with asyncio.TaskGroup() as group:
        for caller in callers:
            group.create_task(caller())


async def check_answers(infer: Infer) -> None:
    """One row in, the right row out; the null system gives the row itself back.

    Raises:
        AssertionError: the answer is neither.
    """
    row = np.random.default_rng(1).standard_normal(COLUMNS, dtype=np.float32)
    answer = await infer(row)
    if answer is not row:
        np.testing.assert_allclose(answer, model(row[None])[0], rtol=1e-3, atol=1e-3)


async def check_many(loop: str, infer: Infer, callers: int) -> None:
    """Every one of many callers at once gets its own answer, not its neighbour's."""
    rows = np.random.default_rng(2).standard_normal((callers, COLUMNS), dtype=np.float32)
    expected = model(rows)

    def caller(index: int) -> Caller:
        async def call() -> None:
            answer = await infer(rows[index])
            if answer.shape == expected[index].shape:
                np.testing.assert_allclose(answer, expected[index], rtol=1e-3, atol=1e-3)
            elif not np.array_equal(answer, rows[index]):
                raise AssertionError(f"caller {index} got an answer of shape {answer.shape}")

        return call

    await check_answers(infer)
    await together(loop, [caller(index) for index in range(callers)])


async def closed_loop(loop: str, infer: Infer, callers: int, seconds: float) -> Sample:
    """Every caller asks again as soon as it has its answer, until the time is up."""
    rows = np.random.default_rng(3).standard_normal((callers, COLUMNS), dtype=np.float32)
    latencies: list[list[float]] = [[] for _ in range(callers)]
    before = Clocks.now()
    end = before.wall + seconds
    await together(
        loop,
        [_caller(infer, row, end, seen) for row, seen in zip(rows, latencies, strict=True)],
    )
    return _sample(before, Clocks.now(), np.concatenate([np.array(seen) for seen in latencies]))


def _caller(infer: Infer, row: Array, end: float, seen: list[float]) -> Caller:
    async def call() -> None:
        clock = time.perf_counter
        note = seen.append
        start = clock()
        while start < end:
            await infer(row)
            now = clock()
            note(now - start)
            start = now

    return call


def _sample(before: Clocks, after: Clocks, latencies: np.typing.NDArray[np.float64]) -> Sample:
    seconds = after.wall - before.wall
    own = after.own - before.own
    p50, p99 = np.percentile(latencies, [50, 99]) * 1e6
    foreign = None
    if before.machine is not None and after.machine is not None:
        foreign = max(0.0, after.machine - before.machine - own) / seconds
    return Sample(
        requests=len(latencies),
        seconds=seconds,
        requests_per_second=len(latencies) / seconds,
        cpu_us=own / len(latencies) * 1e6,
        p50_us=float(p50),
        p99_us=float(p99),
        foreign_cores=foreign,
    )


@contextmanager
def busy_thread() -> Iterator[None]:
    """A Python thread that computes without end and never gives the GIL up by itself."""
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
async def busy_coroutine(loop: str) -> AsyncIterator[None]:
    """A task on the loop that computes 2 ms at a time and then lets the others run."""
    stopped = False

    async def burn(sleep: Callable[[float], Awaitable[None]]) -> None:
        while not stopped:
            end = time.perf_counter() + BURN_SECONDS
            while time.perf_counter() < end:
                pass
            await sleep(0)

    if loop == "trio":
        import trio

        async with trio.open_nursery() as nursery:
            nursery.start_soon(burn, trio.sleep)
            yield
            stopped = True
        return
    async with asyncio.TaskGroup() as group:
        group.create_task(burn(asyncio.sleep))
        yield
        stopped = True
