"""The load generator of all servers: `python -m benchmarks.peers.generator '<order as JSON>'`.

Closed-loop callers, one kept connection each, on asyncio's bare protocols. It waits until the
server answers rightly, checks an answer for every caller, warms up, measures, and prints one sample
per number of callers. `cpu_us` is that of all processes below its parent, itself left out.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import cast

import numpy as np

from benchmarks.load import Sample, closed_loop, rows
from benchmarks.peers.bodies import BODIES
from benchmarks.peers.http11 import Answer, AnswerReader, BadAnswer
from benchmarks.peers.processes import cpu_below
from benchmarks.peers.reasons import told
from benchmarks.systems import COLUMNS
from benchmarks.works import MODELS
from trtasync.measure.runs import on_loop

STEADY = 10
"""Answers on one connection, a tenth of a second apart, before a load begins."""


@dataclass(frozen=True, slots=True)
class Order:
    """What one generator does.

    Attributes:
        port: where the server listens, on localhost.
        body: a key of `BODIES`.
        seconds: length of each sample, by its number of callers.
        warm_up: seconds of the same load before each sample, not counted.
        patience: seconds that the server may take to give its first right answer.
        columns: of a row.
        model: what answers are checked by, a key of `MODELS`.
    """

    port: int
    body: str
    seconds: dict[int, float]
    warm_up: float
    patience: float
    columns: int = COLUMNS
    model: str = "product"


class Caller(asyncio.Protocol):
    """One connection, for one request at a time."""

    def __init__(self) -> None:
        self._reader = AnswerReader()
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's call."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not one by inheritance

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Send a request.

        Returns:
            the answer, or `BadAnswer`: the server sent something else, or `ConnectionError`: the
            connection is gone.
        """
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport.is_closing():
            self._answer.set_exception(ConnectionError("the server closed the connection"))
        else:
            self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        """asyncio's call."""
        waiting = self._answer
        if waiting is None or waiting.done():
            return
        try:
            answer = self._reader.feed(data)
            if answer is None:
                return
            if answer.status != 200:
                raise BadAnswer(f"status {answer.status}: {answer.body[:200]!r}")
            waiting.set_result(answer)
        except Exception as error:
            waiting.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's call."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError(f"the server closed the connection: {exc}"))

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
    answer = body.answer(await caller.ask(body.request(row)))
    np.testing.assert_allclose(answer, MODELS[order.model](row[None])[0], rtol=1e-3, atol=1e-3)


async def wait_until_it_answers(order: Order) -> None:
    """Ask until the answers are right, and come on one connection for a while: a proxy that is
    being replaced by another one closes it after an answer.

    Raises:
        TimeoutError: patience is at its end; the message is the last failure's.
    """
    row = rows(1, columns=order.columns)[0]
    end = time.monotonic() + order.patience
    while True:
        try:
            async with asyncio.timeout(5):
                caller = await connect(order.port)
                try:
                    for _ in range(STEADY):
                        await check(caller, order, row)
                        await asyncio.sleep(0.1)
                finally:
                    caller.close()
            return
        except (OSError, BadAnswer, AssertionError) as error:  # TimeoutError is an OSError
            if time.monotonic() > end:
                raise TimeoutError(f"no right answer in {order.patience:.0f} s: {error}") from error
        await asyncio.sleep(0.1)


@asynccontextmanager
async def checked_callers(order: Order, count: int) -> AsyncIterator[list[Caller]]:
    """So many connections, each of which has been answered rightly, all at once."""
    asked = rows(count, seed=2, columns=order.columns)
    with ExitStack() as stack:
        callers = [await connect(order.port) for _ in asked]
        for caller in callers:
            stack.callback(caller.close)
        async with asyncio.TaskGroup() as group:
            for caller, row in zip(callers, asked, strict=True):
                group.create_task(check(caller, order, row))
        yield callers


async def load(callers: Sequence[Caller], order: Order, seconds: float) -> Sample:
    """Every caller asks without pause until the time is up."""
    body = BODIES[order.body]
    requests = [body.request(row) for row in rows(len(callers), columns=order.columns)]
    parent, me = os.getppid(), os.getpid()

    def ask(asking: tuple[Caller, bytes]) -> asyncio.Future[Answer]:
        caller, request = asking
        return caller.ask(request)

    served = cpu_below(parent, [me])
    pairs = list(zip(callers, requests, strict=True))
    sample = await closed_loop(ask, pairs, seconds, others=lambda: cpu_below(parent, [me]))
    served = cpu_below(parent, [me]) - served
    sample["generator_cores"] = sample.pop("cpu_cores") - served / sample["seconds"]
    sample["cpu_us"] = served / sample["requests"] * 1e6
    return sample


async def work(order: Order) -> dict[int, Sample]:
    """Wait, check, warm up, measure."""
    await wait_until_it_answers(order)
    samples = {}
    async with checked_callers(order, max(order.seconds)) as callers:
        for count, seconds in order.seconds.items():
            await load(callers[:count], order, order.warm_up)
            samples[count] = await load(callers[:count], order, seconds)
    return samples


def main() -> None:
    """Do what the order on the command line says."""
    given = json.loads(sys.argv[1])
    given["seconds"] = {int(callers): seconds for callers, seconds in given["seconds"].items()}
    order = Order(**given)
    try:
        samples = on_loop("uvloop", lambda: work(order))
    except Exception as error:
        sys.exit(told(error))
    print(json.dumps(samples))


if __name__ == "__main__":
    main()
