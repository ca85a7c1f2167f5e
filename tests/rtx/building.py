"""`python -m tests.rtx.building MODEL PLAN TRIES`: a large model is built again and again, watched.

In a process of its own, whose memory is nobody else's. It prints what the best try has come to as
JSON: a machine that is busy with something else makes a try worse, and never better.
"""

import json
import re
import shutil
import sys
import time
from pathlib import Path

import anyio

from tests.genuine.library import installed
from trtasync import BuilderConfig, build_plan

ADA = BuilderConfig(compute_capabilities=["8.9"])

SHORT = 0.05
"""Seconds; a delay below is good enough, and no further try is needed."""


def memory(what: str) -> int:
    """Bytes that this process has in memory ("VmRSS"), or has had at most ("VmHWM")."""
    (kilobytes,) = re.findall(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) << 10


def forget_peak() -> None:
    """From now on "VmHWM" counts anew."""
    Path("/proc/self/clear_refs").write_text("5")


async def longest_delay(delays: list[float]) -> None:
    """How much later than asked this task of the loop is woken, at worst; as far as this thread did
    not wait for a processor, and other threads of this process had one: they have the GIL then."""
    while True:
        asked, others, before = time.perf_counter() + 0.001, of_others(), in_line()
        await anyio.sleep(0.001)
        late, computed = time.perf_counter() - asked, of_others() - others
        delays[0] = max(delays[0], min(late - (in_line() - before), computed))


def of_others() -> float:
    """Seconds that all threads but this one have computed."""
    return time.process_time() - time.thread_time()


def in_line() -> float:
    """Seconds for which this thread could have run, and somebody else had the processor."""
    _, nanoseconds, _ = Path("/proc/thread-self/schedstat").read_text().split()
    return int(nanoseconds) / 1e9


async def build(model: Path, plan: Path) -> tuple[float, int]:
    """Seconds of the loop's longest delay, and bytes that it took beside what was there."""
    cache, before, delays = plan.parent / "cache", memory("VmRSS"), [0.0]
    forget_peak()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(longest_delay, delays)
        await build_plan(model, output=plan, cache=cache, builder_config=ADA)
        tasks.cancel_scope.cancel()
    shutil.rmtree(cache)
    return delays[0], memory("VmHWM") - before


async def main(model: Path, plan: Path, tries: int) -> None:
    """Print the least delay and the least memory."""
    found: list[tuple[float, int]] = []
    while len(found) < tries and not (found and min(found)[0] < SHORT):
        found.append(await build(model, plan))
    delays, bytes_taken = zip(*found, strict=True)
    print(json.dumps({"delay": min(delays), "bytes": min(bytes_taken)}))  # noqa: T201 - its purpose


if __name__ == "__main__":
    with installed():
        anyio.run(main, Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
