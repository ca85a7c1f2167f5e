"""A hundred thousand requests of mixed sizes on four streams, many of them cancelled: every answer
right to the last bit, nobody's rows swapped, lost or overwritten, and no byte taken on the way."""

import asyncio
import random
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import numpy as np
import pytest

from support.gpu.hardware import Array, Ledger, free_bytes, resident_bytes, watched
from support.gpu.kernels import STEPS, hundred_kernels, nvrtc_rows, rows_reference
from support.gpu.plans import BUCKETS, opened, rows_plan
from support.helpers import same, until

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.anyio,
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("gpu", "tensorrt"),
]

REQUESTS, WARM_UP = 100_000, 10_000
CLIENTS, STREAMS = 256, 4
MOST_ROWS = 9
POOL, COLUMNS = 20_000, 96
LEAVE_WITHIN = 0.003
"""Seconds within which a caller who is cancelled is cancelled: before, in and after its batch."""

HOST_GROWTH = 64 << 20


class Memory(NamedTuple):
    """What is taken at one moment."""

    device: int
    pinned: int
    free: int
    resident: int

    @classmethod
    def now(cls, ledger: Ledger) -> "Memory":
        """Read all four."""
        return cls(ledger.held("device"), ledger.held("pinned"), free_bytes(), resident_bytes())


class Clients:
    """Closed-loop clients that check every answer twice: when it comes, and a request later, when
    its memory would have been used again if it were not the caller's own."""

    def __init__(self, engine: Any, pool: Array, expected: Array):
        self.engine = engine
        self.pool = pool
        self.expected = expected
        self.asked = 0
        self.answered = 0
        self.left = 0
        self.wrong: list[str] = []

    async def run(self, requests: int) -> None:
        """Ask so many requests, all clients together."""
        until_asked = self.asked + requests
        async with anyio.create_task_group() as tasks:
            for number in range(CLIENTS):
                tasks.start_soon(self._client, random.Random(self.asked + number), until_asked)

    async def _client(self, rng: random.Random, until_asked: int) -> None:
        kept: tuple[Array, Array] | None = None
        while self.asked < until_asked and not self.wrong:
            self.asked += 1
            x, expected = self._choose(rng)
            answer = await self._ask(rng, x)
            if kept is not None:
                self._check("later", *kept)
            kept = None
            if answer is None:
                self.left += 1
            else:
                self.answered += 1
                self._check("at once", answer, expected)
                kept = answer, expected

    def _choose(self, rng: random.Random) -> tuple[Array, Array]:
        start = rng.randrange(POOL - MOST_ROWS)
        if rng.random() < 0.1:  # one row, without batch axis
            return self.pool[start], self.expected[start]
        end = start + rng.randint(1, MOST_ROWS)
        return self.pool[start:end], self.expected[start:end]

    async def _ask(self, rng: random.Random, x: Array) -> Any:
        """The answer, or None for a caller who left before it came."""
        answer = None
        chance, seconds = rng.random(), rng.random() * LEAVE_WITHIN
        if chance < 0.1:
            with anyio.move_on_after(seconds):  # a deadline, which the engine knows
                answer = await self.engine.infer(x)
        elif chance < 0.2:
            with anyio.CancelScope() as scope:  # one that it cannot know
                timer = asyncio.get_running_loop().call_later(seconds, scope.cancel)
                answer = await self.engine.infer(x)
            timer.cancel()
        else:
            answer = await self.engine.infer(x)
        return answer

    def _check(self, when: str, answer: Array, expected: Array) -> None:
        if not same(answer, expected):
            self.wrong.append(f"{when}: {expected.shape}, got {answer!r}, not {expected!r}")


def _pool(dtype: Any) -> Array:
    random_ = np.random.default_rng(11)
    if dtype is np.int32:
        return random_.integers(-(2**31), 2**31, (POOL, COLUMNS), dtype=np.int32)
    return random_.standard_normal((POOL, COLUMNS), dtype=np.float32)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
@pytest.mark.parametrize("graphs", [True, False])
async def test_every_answer_is_right(graphs: bool, dtype: Any, tmp_path: Path) -> None:
    pool = _pool(dtype)
    plan = rows_plan(nvrtc_rows(dtype), COLUMNS, dtype)
    options = {"streams": STREAMS, "batch_sizes": list(BUCKETS), "graphs": graphs}
    with watched() as ledger:
        async with opened(plan, tmp_path, **options) as engine:
            clients = Clients(engine, pool, rows_reference(pool))
            await clients.run(WARM_UP)
            before = Memory.now(ledger)
            await clients.run(REQUESTS - WARM_UP)
            after = Memory.now(ledger)
            assert not clients.wrong, clients.wrong[0]
            await _adds_up(engine, clients)
        assert not ledger.blocks["device"]
        assert not ledger.blocks["pinned"]
    assert before.device > 0
    assert before.pinned > 0
    assert after[:3] == before[:3]
    assert after.resident - before.resident < HOST_GROWTH


async def _adds_up(engine: Any, clients: Clients) -> None:
    def idle() -> bool:
        seen = engine.statistics()
        return bool(seen.queued == 0 and seen.in_flight == 0)

    await until(idle)
    seen = engine.statistics()
    assert clients.answered + clients.left == clients.asked
    assert seen.requests == clients.asked
    assert seen.answered + seen.cancelled == clients.asked
    assert seen.answered >= clients.answered
    assert (seen.failed, seen.rejected, seen.retried) == (0, 0, 0)
    assert seen.batches == sum(stream.batches for stream in seen.streams)
    assert [stream.alive for stream in seen.streams] == [True] * STREAMS
    assert all(stream.batches for stream in seen.streams)
    assert seen.rows == sum(size * times for size, times in seen.batch_sizes.items())


@pytest.mark.parametrize("graphs", [True, False])
async def test_a_model_of_a_hundred_kernels(graphs: bool, tmp_path: Path) -> None:
    pool = _pool(np.int32)
    plan = rows_plan(hundred_kernels(), COLUMNS)
    options = {"streams": 2, "batch_sizes": [1, 8, 64], "graphs": graphs}
    async with opened(plan, tmp_path, **options) as engine:
        clients = Clients(engine, pool, rows_reference(pool, STEPS))
        await clients.run(5_000)
        assert not clients.wrong, clients.wrong[0]
        assert clients.answered > 3_000
