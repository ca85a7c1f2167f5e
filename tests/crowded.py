"""Programs on a machine that is full, and one that is interrupted; run as children of tests."""

import resource
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import anyio
import numpy as np

from support.helpers import MODELS, row, same, tensor
from trtasync import InvalidInput, TrtasyncError, open_engine
from trtasync.runtimes import OpenLane
from trtasync.testing import FunctionBackend

X, Y = tensor("x", "N", "n"), tensor("y", "N", "n")


def say(text: str) -> None:
    """To the test."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class SlowToOpen(FunctionBackend):
    """Opens when the test says so, and tells when it is closed."""

    def open(
        self, streams: int, max_batch_size: int, batch_sizes: Sequence[int] = ()
    ) -> Sequence[OpenLane]:
        """Wait for a line."""
        say("opening")
        sys.stdin.readline()
        return super().open(streams, max_batch_size, batch_sizes)

    def close(self) -> None:
        """Tell."""
        say("closed")


def use_up_files() -> list[BinaryIO]:
    """Files that take every descriptor there is."""
    used = max(int(link.name) for link in Path("/proc/self/fd").iterdir())
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, hard))
    held: list[BinaryIO] = []
    with suppress(OSError):
        while True:
            held.append(Path("/dev/null").open("rb"))  # noqa: SIM115 - until there are none
    return held


def limit_addresses(more: int) -> None:
    """So many bytes from now on."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


async def opening() -> None:
    """Is interrupted while it opens a model."""
    async with open_engine(SlowToOpen(np.copy, inputs=[X], outputs=[Y])):
        say("open")


async def no_files() -> None:
    """Has no file descriptor left; what is open goes on, and closes."""
    path = next(iter(sorted(MODELS.glob("*.onnx"))))
    async with open_engine(FunctionBackend(np.copy, inputs=[X], outputs=[Y])) as engine:
        async with open_engine(path, backend="onnxruntime"):
            pass  # everything is imported
        held = use_up_files()
        try:
            await open_engine(path, backend="onnxruntime")
        except TrtasyncError as error:
            say(type(error).__name__)
        say(str(same(await engine.infer(row(1)), row(1))))
        for file in held:
            file.close()


async def little_memory() -> None:
    """May have 256 MB of addresses more; a large row is refused, and a small one is answered."""
    async with open_engine(FunctionBackend(np.copy, inputs=[X], outputs=[Y])) as engine:
        await engine.infer(row(1))
    limit_addresses(256 << 20)
    async with open_engine(FunctionBackend(np.copy, inputs=[X], outputs=[Y])) as engine:
        try:
            await engine.infer(np.broadcast_to(np.float32(1), (16 << 20,)))
        except InvalidInput as error:
            say(type(error).__name__)
        say(str(same(await engine.infer(row(1)), row(1))))
    unlimited = FunctionBackend(np.copy, inputs=[X], outputs=[Y])
    async with open_engine(unlimited, max_row_bytes=1 << 40) as engine:
        try:
            await engine.infer(np.broadcast_to(np.float32(1), (64 << 20,)))
        except TrtasyncError as error:
            say(type(error).__name__)
        say(str(same(await engine.infer(row(1)), row(1))))


def main(program: str, loop: str) -> None:
    """Run a program on a loop."""
    options: dict[str, Any] = {} if loop == "trio" else {"use_uvloop": loop == "uvloop"}
    backend = "trio" if loop == "trio" else "asyncio"
    anyio.run(globals()[program], backend=backend, backend_options=options)
    say("ended")


if __name__ == "__main__":
    main(*sys.argv[1:])
