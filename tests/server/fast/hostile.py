"""Requests made hostile, many of them: `python -m tests.server.fast.hostile --cases 1000000`.

The same seed makes the same bytes; how the server takes them apart depends on the network.
"""

import argparse
import json
import logging
import random
import sys
from itertools import pairwise
from random import Random

import anyio
import numpy as np

from support.helpers import rows, tensor
from tests.fuzz.texts import broken_bytes
from tests.server.fast.clients import Client, Running, infer, request, running
from tests.server.messages import given
from tests.server.serving import filled, models_of
from trtasync.server.fast.limits import Limits
from trtasync.testing import ScriptedBackend

LIMITS = Limits(body=1 << 20, idle=400)
CHUNKED = "Transfer-Encoding: chunked"

LINES = (
    "Content-Length: 5", "Content-Length: 0", "Content-Length: -1", "Transfer-Encoding: chunked",
    "Transfer-Encoding: identity", "Connection: close", "Expect: 100-continue", "Host: b",
    "Content-Encoding: gzip", "Inference-Header-Content-Length: 0", "X: a\r\n b", "X: a\nb",
    "Inference-Header-Content-Length: 99999999999999999999", "Upgrade: h2c", "Trailer: X",
)  # fmt: skip
"""Headers that are put where they do not belong."""


def attack(chance: Random) -> bytes:
    """Some requests, most of them damaged, and one that ends the connection if it is understood."""
    requests = [_damaged(chance, _request(chance)) for _ in range(chance.randint(1, 3))]
    return b"".join([*requests, request("GET", "/v2/health/live", b"", "Connection: close")])


def _request(chance: Random) -> bytes:
    width = chance.choice((0, 1, 4, 40_000))
    x = np.ones((chance.randint(0, 2), width), np.float32)
    match chance.randrange(5):
        case 0:
            return infer(x)
        case 1:
            data = [float("nan")] if chance.random() < 0.1 else [1] * min(width, 9)
            asked = {"inputs": [given("x", [1, len(data)], "FP32", data=data)], "id": "é"}
            return request("POST", "/v2/models/m/infer", json.dumps(asked).encode())
        case 2:
            body = infer(x).partition(b"\r\n\r\n")[2]
            content = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            return request("POST", "/v2/models/m/infer", content, CHUNKED)
        case 3:
            return request("POST", "/v2/repository/index", b'{"ready": true}')
        case _:
            path = chance.choice(("", "/models/m", "/models/stats", "/models/%2e%2e/config", "x"))
            return request(path=f"/v2{path}")


def _damaged(chance: Random, content: bytes) -> bytes:
    match chance.randrange(6):
        case 0:
            return content
        case 1:
            line = chance.choice(LINES).encode() + b"\r\n"
            return content.replace(b"Host: a\r\n", b"Host: a\r\n" + line, 1)
        case 2:
            return content[: chance.randrange(len(content))]
        case 3:
            head, end, body = content.partition(b"\r\n\r\n")
            return head + end + broken_bytes(chance, body or b"{}")
        case 4:
            return content.replace(b"\r\n", b"\n", chance.randint(1, 5))
        case _:
            return broken_bytes(chance, content)


def statuses(content: bytes) -> list[int]:
    """Of all answers that `content` is."""
    found = []
    while content:
        head, end, content = content.partition(b"\r\n\r\n")
        assert end, f"an answer has no end: {head!r}"
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        found.append(int(first.split(" ")[1]))
        size = int(headers.get("content-length", 0))
        assert len(content) >= size, "an answer is cut"
        content = content[size:]
    return found


class Complaints(logging.Handler):
    """What is logged as an error.

    Attributes:
        heard: the messages.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.heard.append(self.format(record))


async def hunt(first: int, cases: int) -> int:
    """Run attacks beside a client that means well; returns how many answers there were.

    Raises:
        AssertionError: the server said 500 or complained, hung, left rows behind, or harmed the
            neighbour.
    """
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    try:
        return await _hunt(first, cases, complaints.heard)
    finally:
        logging.getLogger().removeHandler(complaints)


async def _hunt(first: int, cases: int, complaints: list[str]) -> int:
    backend = ScriptedBackend(
        np.negative, inputs=[tensor("x", "N", "W")], outputs=[tensor("y", "N", "W")]
    )
    answers = 0
    async with running(models_of(backend), limits=LIMITS) as server:
        for seed in range(first, first + cases):
            try:
                async with server.client() as neighbour, anyio.create_task_group() as tasks:
                    tasks.start_soon(_ask, neighbour, seed % 1000)
                    answers += await _case(server, Random(seed))
                assert not complaints, complaints
            except Exception as error:
                raise AssertionError(f"seed {seed}: {error!r}") from error
        await server.connections(0)
        await filled(server.models.deployed("m").engine, queued=0, in_flight=0)
    return answers


async def _ask(neighbour: Client, value: int) -> None:
    y = (await neighbour.ask(infer(rows([value])))).y
    np.testing.assert_array_equal(y, -rows([value]))


async def _case(server: Running, chance: Random) -> int:
    content = attack(chance)
    cuts = sorted(chance.randrange(len(content)) for _ in range(chance.choice((0, 0, 1, 4))))
    async with server.client() as client, anyio.create_task_group() as tasks:
        tasks.start_soon(_hurry, server)
        try:
            for start, stop in pairwise((0, *cuts, len(content))):
                await client.send(content[start:stop])
            if chance.random() < 0.1:
                tasks.cancel_scope.cancel()
                return 0  # the client leaves
            found = statuses(await client.rest())
        except anyio.BrokenResourceError:
            found = []  # it was sent away before it had sent all
        tasks.cancel_scope.cancel()
    assert not {500, 502} & set(found), found
    return len(found)


async def _hurry(server: Running) -> None:
    """Let time pass for whoever has the server wait: half a body, nothing at all."""
    while True:
        await anyio.sleep(0.002)
        server.pass_time(4)


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=None, help="of the first; drawn by default")
    options = parser.parse_args()
    first = random.SystemRandom().randrange(10**9) if options.seed is None else options.seed
    print(f"{options.cases} attacks from seed {first} on")
    answers = anyio.run(hunt, first, options.cases, backend_options={"use_uvloop": True})
    print(f"{answers} answers, none of them wrong")
    return 0


if __name__ == "__main__":
    sys.exit(main())
