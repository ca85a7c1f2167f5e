"""When a thread is worth its overhead: runs of several lengths on the loop, in threads, by rule.

The model computes for a given time with the GIL released (a matrix product) and adds one. For every
length, number of callers and number of lanes the same load goes through an engine that may run
everything on the loop, one that may run nothing there, and the default one. Takes two minutes.
`python -m benchmarks.thread_hop [--quick]`.
"""

import argparse
import itertools
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

import trtasync
from benchmarks.load import closed_loop
from benchmarks.report import write
from trtasync.measure.runs import on_loop
from trtasync.measure.statistics import spread, tail
from trtasync.testing import FunctionBackend

Array = npt.NDArray[np.float32]

SIZES = (96, 160, 224, 288, 360)
CALLERS = (1, 8, 64)
STREAMS = (1, 2)
BUDGETS = {"loop": 1.0, "thread": 0.0, "rule": 0.001}
MAX_BATCH_SIZE = 8


def model(size: int) -> Callable[[Array], Array]:
    """A function that multiplies two size x size matrices and adds one to its input."""
    matrix = np.random.default_rng(0).random((size, size), dtype=np.float32)

    def run(x: Array) -> Array:
        np.matmul(matrix, matrix)
        answer: Array = x + 1
        return answer

    return run


def run_seconds(size: int) -> float:
    """How long one run takes by itself: the median of many."""
    run, row = model(size), np.zeros((1, 64), np.float32)
    times = []
    for _ in range(200):
        begin = time.perf_counter()
        run(row)
        times.append(time.perf_counter() - begin)
    return tail(sorted(times), 0.5)


async def sample(
    size: int, callers: int, streams: int, budget: float, seconds: float
) -> tuple[float, float]:
    """One engine, warmed up and measured: (requests/s, p50 in microseconds)."""
    spec = [trtasync.TensorSpec("x", np.dtype("float32"), ("N", 64))]
    backend = FunctionBackend(model(size), inputs=spec, outputs=spec)
    rows = [np.zeros(64, np.float32)] * callers
    async with trtasync.open_engine(
        backend, max_batch_size=MAX_BATCH_SIZE, streams=streams, loop_budget=budget
    ) as engine:
        found = await closed_loop(engine.infer, rows, seconds, warm_up=seconds / 5)
    return found["requests_per_second"], found["p50_us"]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="benchmarks.thread_hop", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, nothing written")
    options = parser.parse_args()
    rounds, seconds = (1, 0.1) if options.quick else (3, 0.4)
    lengths = {size: run_seconds(size) * 1e6 for size in SIZES}
    samples: list[dict[str, Any]] = []
    cells = itertools.product(range(rounds), SIZES, CALLERS, STREAMS, BUDGETS.items())
    for number, size, callers, streams, (mode, budget) in cells:
        one = partial(sample, size, callers, streams, budget, seconds)
        rate, p50 = on_loop("asyncio", one)
        samples.append(
            {
                "round": number, "run_us": round(lengths[size]),
                "callers": callers, "streams": streams, "mode": mode,
                "requests_per_s": rate, "p50_us": p50,
            }
        )  # fmt: skip
    summary = summarize(samples)
    for row in summary:
        print(row)
    if not options.quick:
        write("thread_hop", {"rounds": rounds, "seconds": seconds}, samples, {"rows": summary})


def summarize(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per condition the median requests/s of every mode, and the rule's ratio to the better one."""
    rows = []
    for key in dict.fromkeys((s["run_us"], s["callers"], s["streams"]) for s in samples):
        rates = {
            mode: spread(
                s["requests_per_s"]
                for s in samples
                if (s["run_us"], s["callers"], s["streams"]) == key and s["mode"] == mode
            )
            for mode in BUDGETS
        }
        best = max(rates["loop"]["median"], rates["thread"]["median"])
        rows.append(
            {
                "run_us": key[0], "callers": key[1], "streams": key[2], **rates,
                "rule_to_better": round(rates["rule"]["median"] / best, 2),
            }
        )  # fmt: skip
    return rows


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
