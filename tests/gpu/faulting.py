"""A model that makes an illegal access, in a process: `python -m tests.gpu.faulting FOLDER`.

Prints what became of the requests as JSON; that it gets so far is the test.
"""

import asyncio
import json
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from support.gpu.kernels import POISON, faulty
from support.gpu.plans import opened, rows_plan, use_double

COLUMNS, STREAMS, NEIGHBOURS = 8, 2, 20


async def _outcome(engine: Any, value: int) -> str:
    x = np.full(COLUMNS, value, np.int32)
    try:
        answer = await asyncio.wait_for(engine.infer(x), 20)
    except Exception as error:
        return type(error).__name__
    return "right" if np.array_equal(answer, x + 1) else "wrong"


async def _refusal(engine: Any) -> str:
    try:
        await engine.infer(np.zeros(COLUMNS, np.int32))
    except Exception as error:
        return str(error)
    return ""


async def _opening(plan: bytes, folder: Path) -> str:
    try:
        async with opened(plan, folder, streams=1):
            return "opened"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


async def main(folder: Path) -> dict[str, Any]:
    """Good requests, a poisoned one among neighbours, and some after it."""
    plan = rows_plan(faulty(), COLUMNS)
    async with opened(plan, folder, streams=STREAMS, batch_sizes=[1, 8, 64]) as engine:
        before = [await _outcome(engine, value) for value in range(3)]
        requests = [POISON, *range(NEIGHBOURS)]
        during = await asyncio.gather(*(_outcome(engine, value) for value in requests))
        # every stream finds out by itself that the device is gone
        after = [await _outcome(engine, value) for value in range(2 * STREAMS)]
        streams = [stream.alive for stream in engine.statistics().streams]
        words = await _refusal(engine)
    reopened = await _opening(plan, folder)
    threads = [thread.name for thread in threading.enumerate() if "trtasync" in thread.name]
    return {
        "before": before,
        "during": during,
        "after": after,
        "words": words,
        "reopened": reopened,
        "streams": streams,
        "threads": threads,
    }


if __name__ == "__main__":
    use_double()
    sys.stdout.write(json.dumps(asyncio.run(main(Path(sys.argv[1])))) + "\n")
