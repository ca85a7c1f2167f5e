"""Use without async code: the recipe of the README."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
from anyio.from_thread import start_blocking_portal

from support.helpers import check_at_rest, row, same
from trtasync import EngineClosed, InvalidInput, WrongLoop, open_engine
from trtasync.testing import ScriptedBackend

BACKENDS = [("asyncio", {}), ("asyncio", {"use_uvloop": True}), ("trio", {})]


@pytest.mark.parametrize(("loop", "options"), BACKENDS)
def test_threads_share_an_engine_through_a_portal(loop: str, options: dict[str, Any]) -> None:
    with (
        start_blocking_portal(loop, options) as portal,
        portal.wrap_async_context_manager(open_engine(ScriptedBackend())) as engine,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = list(pool.map(lambda value: portal.call(engine.infer, row(value)), range(100)))
        assert all(same(answer, row(value)) for value, answer in enumerate(answers))
        urgent = portal.call(partial(engine.infer, row(7), priority=1))
        assert same(urgent, row(7))
        with pytest.raises(InvalidInput):
            portal.call(engine.infer, np.zeros(5, np.float32))
        assert check_at_rest(engine).answered == 101
    assert repr(engine).startswith("<trtasync.Engine 'scripted' on scripted: closed")


@pytest.mark.parametrize(("loop", "options"), BACKENDS)
def test_without_the_portal_it_is_the_wrong_thread(loop: str, options: dict[str, Any]) -> None:
    with (
        start_blocking_portal(loop, options) as portal,
        portal.wrap_async_context_manager(open_engine(ScriptedBackend())) as engine,
    ):
        with pytest.raises(WrongLoop, match="blocking portal"):
            engine.infer(row(1)).send(None)
        assert same(portal.call(engine.infer, row(1)), row(1))


def test_after_the_engine_was_closed() -> None:
    with start_blocking_portal() as portal:
        with portal.wrap_async_context_manager(open_engine(ScriptedBackend())) as engine:
            pass
        with pytest.raises(EngineClosed):
            portal.call(engine.infer, row(1))
