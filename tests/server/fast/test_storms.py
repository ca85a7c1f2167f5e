"""A thousand clients that leave when they like, are slow, or stop half-way."""

from random import Random

import anyio
import numpy as np
import pytest

from support.helpers import rows, tensor
from tests.server.fast.clients import Running, infer, running
from tests.server.serving import filled, models_of
from trtasync.testing import ScriptedBackend

pytestmark = [pytest.mark.anyio, pytest.mark.stress]

CLIENTS, AT_ONCE = 1000, 100
LARGE = 40_000


async def test_nobody_loses_an_answer_and_nothing_is_left_behind() -> None:
    backend = ScriptedBackend(
        np.negative, inputs=[tensor("x", "N", "W")], outputs=[tensor("y", "N", "W")]
    )
    models = models_of(backend, max_queue_size=100_000)
    async with running(models) as server:
        limit = anyio.Semaphore(AT_ONCE)
        async with anyio.create_task_group() as tasks:
            for seed in range(CLIENTS):
                await limit.acquire()
                tasks.start_soon(one, server, Random(seed), float(seed), limit)
        assert models.are_ready
        await server.connections(0)
        await filled(models.deployed("m").engine, queued=0, in_flight=0)


async def one(server: Running, chance: Random, value: float, limit: anyio.Semaphore) -> None:
    """Ask a few times; leave in between, or wait for every answer."""
    try:
        async with server.client() as client:
            for _ in range(chance.randint(1, 3)):
                x = rows([value], chance.choice((4, LARGE)))
                content = infer(x)
                match chance.randrange(4):
                    case 0:  # leaves in the midst of the request
                        await client.send(content[: chance.randrange(len(content))])
                        return
                    case 1:  # leaves without its answer
                        await client.send(content)
                        return
                    case 2:  # is slow
                        cut = chance.randrange(len(content))
                        await client.send(content[:cut])
                        await anyio.sleep(chance.random() / 100)
                        await client.send(content[cut:])
                    case _:
                        await client.send(content)
                np.testing.assert_array_equal((await client.answer()).y, -x)
    finally:
        limit.release()


async def test_a_thousand_idle_connections_hold_nobody_up() -> None:
    async with (
        running(models_of(ScriptedBackend())) as server,
        anyio.create_task_group() as tasks,
    ):

        async def idle() -> None:
            async with server.client():
                await anyio.sleep_forever()

        for _ in range(CLIENTS):
            tasks.start_soon(idle)
        await server.connections(CLIENTS)
        async with server.client() as client:
            for value in range(10):
                answer = await client.ask(infer(rows([value])))
                np.testing.assert_array_equal(answer.y, rows([value]))
        server.pass_time(76)
        await server.connections(0)
        tasks.cancel_scope.cancel()
