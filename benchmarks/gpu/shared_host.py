"""A host with ResNet-50 on the double: `python -m benchmarks.gpu.shared_host SOCKET DTYPE`.

Prints "ready" when clients can connect, and ends on SIGTERM.
"""

import signal
import sys
from functools import partial

import anyio

from benchmarks.gpu.shared import LOOP, STREAMS
from benchmarks.gpu.systems import ours
from benchmarks.gpu.works import Work, resnet_work
from support.gpu.hardware import enter
from support.gpu.plans import use_double
from support.gpu.resnet import ResNet50
from trtasync.host import serve
from trtasync.measure.runs import on_loop


async def run(work: Work, path: str) -> None:
    """Serve it until a signal comes."""
    stop = anyio.Event()
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async with ours(work, STREAMS) as engine, anyio.create_task_group() as group:
            await group.start(partial(serve, {"resnet": engine}, path, stop=stop))
            print("ready", flush=True)
            async for _ in signals:
                stop.set()
                break


def main() -> None:
    """Do what the command line says."""
    path, dtype = sys.argv[1:]
    use_double()
    enter()
    model = ResNet50()
    on_loop(LOOP, lambda: run(resnet_work(model, dtype), path))
    model.close()


if __name__ == "__main__":
    main()
