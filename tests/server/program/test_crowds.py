"""Ten thousand connections that ask nothing, beside some that are worse: others notice nothing."""

import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from support.helpers import PATIENCE
from tests.server.fast.clients import infer
from tests.server.program.serving import Server, ask, factor_of, serving, times, until

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

CROWDS = 3_000, 10_000, 10_000
"""Clients that ask nothing. The first of them take what the server keeps for the next; all together
are fewer than there are ports."""

HALF, GREEDY = 100, 20
"""Clients that send half a request, and that read no answer."""

ASKED = 30
GAUGES = "trtasync_queue_rows", "trtasync_inflight_rows"
LEFT_OVER = 8 << 20
"""Bytes by which a process may be larger after the last crowd than after the one before: of each
connection less than a kilobyte."""

ROWS = np.ones((4096, 4), np.float32)


@contextmanager
def descriptors(count: int) -> Iterator[None]:
    """So many for this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < count:
        pytest.skip(f"needs {count} descriptors, and may have {before[1]}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(count, before[0]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def resident(server: Server) -> int:
    """Bytes that the server's process has in memory."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def come(server: Server, crowd: ExitStack, idle: int) -> None:
    """Connections without a request, with half of one, and with many whose answers stay unread."""
    url = httpx.URL(server.url)
    assert url.port is not None

    def connect(room: int = 0) -> socket.socket:
        client = crowd.enter_context(socket.socket())
        client.settimeout(PATIENCE)
        if room:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        client.connect((url.host, url.port))
        return client

    large = infer(ROWS)
    for _ in range(idle):
        connect()
    for cut in range(HALF):
        connect().sendall(large[: 1 + cut * len(large) // (HALF + 1)])
    for _ in range(GREEDY):
        greedy = connect(room=4096)
        greedy.setblocking(False)
        try:
            while True:  # until nothing more is taken, or read
                greedy.sendall(large)
        except BlockingIOError:
            pass


def values(client: httpx.Client, name: str) -> set[float]:
    """Of a metric."""
    lines = client.get("/metrics").text.splitlines()
    return {float(line.split()[-1]) for line in lines if line.startswith(f"{name}{{")}


def test_others_notice_nothing_of_a_crowd(tmp_path: Path) -> None:
    sizes = []
    with (
        descriptors(max(CROWDS) + HALF + GREEDY + 200),
        serving(
            tmp_path,
            times(tmp_path, 2),
            "--max-batch-size",
            len(ROWS),
            "--max-queue-size",
            len(ROWS) * (HALF + GREEDY + 1),
        ) as server,
        server.client() as client,
    ):
        for idle in CROWDS:
            with ExitStack() as crowd:
                come(server, crowd, idle)
                for _ in range(ASKED):
                    assert factor_of(ask(client)) == 2
                assert client.get("/v2/health/ready").status_code == 200
            until(lambda: descriptors_of(server) < HALF)
            until(lambda: all(values(client, gauge) == {0} for gauge in GAUGES))
            sizes.append(resident(server))
        assert sizes[2] - sizes[1] < LEFT_OVER, sizes


def descriptors_of(server: Server) -> int:
    """How many the server's process has open."""
    return sum(1 for _ in Path(f"/proc/{server.process.pid}/fd").iterdir())
