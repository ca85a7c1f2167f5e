"""A request that cannot be staged fails alone: its row is withdrawn and nothing logged."""

import gc
from collections.abc import Sequence
from typing import Any

import anyio
import numpy as np
import pytest

from support.helpers import (
    Array,
    check_at_rest,
    computed,
    ended,
    hold,
    opened,
    row,
    same,
    submit,
    submit_all,
    until,
)
from trtasync import CudaError, InferenceError, TensorSpec, TrtasyncError
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


class Torn:
    """One row whose memory cannot be read: the way of a device array whose GPU has an error."""

    dtype = np.dtype("float32")

    def __init__(self, error: BaseException, *shape: int):
        self.error = error
        self.shape = shape

    def reshape(self, *shape: Any) -> Array:
        raise self.error

    def __getitem__(self, rows: slice) -> "Torn":
        return self


def torn(error: BaseException, *shape: int) -> Any:
    """One that `infer` takes: only a backend of its own kind knows that it is an array."""
    return Torn(error, *shape)


class TakesTorn(ScriptedBackend):
    """Takes them for arrays of its device."""

    def adopt(self, spec: TensorSpec, value: Any) -> Any:
        return value if isinstance(value, Torn) else None


WAYS: list[dict[str, Any]] = [{}, {"copy": False}, {"priority": 1}]
FAULTS = [
    pytest.param(CudaError("the copy was refused", code=2), CudaError, "refused", id="ours"),
    pytest.param(
        MemoryError("no room"), InferenceError, "could not be staged.*no room", id="other"
    ),
]


@pytest.mark.parametrize("way", WAYS, ids=["plain", "lent", "urgent"])
@pytest.mark.parametrize("shape", [(4,), (7, 4)], ids=["row", "split"])
@pytest.mark.parametrize(("error", "kind", "words"), FAULTS)
async def test_it_fails_alone(
    way: dict[str, Any],
    shape: Sequence[int],
    error: Exception,
    kind: type[TrtasyncError],
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend = TakesTorn()
    async with opened(backend, max_batch_size=4) as engine:
        async with anyio.create_task_group() as tasks:
            await hold(tasks, engine, backend)
            before = await submit_all(tasks, engine, [1, 2])
            with pytest.raises(kind, match=words) as caught:
                await engine.infer(torn(error, *shape), **way)
            if isinstance(error, CudaError):
                assert caught.value is not error
                assert caught.value.args == error.args
            else:
                assert caught.value.__cause__ is error
            after = await submit_all(tasks, engine, [3])
            assert engine.statistics().queued == 3
            backend.gate.let()
            await ended(*before, *after)
        assert [caller.answer[0] for caller in (*before, *after)] == [1, 2, 3]
        assert sorted(computed(backend)) == [-1, 1, 2, 3]
        seen = check_at_rest(engine)
        assert (seen.failed, seen.cancelled, seen.answered) == (1, 0, 4)
    del caught
    gc.collect()
    assert caplog.records == []  # asyncio logs exceptions that nobody fetched


async def test_the_first_of_its_batch_and_alone() -> None:
    backend = TakesTorn()
    async with opened(backend) as engine:
        for _ in range(5):  # more than there are slots
            with pytest.raises(InferenceError, match="no room"):
                await engine.infer(torn(MemoryError("no room"), 4))
        assert same(await engine.infer(row(1)), row(1))
        assert computed(backend) == [1]
        assert check_at_rest(engine).failed == 5


async def test_who_waited_for_its_slot_gets_it() -> None:
    backend = TakesTorn(slots_per_lane=1)
    async with opened(backend, max_batch_size=2) as engine, anyio.create_task_group() as tasks:
        await hold(tasks, engine, backend)
        ill = [await submit(tasks, engine, torn(MemoryError("no room"), 4)) for _ in range(5)]
        good = await submit(tasks, engine, row(1))
        backend.gate.let()
        await until(lambda: good.done)
        await ended(*ill)
        assert same(good.answer, row(1))
        assert all(isinstance(caller.error, InferenceError) for caller in ill)


async def test_an_interrupt_while_staging_is_a_cancellation() -> None:
    class Interrupt(BaseException):
        pass

    backend = TakesTorn()
    async with opened(backend) as engine:
        with pytest.raises(Interrupt):
            await engine.infer(torn(Interrupt(), 4))
        assert check_at_rest(engine).cancelled == 1
