"""One sample of a peer in this process: `python -m benchmarks.peers.in_process '<order as JSON>'`.

The order: `system` (a key of `callables.OPEN`), `seconds` by number of callers, `warm_up`.
"""

import asyncio
import json
import os
import sys
from typing import Any

from benchmarks.load import Sample, check, closed_loop, rows
from benchmarks.peers.callables import OPEN
from benchmarks.peers.processes import cpu_below
from benchmarks.peers.reasons import told


def children() -> float:
    """CPU seconds of this process's children."""
    return cpu_below(os.getpid())


async def measure(system: str, seconds: dict[int, float], warm_up: float) -> dict[int, Sample]:
    """Check every caller's answer, then load; child processes' CPU counts as well."""
    async with OPEN[system]() as infer:
        await check(infer, max(seconds))
        return {
            callers: await closed_loop(infer, rows(callers), length, warm_up, others=children)
            for callers, length in seconds.items()
        }


def main() -> None:
    """Do what the order on the command line says."""
    order: dict[str, Any] = json.loads(sys.argv[1])
    seconds = {int(callers): length for callers, length in order["seconds"].items()}
    try:
        samples = asyncio.run(measure(order["system"], seconds, order["warm_up"]))
    except Exception as error:
        sys.exit(told(error))
    print(json.dumps(samples), flush=True)


if __name__ == "__main__":
    main()
