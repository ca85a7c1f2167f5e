"""The model without anybody in front of it: `python -m benchmarks.recogniser.plain '<plan>'`.

Full batches in a loop for many callers, single rows for one. Latencies are those of batches.
"""

import anyio.lowlevel
import numpy as np

from benchmarks.load import Sample, closed_loop, rows
from benchmarks.worker import Plan, run
from benchmarks.works import work
from benchmarks.yardsticks import Array


async def plain(plan: Plan) -> dict[int, Sample]:
    """A sample for each number of callers, as if so many had asked."""
    return {
        callers: await _batches(min(callers, work().max_batch_size), seconds, plan.warm_up)
        for callers, seconds in plan.seconds.items()
    }


async def _batches(size: int, seconds: float, warm_up: float) -> Sample:
    model = work().model
    batch = np.stack(rows(size, columns=work().columns))

    async def once(batch: Array) -> None:
        model(batch)
        await anyio.lowlevel.checkpoint()  # the loop has to see that the time is up

    sample = await closed_loop(once, [batch], seconds, warm_up)
    sample["requests"] *= size
    sample["requests_per_second"] *= size
    sample["cpu_us"] /= size
    return sample


if __name__ == "__main__":
    run(plain)
