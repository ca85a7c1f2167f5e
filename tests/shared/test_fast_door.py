"""The server of the Open Inference Protocol over a shared engine."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from support.helpers import PATIENCE
from tests.host.processes import product
from tests.server.fast.clients import infer, request, running
from trtasync import open_engine
from trtasync.server.models import Models

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


@pytest.mark.parametrize("rows", [1, 2])
async def test_a_large_tensor_is_received_into_memory_that_is_shared(
    folder: Path, tmp_path: Path, rows: int
) -> None:
    wide = product(tmp_path, width=100_000)
    x = np.random.default_rng(0).integers(0, 9, (rows, 100_000)).astype(np.float32)
    async with open_engine(wide, batching=True) as engine:
        expected = await engine.infer(x)
    models = Models()
    models.add("m", lambda: open_engine(wide, batching=True, shared=True, linger=0.2))
    async with running(models) as server, server.client() as client:
        for _ in range(3):
            np.testing.assert_array_equal((await client.ask(infer(x))).y, expected)


async def test_an_engine_of_another_process_is_served(folder: Path, model: Path) -> None:
    """And is ready again when its process has been started anew."""
    models = Models()
    models.add("m", lambda: open_engine(model, batching=True, shared=True, linger=0.2))
    x = np.arange(16, dtype=np.float32).reshape(2, 8)
    async with running(models) as server, server.client() as client:
        expected = None
        for rows in (x, x[:1], x):
            y = (await client.ask(infer(rows))).y
            expected = y if expected is None else expected
            np.testing.assert_array_equal(y, expected[: len(rows)])
        assert (await client.ask(infer(x[:, :5]))).status == 400
        stats = await client.ask(request(path="/v2/models/m/stats"))
        (told,) = json.loads(stats.body)["model_stats"]
        assert told["inference_count"] == 5
        ready = request(path="/v2/health/ready")
        assert (await client.ask(ready)).status == 200
        engine: Any = models.deployed("m").engine
        os.kill(engine.host_pid, signal.SIGKILL)
        with anyio.fail_after(PATIENCE):
            while (answer := await client.ask(infer(x))).status != 200:
                assert answer.status == 503
                await anyio.sleep(0.01)
        np.testing.assert_array_equal(answer.y, expected)
        assert (await client.ask(ready)).status == 200
