"""A call with a task beside it: whichever ends first ends the other."""

import asyncio
import gc
import weakref

import anyio.lowlevel
import pytest

from trtasync.loops import accompanied

pytestmark = pytest.mark.anyio


class Ending:
    """Waits until it is cancelled; then it may fail.

    Attributes:
        has_ended: it waits no more.
    """

    def __init__(self, failure: Exception | None = None):
        self.failure = failure
        self.has_ended = False

    async def wait(self) -> None:
        """For ever."""
        try:
            await anyio.sleep_forever()
        finally:
            self.has_ended = True
            if self.failure is not None:
                raise self.failure


async def fails(error: BaseException) -> None:
    """At once."""
    raise error


async def five() -> int:
    """A turn of the loop later, so that what is beside it has begun."""
    await anyio.lowlevel.checkpoint()
    return 5


async def test_the_companion_has_ended_when_the_answer_comes() -> None:
    companion = Ending()
    assert await accompanied(five, companion.wait()) == 5
    assert companion.has_ended


async def test_an_answer_stands_whatever_becomes_of_the_companion() -> None:
    companion = Ending(ValueError("while it was cancelled"))
    assert await accompanied(five, companion.wait()) == 5
    assert companion.has_ended


async def test_a_companion_that_fails_ends_the_call() -> None:
    call, failure = Ending(), ValueError("of the companion")
    with pytest.raises(ValueError, match="of the companion") as caught:
        await accompanied(call.wait, fails(failure))
    assert caught.value is failure
    assert call.has_ended
    assert failure.__context__ is None  # nobody's log speaks of a group


async def test_a_call_that_fails_ends_the_companion() -> None:
    companion, failure = Ending(), ValueError("in it")

    async def call() -> None:
        await anyio.lowlevel.checkpoint()
        raise ExceptionGroup("of the call", [failure])

    with pytest.raises(ExceptionGroup, match="of the call") as caught:
        await accompanied(call, companion.wait())
    assert caught.value.exceptions == (failure,)
    assert companion.has_ended


async def test_whoever_is_cancelled_ends_both() -> None:
    call, companion = Ending(), Ending()
    with anyio.move_on_after(0.01) as patience:
        await accompanied(call.wait, companion.wait())
    assert patience.cancelled_caught
    assert call.has_ended
    assert companion.has_ended


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_answer_leaves_the_caller_uncancelled() -> None:
    """Or its own `asyncio.timeout` takes another's cancellation for its own, and raises none."""

    async def late() -> None:
        async with asyncio.timeout(0.01):
            companion = Ending(ValueError("while it was cancelled"))
            assert await accompanied(five, companion.wait()) == 5
            await anyio.sleep_forever()

    with pytest.raises(TimeoutError):
        await late()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_who_fails_in_the_turn_of_the_answer_does_not_cancel_the_caller() -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    answer: asyncio.Future[int] = loop.create_future()
    end: asyncio.Future[None] = loop.create_future()

    async def call() -> int:
        loop.call_soon(end.set_exception, ValueError("of the companion"))
        loop.call_soon(answer.set_result, 5)
        return await answer

    async def companion() -> None:
        await end

    assert await accompanied(call, companion()) == 5
    assert task is not None
    assert task.cancelling() == 0


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_failure_keeps_nothing_alive() -> None:
    """A refused request's arrays are freed with it, not by the garbage collector."""

    async def fail() -> "weakref.ref[Ending]":
        argument = Ending()

        async def call() -> None:
            assert argument is not None
            raise ValueError("in it")

        with pytest.raises(ValueError, match="in it"):
            await accompanied(call, Ending().wait())
        return weakref.ref(argument)

    gc.disable()
    try:
        assert (await fail())() is None
    finally:
        gc.enable()
