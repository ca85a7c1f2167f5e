"""An engine used where it was not opened: one error, and it says what is another one there."""

import asyncio
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from tests.helpers import row
from trtasync import Engine, WrongLoop, open_engine
from trtasync.testing import ScriptedBackend

RUNS: list[Callable[..., Any]] = [asyncio.run, trio.run]
USES: list[Callable[[Engine], Awaitable[Any]]] = [
    lambda engine: engine.infer(row(1)),
    lambda engine: engine.infer(row(1), copy=False),
    lambda engine: engine.aclose(),
]
USE_NAMES = ["infer", "lent", "aclose"]


def error_in(
    run: Callable[..., Any], use: Callable[[Engine], Awaitable[Any]], engine: Engine
) -> WrongLoop:
    """What using an engine in a loop of its own raises."""
    found: list[WrongLoop] = []

    async def main() -> None:
        with pytest.raises(WrongLoop) as caught:
            await use(engine)
        found.append(caught.value)

    run(main) if run is trio.run else run(main())
    assert pickle.loads(pickle.dumps(found[0])).where == found[0].where
    return found[0]


@pytest.mark.parametrize("use", USES, ids=USE_NAMES)
@pytest.mark.parametrize("run", RUNS, ids=["asyncio", "trio"])
def test_another_thread(run: Callable[..., Any], use: Callable[[Engine], Awaitable[Any]]) -> None:
    errors: list[WrongLoop] = []

    async def main() -> None:
        async with open_engine(ScriptedBackend()) as engine:
            await engine.infer(row(1))
            thread = threading.Thread(target=lambda: errors.append(error_in(run, use, engine)))
            thread.start()
            thread.join()
            await engine.infer(row(1))

    asyncio.run(main())
    assert errors[0].where == "thread"
    assert "blocking portal" in str(errors[0])


@pytest.mark.parametrize("use", USES, ids=USE_NAMES)
def test_another_loop_of_the_same_thread(use: Callable[[Engine], Awaitable[Any]]) -> None:
    loop = asyncio.new_event_loop()
    opening = open_engine(ScriptedBackend())
    engine = loop.run_until_complete(opening.__aenter__())
    error = error_in(asyncio.run, use, engine)
    assert error.where == "loop"
    assert "has ended" not in str(error)
    loop.run_until_complete(opening.__aexit__(None, None, None))
    loop.close()


@pytest.mark.parametrize("use", USES, ids=USE_NAMES)
@pytest.mark.parametrize("opened_in", RUNS, ids=["asyncio", "trio"])
def test_a_loop_that_has_ended_as_with_fixtures_of_a_session(
    opened_in: Callable[..., Any], use: Callable[[Engine], Awaitable[Any]]
) -> None:
    opening = open_engine(ScriptedBackend())
    engine = (
        opened_in(opening.__aenter__) if opened_in is trio.run else opened_in(opening.__aenter__())
    )
    error = error_in(asyncio.run, use, engine)
    assert error.where == "loop"
    assert "has ended" in str(error)
    assert "session" in str(error)
    with pytest.warns(ResourceWarning, match="unclosed"):
        del engine, opening


PRELOAD = """
import asyncio, os, sys, numpy as np
from trtasync import WrongLoop, open_engine
from trtasync.testing import ScriptedBackend

loop = asyncio.new_event_loop()  # what `gunicorn --preload` runs when it imports the application
opening = open_engine(ScriptedBackend(), loop_budget=0.0)
engine = loop.run_until_complete(opening.__aenter__())
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
loop.run_until_complete(opening.__aexit__(None, None, None))
loop.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_as_of_gunicorn_with_preload() -> None:
    subprocess.run([sys.executable, "-c", PRELOAD], check=True, timeout=50)
