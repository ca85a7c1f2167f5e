"""The load generator of all servers: `python -m benchmarks.peers.generator '<order as JSON>'`.

Closed-loop callers, one kept connection each, on asyncio's bare protocols. It waits until the
server answers rightly, checks an answer for every caller, warms up, measures, and prints one sample
per number of callers. The CPU counted is that of all processes below its parent, itself left out.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import cast

import numpy as np

from benchmarks.load import Clocks, Sample, run_on
from benchmarks.peers.bodies import BODIES
from benchmarks.peers.http11 import Answer, AnswerReader, BadAnswer
from benchmarks.peers.processes import cpu_below
from benchmarks.peers.reasons import told
from benchmarks.systems import COLUMNS, model


@dataclass(frozen=True, slots=True)
class Order:
    """What one generator does.

    Attributes:
        port: where the server listens, on localhost.
        body: a key of `BODIES`.
        seconds: length of each sample, by its number of callers.
        warm_up: seconds of the same load before each sample, not counted.
        patience: seconds that the server may take to give its first right answer.
    """

    port: int
    body: str
    seconds: dict[int, float]
    warm_up: float
    patience: float


class Caller(asyncio.Protocol):
    """One connection: asks, and asks again as soon as it has its answer, until the time is up."""

    def __init__(self) -> None:
        self._reader = AnswerReader()
        self._transport: asyncio.Transport
        self._request = b""
        self._take: Callable[[Answer], bool]
        self._done: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's call."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not one by inheritance

    async def ask(self, request: bytes, take: Callable[[Answer], bool]) -> None:
        """Send `request` again and again while `take`, given each answer, wants more.

        Raises:
            BadAnswer: the server sent something else.
            ConnectionError: the connection is gone.
        """
        self._request, self._take = request, take
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        await self._done

    def data_received(self, data: bytes) -> None:
        """asyncio's call."""
        done = self._done
        if done is None or done.done():
            return
        try:
            answer = self._reader.feed(data)
            if answer is None:
                return
            if answer.status != 200:
                raise BadAnswer(f"status {answer.status}: {answer.body[:200]!r}")
            if self._take(answer):
                self._transport.write(self._request)
            else:
                done.set_result(None)
        except Exception as error:
            done.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's call."""
        if self._done is not None and not self._done.done():
            self._done.set_exception(ConnectionError(f"the server closed the connection: {exc}"))

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


async def connect(port: int) -> Caller:
    """A connection to the server."""
    loop = asyncio.get_running_loop()
    _, caller = await loop.create_connection(Caller, "127.0.0.1", port)
    return caller


async def check(caller: Caller, order: Order, row: np.ndarray) -> None:
    """One row, the right answer.

    Raises:
        AssertionError: it is not.
        BadAnswer: the server sent something else.
        ConnectionError: the connection is gone.
    """
    body = BODIES[order.body]
    answers: list[Answer] = []

    def take(answer: Answer) -> bool:
        answers.append(answer)
        return False

    await caller.ask(body.request(row), take)
    np.testing.assert_allclose(body.answer(answers[0]), model(row[None])[0], rtol=1e-3, atol=1e-3)


async def wait_until_it_answers(order: Order) -> None:
    """Ask until the answer is right.

    Raises:
        TimeoutError: patience is at its end; the message is the last failure's.
    """
    row = np.random.default_rng(1).standard_normal(COLUMNS, dtype=np.float32)
    end = time.monotonic() + order.patience
    while True:
        try:
            async with asyncio.timeout(5):
                caller = await connect(order.port)
                try:
                    await check(caller, order, row)
                finally:
                    caller.close()
            return
        except (OSError, BadAnswer, AssertionError) as error:  # TimeoutError is an OSError
            if time.monotonic() > end:
                raise TimeoutError(f"no right answer in {order.patience:.0f} s: {error}") from error
        await asyncio.sleep(0.1)


async def load(callers: Sequence[Caller], order: Order, seconds: float) -> Sample:
    """Every caller asks without pause until the time is up."""
    rows = np.random.default_rng(3).standard_normal((len(callers), COLUMNS), dtype=np.float32)
    requests = [BODIES[order.body].request(row) for row in rows]
    latencies: list[list[float]] = [[] for _ in callers]
    parent, me = os.getppid(), os.getpid()
    served = cpu_below(parent, [me])
    before = Clocks.now()
    end = before.wall + seconds

    def taking(note: Callable[[float], None]) -> Callable[[Answer], bool]:
        clock = time.perf_counter
        start = clock()

        def take(_: Answer) -> bool:
            nonlocal start
            now = clock()
            note(now - start)
            start = now
            return now < end

        return take

    async with asyncio.TaskGroup() as group:
        for caller, request, seen in zip(callers, requests, latencies, strict=True):
            group.create_task(caller.ask(request, taking(seen.append)))
    after = Clocks.now()
    served = cpu_below(parent, [me]) - served
    return sample(before, after, served, np.concatenate([np.array(seen) for seen in latencies]))


def sample(before: Clocks, after: Clocks, served: float, latencies: np.ndarray) -> Sample:
    """The figures of one load; `served` is the server's CPU seconds."""
    seconds = after.wall - before.wall
    p50, p99 = np.percentile(latencies, [50, 99]) * 1e6
    foreign = None
    if before.machine is not None and after.machine is not None:
        known = after.own - before.own + served
        foreign = max(0.0, after.machine - before.machine - known) / seconds
    return Sample(
        requests=len(latencies),
        seconds=seconds,
        requests_per_second=len(latencies) / seconds,
        cpu_us=served / len(latencies) * 1e6,
        p50_us=float(p50),
        p99_us=float(p99),
        foreign_cores=foreign,
        generator_cores=(after.own - before.own) / seconds,
    )


async def work(order: Order) -> dict[int, Sample]:
    """Wait, check, warm up, measure."""
    await wait_until_it_answers(order)
    most = max(order.seconds)
    rows = np.random.default_rng(2).standard_normal((most, COLUMNS), dtype=np.float32)
    samples = {}
    with ExitStack() as stack:
        callers = [await connect(order.port) for _ in range(most)]
        for caller in callers:
            stack.callback(caller.close)
        async with asyncio.TaskGroup() as group:
            for caller, row in zip(callers, rows, strict=True):
                group.create_task(check(caller, order, row))
        for count, seconds in order.seconds.items():
            await load(callers[:count], order, order.warm_up)
            samples[count] = await load(callers[:count], order, seconds)
    return samples


def main() -> None:
    """Do what the order on the command line says."""
    given = json.loads(sys.argv[1])
    given["seconds"] = {int(callers): seconds for callers, seconds in given["seconds"].items()}
    order = Order(**given)

    async def run() -> dict[int, Sample]:
        return await work(order)

    try:
        samples = run_on("uvloop", run)
    except Exception as error:
        sys.exit(told(error))
    print(json.dumps(samples))


if __name__ == "__main__":
    main()
