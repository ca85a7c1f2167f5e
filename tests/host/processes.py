"""Hosts as processes of their own, started as clients start them."""

import json
import math
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import trtasync
from support.doubles.child import ROOT
from support.onnx_models import FLOAT, node, value, write_model
from support.wire import WireClient
from trtasync.measure.opened import read_options
from trtasync.opening.loading import EngineOptions
from trtasync.opening.plain import options_to_plain
from trtasync.shared.records import PROTOCOL


def product(folder: Path, width: int = 8, outputs: int = 3) -> Path:
    """A model that multiplies rows by the numbers 0, 1, 2 ... in order."""
    weights = np.arange(width * outputs, dtype=np.float32).reshape(width, outputs)
    return write_model(
        folder / "product.onnx",
        [node("MatMul", ["x", "w"], ["y"])],
        [value("x", FLOAT, ["N", width])],
        [value("y", FLOAT, ["N", outputs])],
        {"w": weights},
    )


def options_of(model: Path, **options: Any) -> EngineOptions:
    """What `open_engine` is asked for."""
    return read_options(model, {"batching": True, **options})


def order(
    folder: Path,
    *models: Path,
    linger: float = 60.0,
    hang_timeout: float = math.inf,
    **options: Any,
) -> dict[str, Any]:
    """What a host is told to be."""
    return {
        "protocol": PROTOCOL,
        "version": trtasync.__version__,
        "socket": str(folder / "host.sock"),
        "lock": str(folder / "host.lock"),
        "linger": linger,
        "hang_timeout": hang_timeout,
        "models": [
            {
                "name": model.stem,
                "model": str(model),
                "options": options_to_plain(options_of(model, **options)),
            }
            for model in models
        ],
    }


class HostProcess:
    """A started host.

    Attributes:
        process: it.
        answer: what it said of its start.
        path: of its socket.
        clients: that were connected to it.
    """

    def __init__(self, order: dict[str, Any], **environment: str):
        """Start it, and wait for what it says."""
        self.clients: list[WireClient] = []
        self.path: str = str(order.get("socket"))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trtasync.host"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **environment},
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with self.process.stdin as stdin:
            stdin.write(json.dumps(order).encode())
        with self.process.stdout as stdout:
            words = (line for line in stdout if line.strip())  # the others are signs of life
            self.answer: dict[str, Any] = json.loads(next(words, "{}"))

    @property
    def has_socket(self) -> bool:
        """Its socket lies where it was to be."""
        return os.path.exists(self.path)

    def connect(self) -> WireClient:
        """A client that has said nothing yet."""
        self.clients.append(connected(Path(self.path)))
        return self.clients[-1]


@contextmanager
def host(order: dict[str, Any], **environment: str) -> Iterator[HostProcess]:
    """A host; killed if it is still there at the end."""
    started = HostProcess(order, **environment)
    try:
        yield started
    finally:
        for client in started.clients:
            client.close()
        started.process.kill()
        started.process.wait()


@contextmanager
def stuck(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A host that loses its device in the first run, and does not close; see `stuck_child`."""
    command = [sys.executable, "-m", "tests.host.stuck_child", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


def connected(path: Path) -> WireClient:
    """A client of a host that listens, which has said nothing yet."""
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    end.connect(os.fspath(path))
    return WireClient(end)
