"""Work in threads."""

import gc
import weakref

import anyio
import numpy as np
import pytest

from support.helpers import Array, until
from trtasync.server.beside import beside
from trtasync.server.protocol.refusals import Refusal

pytestmark = pytest.mark.anyio


async def test_what_work_returns_and_raises() -> None:
    limiter = anyio.CapacityLimiter(1)
    assert await beside(divmod, 7, 2) == (3, 1)
    assert await beside(divmod, 7, 2, limiter=limiter) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await beside(divmod, 7, 0)
    assert limiter.borrowed_tokens == 0


async def test_nothing_is_kept_alive_by_a_refusal() -> None:
    kept: list[weakref.ref[Array]] = []

    def refuse(array: Array) -> None:
        copied = array.copy()
        kept.append(weakref.ref(copied))
        raise Refusal("too large.")

    async def ask() -> str:
        array = np.zeros(3)
        kept.append(weakref.ref(array))
        try:
            await beside(refuse, array)
        except Refusal as refusal:
            return str(refusal)
        return ""

    gc.disable()
    try:
        assert await ask() == "too large."
        await until(lambda: all(each() is None for each in kept))
    finally:
        gc.enable()
