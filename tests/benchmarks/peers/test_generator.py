"""The load generator against a server of a few lines: it checks, loads and complains."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest

from benchmarks.load import Sample
from benchmarks.peers.generator import Order, work
from benchmarks.systems import COLUMNS, model
from support.helpers import PATIENCE

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n"


def right(body: bytes) -> bytes:
    answer: bytes = model(np.frombuffer(body, np.float32)[None])[0].tobytes()
    return HEAD + answer


def wrong(body: bytes) -> bytes:
    return HEAD + bytes(40)


def busy(body: bytes) -> bytes:
    return b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy"


def loaded(
    answer: Callable[[bytes], bytes], patience: float = 0.0, columns: int = COLUMNS, **order: str
) -> dict[int, Sample]:
    """What the generator finds at a server that answers so."""

    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer(await reader.readexactly(columns * 4)))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def main() -> dict[int, Sample]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            try:
                seconds = {3: 0.05, 1: 0.02}
                return await work(Order(port, "raw", seconds, 0.01, patience, columns, **order))
            finally:
                await asyncio.wait([task for task in serving if task], timeout=PATIENCE)

    with pytest.MonkeyPatch.context() as patch:
        # whose other children compute meanwhile, if pytest runs tests side by side
        patch.setattr(os, "getppid", os.getpid)
        return asyncio.run(main())


def test_it_measures_what_answers_rightly() -> None:
    found = loaded(right)
    assert list(found) == [3, 1]
    for sample in found.values():
        assert sample["requests"] > 0
        assert 0 < sample["p50_us"] <= sample["p99_us"]
        assert sample["generator_cores"] > 0


def test_rows_of_another_model_are_as_long_as_it_takes_them() -> None:
    found = loaded(lambda body: HEAD + body, columns=10, model="echo")
    assert found[3]["requests"] > 0


@pytest.mark.parametrize(
    ("answer", "complaint"), [(wrong, "Not equal to tolerance"), (busy, "status 503: b'busy'")]
)
def test_it_does_not_measure_what_does_not(
    answer: Callable[[bytes], bytes], complaint: str
) -> None:
    with pytest.raises(TimeoutError, match="no right answer") as caught:
        loaded(answer)
    assert complaint in str(caught.value)
