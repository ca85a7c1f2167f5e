"""An engine used where it was not opened: one error, and it says what is another one there."""

import asyncio
import gc
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from support.helpers import join_threads, row
from trtasync import Engine, WrongLoop, open_engine
from trtasync.testing import ScriptedBackend

LOOPS = ["asyncio", "trio"]
USES: list[Callable[[Engine], Awaitable[Any]]] = [
    lambda engine: engine.infer(row(1)),
    lambda engine: engine.infer(row(1), copy=False),
    lambda engine: engine.aclose(),
]
USE_NAMES = ["infer", "lent", "aclose"]


def run_in(loop: str, main: Callable[[], Awaitable[Any]]) -> Any:
    """A loop of its own, from beginning to end."""
    return anyio.run(main, backend=loop)


def error_in(loop: str, use: Callable[[Engine], Awaitable[Any]], engine: Engine) -> WrongLoop:
    """What using an engine in a loop of its own raises."""

    async def main() -> WrongLoop:
        with pytest.raises(WrongLoop) as caught:
            await use(engine)
        return caught.value

    error = run_in(loop, main)
    assert isinstance(error, WrongLoop)
    assert pickle.loads(pickle.dumps(error)).where == error.where
    return error


@pytest.mark.parametrize("use", USES, ids=USE_NAMES)
@pytest.mark.parametrize("loop", LOOPS)
def test_another_thread(loop: str, use: Callable[[Engine], Awaitable[Any]]) -> None:
    errors: list[WrongLoop] = []

    async def main() -> None:
        async with open_engine(ScriptedBackend()) as engine:
            await engine.infer(row(1))
            thread = threading.Thread(target=lambda: errors.append(error_in(loop, use, engine)))
            thread.start()
            thread.join()
            await engine.infer(row(1))

    asyncio.run(main())
    assert errors[0].where == "thread"
    assert "blocking portal" in str(errors[0])


@pytest.mark.parametrize("use", USES, ids=USE_NAMES)
def test_another_loop_of_the_same_thread(use: Callable[[Engine], Awaitable[Any]]) -> None:
    loop = asyncio.new_event_loop()
    engine = loop.run_until_complete(_open())
    error = error_in("asyncio", use, engine)
    assert error.where == "loop"
    assert "has ended" not in str(error)
    loop.run_until_complete(engine.aclose())
    loop.close()


def _forget(engines: list[Engine]) -> None:
    engines.clear()
    gc.collect()  # what `trio.run` returned is part of a cycle


async def _open() -> Engine:
    return await open_engine(ScriptedBackend())


@pytest.mark.parametrize("use", USES, ids=USE_NAMES)
@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_that_has_ended_as_with_fixtures_of_a_session(
    loop: str, use: Callable[[Engine], Awaitable[Any]]
) -> None:
    engines = [run_in(loop, _open)]
    error = error_in("asyncio", use, engines[0])
    assert error.where == "loop"
    assert "has ended" in str(error)
    assert "session" in str(error)
    del error  # its traceback holds the engine
    with pytest.warns(ResourceWarning, match="unclosed"):
        _forget(engines)
    join_threads()


PRELOAD = """
import asyncio, os, sys, numpy as np
from trtasync import WrongLoop, open_engine
from trtasync.testing import ScriptedBackend

loop = asyncio.new_event_loop()  # what `gunicorn --preload` runs when it imports the application

async def start():
    return await open_engine(ScriptedBackend(), loop_budget=0.0)

engine = loop.run_until_complete(start())
x = np.zeros(4, np.float32)

async def use(where):
    try:
        await engine.infer(x)
    except WrongLoop as error:
        assert error.where == "process", error
        assert "--preload" in str(error) and str(os.getppid()) in str(error), error
        await engine.aclose()
        return 7

async def parent():
    child = os.fork()
    if child == 0:
        os._exit(await use("the loop that was forked") or 1)  # a task of the very loop
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    await engine.infer(x)

child = os.fork()
if child == 0:
    os._exit(asyncio.run(use("a new loop")) or 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
loop.run_until_complete(parent())
loop.run_until_complete(engine.aclose())
loop.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_as_of_gunicorn_with_preload() -> None:
    subprocess.run([sys.executable, "-c", PRELOAD], check=True, timeout=120)
