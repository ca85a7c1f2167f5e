"""A replica whose engine hangs is replaced; `nightly` has more faults, and how long they last."""

from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal

from support.helpers import row, same
from tests.ray.conftest import Run
from tests.ray.models import scripted
from trtasync import DeviceLost, TrtasyncError
from trtasync.integrations.ray_serve import Client

PATIENCE = 60.0


def test_who_waits_for_a_batch_that_never_ends_is_told_and_the_next_is_answered(
    run: Run, portal: BlockingPortal
) -> None:
    impatient = {"health_check_period_s": 0.1, "graceful_shutdown_timeout_s": 0.1}
    handle = run(scripted(stalled_after=0.5), **impatient)
    client = Client(handle)

    async def answer() -> Any:
        try:
            return await client.infer(row(1))
        except TrtasyncError:  # of the replica that ends
            return None

    async def replace() -> tuple[Any, int, int]:
        before = await handle.pid.remote()
        await handle.hold.remote()
        with anyio.fail_after(PATIENCE):
            with pytest.raises(DeviceLost):
                await client.infer(row(1))
            while (answered := await answer()) is None:
                pass
        return answered, before, await handle.pid.remote()

    answered, before, after = portal.call(replace)
    assert same(answered, row(2))
    assert before != after
