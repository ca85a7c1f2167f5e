"""The loops of these tests pass over what came too late for another, and nothing else."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
import pytest

from support.helpers import PATIENCE, until
from tests.server.grpc.loops import AsyncioLoop, UvLoop


@contextmanager
def serving(answer: Callable[[bytes, Any], bytes]) -> Iterator[Callable[[], Any]]:
    """A server in threads; and what calls it, in the loop that runs."""
    handler = grpc.unary_unary_rpc_method_handler(answer)
    everything: Any = SimpleNamespace(service=lambda details: handler)
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads, handlers=[everything])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield lambda: grpc.aio.insecure_channel(f"127.0.0.1:{port}").unary_unary("/a/b")(b"")
        finally:
            server.stop(None).wait()


@pytest.mark.parametrize("make", [AsyncioLoop, UvLoop])
def test_an_event_for_a_loop_that_has_ended(make: Callable[[], Any]) -> None:
    reached, may_end = threading.Event(), threading.Event()
    waits = iter([True])

    def answer(request: bytes, call: Any) -> bytes:
        if next(waits, False):
            reached.set()
            assert may_end.wait(PATIENCE)
        return b"answer"

    async def ask() -> Any:
        asked = call()
        await asyncio.to_thread(reached.wait, PATIENCE)
        return asked

    async def ask_anew() -> None:
        assert await call() == b"answer"
        may_end.set()
        await until(lambda: loop.late)

    with serving(answer) as call:
        first = asyncio.new_event_loop()
        left = first.run_until_complete(ask())
        first.close()
        loop = make()
        raised: list[object] = []
        loop.set_exception_handler(lambda loop, context: raised.append(context))
        loop.run_until_complete(ask_anew())
        loop.close()
    assert raised == []
    assert not left.done()


@pytest.mark.parametrize("make", [AsyncioLoop, UvLoop])
def test_whatever_else_a_callback_raises(make: Callable[[], Any]) -> None:
    def fail() -> None:
        raise RuntimeError("Event loop is closed")

    raised: list[str] = []
    loop = make()
    loop.set_exception_handler(lambda loop, context: raised.append(str(context["exception"])))
    loop.call_soon(fail)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert raised == ["Event loop is closed"]
    assert loop.late == 0
