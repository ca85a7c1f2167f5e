"""A server whose device is lost ends, so that whoever looks after it starts another process."""

import math
from pathlib import Path

import anyio
import httpx
import pytest

from support import doubles
from support.helpers import PATIENCE
from tests.documents.running import write_identity
from trtasync import DeviceLost
from trtasync.server.program.config import offer_of
from trtasync.server.program.doors import open_doors
from trtasync.server.program.front import Started, answer
from trtasync.server.program.settings import EngineSettings, Offer, ServerSettings, Wanted

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

INFER = "/v2/models/m/infer"
ASKED = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
STREAMS = 2


async def asked(client: httpx.AsyncClient) -> int:
    """The status of a request."""
    return (await client.post(INFER, json=ASKED)).status_code


async def test_it_ends_at_once_and_says_why(tmp_path: Path) -> None:
    write_identity(tmp_path / "m.onnx", ["N", 4])
    engine = EngineSettings(cache_dir=str(tmp_path / "cache"), streams=STREAMS)
    wanted = Wanted(ServerSettings(grace=PATIENCE), offer_of([tmp_path / "m.onnx"], engine))
    (door,) = open_doors("127.0.0.1", 0)
    url = f"http://127.0.0.1:{door.getsockname()[1]}"
    statuses: list[int] = []
    send, orders = anyio.create_memory_object_stream[Offer](math.inf)

    with doubles.install(clean=False) as gpu:

        async def ask() -> None:
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE) as client:
                statuses.append(await asked(client))
                gpu.world.break_device()
                # each stream is lost by the batch that finds it so
                statuses.extend([await asked(client) for _ in range(STREAMS)])

        # no part of the server, which may end while the last answer is on its way
        async with anyio.create_task_group() as clients:

            async def ready(started: Started) -> None:
                clients.start_soon(ask)

            with send, orders, anyio.fail_after(PATIENCE), pytest.raises(DeviceLost, match="'m'"):
                await answer(wanted, door, orders, ready, shared=False)

    assert statuses == [200, *STREAMS * [503]]
