"""A call with a task beside it: whichever ends first ends the other."""

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
