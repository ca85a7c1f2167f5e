"""Models that take longer to open than their callers wait, without Ray."""

import asyncio

import anyio
import pytest

from support.helpers import row, same, until
from trtasync import Engine, InvalidInput, open_engine
from trtasync.integrations.ray_serve.openings import Openings
from trtasync.testing import ScriptedBackend


@pytest.fixture
def anyio_backend() -> str:
    """Which is all that Ray knows."""
    return "asyncio"


class Slow:
    """Opens engines when it may."""

    def __init__(self) -> None:
        """Not yet."""
        self.may = anyio.Event()
        self.asked: list[str] = []
        self.opened: list[Engine] = []

    async def make(self, model: str) -> Engine:
        """Open one."""
        self.asked.append(model)
        await self.may.wait()
        if model == "bad":
            raise InvalidInput("bad")
        engine = await open_engine(ScriptedBackend(lambda x: x * 2), name=model)
        self.opened.append(engine)
        return engine


async def given_up(openings: Openings, slow: Slow, model: str) -> None:
    """Ask, and give up when the opening has begun."""
    count = len(slow.asked)
    asking = asyncio.create_task(openings.open(model, slow.make))
    await until(lambda: len(slow.asked) > count or asking.done())
    asking.cancel()
    await asyncio.wait([asking])


@pytest.mark.anyio
async def test_who_gives_up_does_not_call_an_opening_off() -> None:
    openings, slow = Openings(), Slow()
    await given_up(openings, slow, "a")
    slow.may.set()
    await until(lambda: bool(slow.opened))
    engine = await openings.open("a", slow.make)
    assert slow.asked == ["a"]
    assert same(await engine.infer(row(1)), row(2))
    await openings.aclose()  # it is the caller's
    assert engine.is_alive
    await engine.aclose()
    again = await openings.open("a", slow.make)
    assert again is not engine
    await again.aclose()


@pytest.mark.anyio
async def test_what_nobody_took_is_closed_for_another_model() -> None:
    openings, slow = Openings(), Slow()
    await given_up(openings, slow, "a")  # it is called off, before it may open
    await given_up(openings, slow, "b")
    slow.may.set()
    await until(lambda: bool(slow.opened))
    other = await openings.open("c", slow.make)
    assert ["closed" in repr(engine) for engine in slow.opened] == [True, False]
    assert slow.asked == ["a", "b", "c"]
    await other.aclose()


@pytest.mark.anyio
async def test_a_failure_is_told_and_the_next_one_tries_again() -> None:
    openings, slow = Openings(), Slow()
    slow.may.set()
    for _ in range(2):
        with pytest.raises(InvalidInput, match="bad"):
            await openings.open("bad", slow.make)
    await given_up(openings, slow, "bad")
    await openings.aclose()
    assert slow.asked == 3 * ["bad"]
