"""A host whose model runs on the GPU, in a process: `python -m tests.gpu.hosting SOCKET`.

Says "ready" when clients can come, and ends by an exception when the device is lost.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import anyio

from support.gpu.hardware import enter
from support.gpu.kernels import faulty
from support.gpu.plans import opened, rows_plan, use_double
from tests.gpu.asking import COLUMNS
from trtasync.host import serve


async def main(path: str) -> None:
    """Serve until the process is killed."""
    with tempfile.TemporaryDirectory() as folder:
        plan = rows_plan(faulty(), COLUMNS)
        async with (
            opened(plan, Path(folder), streams=2, batch_sizes=[1, 8, 64]) as engine,
            anyio.create_task_group() as tasks,
        ):
            await tasks.start(serve, {"rows": engine}, path)
            sys.stdout.write("ready\n")
            sys.stdout.flush()


if __name__ == "__main__":
    use_double()
    enter()
    asyncio.run(main(sys.argv[1]))
