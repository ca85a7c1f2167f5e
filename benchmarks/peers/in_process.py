"""One sample of a peer in this process: `python -m benchmarks.peers.in_process '<order as JSON>'`.

The order: `system` (a key of `callables.OPEN`), `seconds` by number of callers, `warm_up`.
"""

import asyncio
import json
import os
import sys
from typing import Any

from benchmarks.load import Sample, check_many, closed_loop
from benchmarks.peers.callables import OPEN
from benchmarks.peers.processes import cpu_below
from benchmarks.peers.reasons import told


async def measure(system: str, seconds: dict[int, float], warm_up: float) -> dict[int, Sample]:
    """Check every caller's answer, then load; child processes' CPU counts as well."""
    samples: dict[int, Sample] = {}
    async with OPEN[system]() as infer:
        await check_many("asyncio", infer, max(seconds))
        for callers, length in seconds.items():
            await closed_loop("asyncio", infer, callers, warm_up)
            children = cpu_below(os.getpid())
            sample = await closed_loop("asyncio", infer, callers, length)
            children = cpu_below(os.getpid()) - children
            sample["cpu_us"] += children / sample["requests"] * 1e6
            if sample["foreign_cores"] is not None:
                children_cores = children / sample["seconds"]
                sample["foreign_cores"] = max(0.0, sample["foreign_cores"] - children_cores)
            samples[callers] = sample
    return samples


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
