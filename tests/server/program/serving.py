"""`trtasync serve` in a process of its own, models for it, and clients of it."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from support.doubles.child import ROOT
from support.helpers import PATIENCE, heed_sigint
from support.onnx_models import FLOAT, node, value, write_model
from trtasync.shared.places import VARIABLE

X = [1.0, 2.0, 3.0, 4.0]


def times(folder: Path, factor: float, name: str = "m") -> Path:
    """A model of a factor, put where it belongs in one step."""
    made = write_model(
        folder / f"{name}.new",
        [node("Mul", ["x", "factor"], ["y"])],
        [value("x", FLOAT, ["N", 4])],
        [value("y", FLOAT, ["N", 4])],
        {"factor": np.array([factor], np.float32)},
    )
    return made.replace(folder / f"{name}.onnx")


@dataclass
class Server:
    """A server that runs.

    Attributes:
        process: it.
        said: what it said when it could be asked.
        log: what it writes to stderr.
    """

    process: subprocess.Popen[str]
    said: str
    log: Path

    @property
    def url(self) -> str:
        """Of it."""
        found = re.search(r"https?://\S+:\d+", self.said)
        assert found is not None, (self.said, self.log.read_text())
        return found[0]

    @property
    def grpc_port(self) -> int:
        """Where it listens for gRPC."""
        found = re.search(r"gRPC: port (\d+)", self.said)
        assert found is not None, (self.said, self.log.read_text())
        return int(found[1])

    def client(self, **options: Any) -> httpx.Client:
        """Of it; it keeps its connection, however long it asks nothing."""
        kept = httpx.Limits(keepalive_expiry=None)
        return httpx.Client(
            base_url=self.url, timeout=PATIENCE, trust_env=False, limits=kept, **options
        )

    def told(self, words: str) -> None:
        """Wait until the log says so."""
        until(lambda: words in self.log.read_text())


@contextmanager
def serving(folder: Path, *arguments: object, **environment: str) -> Iterator[Server]:
    """`trtasync serve` with these arguments, at any port; killed at the end if it still runs."""
    command = [sys.executable, "-m", "trtasync", "serve", *map(str, arguments)]
    if "--port" not in command:
        command += ["--port", "0"]
    log = folder / "log"
    # of its own, for engines' processes; short, as the paths of sockets must be
    rundir = tempfile.TemporaryDirectory(prefix="serve-")
    with (
        rundir as place,
        log.open("w") as errors,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "", VARIABLE: place, **environment},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            preexec_fn=heed_sigint,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            yield Server(process, process.stdout.readline() + process.stdout.readline(), log)
        finally:
            process.kill()


def ask(client: httpx.Client, model: str = "m", token: str | None = None) -> httpx.Response:
    """One row."""
    given = {"name": "x", "datatype": "FP32", "shape": [1, len(X)], "data": X}
    headers = {} if token is None else {"authorization": token}
    return client.post(f"/v2/models/{model}/infer", json={"inputs": [given]}, headers=headers)


def factor_of(response: httpx.Response) -> float:
    """Of the model that answered."""
    assert response.status_code == 200, response.text
    (output,) = response.json()["outputs"]
    (factor,) = {y / x for x, y in zip(X, output["data"], strict=True)}
    return float(factor)


def children(pid: int) -> set[int]:
    """Of a process."""
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def until(condition: Callable[[], bool]) -> None:
    """Wait for what happens in another process."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
