"""Programs on a machine that is full, and one that is interrupted; run as children of tests."""

import os
import resource
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import numpy as np

from support.helpers import MODELS, row, same, tensor
from trtasync import InvalidInput, TrtasyncError, open_engine
from trtasync.runtimes import OpenLane
from trtasync.runtimes.onnxruntime import load
from trtasync.testing import FunctionBackend

NOBODY = 65534
"""A user who runs nothing."""

GATHER = MODELS / "gather.onnx"

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


@contextmanager
def no_more_files(but: int = 0) -> Iterator[None]:
    """Every descriptor that the process may have, but so many, is taken in the block."""
    used = max(int(link.name) for link in Path("/proc/self/fd").iterdir())
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, hard))
    with ExitStack() as held:
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (before, hard))
        with suppress(OSError):
            while True:
                held.enter_context(Path("/dev/null").open("rb"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1 + but, hard))
        yield


@contextmanager
def no_more_threads() -> Iterator[None]:
    """None is started in the block. Root, who has no such limit, becomes somebody else for good."""
    if os.getuid() == 0:
        os.setuid(NOBODY)
    before, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (1, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NPROC, (before, hard))


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
    async with open_engine(FunctionBackend(np.copy, inputs=[X], outputs=[Y])) as engine:
        async with open_engine(GATHER, backend="onnxruntime"):
            pass  # everything is imported
        with no_more_files():
            try:
                await open_engine(GATHER, backend="onnxruntime")
            except TrtasyncError as error:
                say(type(error).__name__)
            say(str(same(await engine.infer(row(1)), row(1))))


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


async def many_threads() -> None:
    """Wants more threads in ONNX Runtime than there are addresses for; with one it opens."""
    async with open_engine(GATHER, backend="onnxruntime"):
        pass  # everything is imported
    limit_addresses(1 << 30)
    try:
        await open_engine(GATHER, backend="onnxruntime", threads=100)
    except InvalidInput as error:
        say(f"{error.name} {error.got}")
    async with open_engine(GATHER, backend="onnxruntime", threads=1):
        say("open")


async def no_threads() -> None:
    """Can start no thread: what needs one is refused, the rest goes on, and closing needs none."""
    model = GATHER.read_bytes()
    async with open_engine(model, backend="onnxruntime"):
        pass  # everything is imported
    fake = FunctionBackend(np.copy, inputs=[X], outputs=[Y])
    async with open_engine(fake, loop_budget=0.0) as engine:
        with no_more_threads():
            for ask in (lambda: engine.infer(row(1)), lambda: open_engine(model)):
                try:
                    await ask()
                except TrtasyncError as error:
                    say(type(error).__name__)
            try:
                load(model, threads=2)
            except InvalidInput as error:
                say(f"{error.name} {error.expected}")
        say(str(same(await engine.infer(row(2)), row(2))))
        with no_more_threads():
            await engine.aclose()
    say("closed" if "trtasync" not in str(threading.enumerate()) else "left")


def main(program: str, loop: str) -> None:
    """Run a program on a loop."""
    options: dict[str, Any] = {} if loop == "trio" else {"use_uvloop": loop == "uvloop"}
    backend = "trio" if loop == "trio" else "asyncio"
    anyio.run(globals()[program], backend=backend, backend_options=options)
    say("ended")


if __name__ == "__main__":
    main(*sys.argv[1:])
