"""The calls that one request makes: `python -m benchmarks.calls [--graphs] [--json]`.

A lone request on a warm, idle engine is profiled with `sys.setprofile` on the loop's thread, from
the call of `Engine.infer` to its return: reading it, putting it into a batch, the pump, the launch,
the delivery of its answer. It counts calls of `trtasync` functions written in Python:

- calls: frames entered. Resuming a coroutine or generator enters no new frame.
- functions: distinct ones among these, and files: those that define them.
- changes of file: calls whose predecessor in time was in another file.

Python 3.11 also calls comprehensions, as functions; later versions do not, so compare numbers of
the same version. Requests differ: a wake-up has to be set again, or a GPU is polled once more. The
most frequent profile is shown, with its share. On the CPU the model is that of
`benchmarks.overhead` in ONNX; with `--graphs` it runs on TensorRT lanes that replay CUDA graphs:
TensorRT is a double, and so is CUDA where there is no GPU.

On the tree before the requests' seam was redesigned (7041734, Python 3.11): 73 calls, 64 functions,
16 files and 52 changes of file on the CPU; 117, 86, 22 and 79 with graphs on the doubles.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np

import trtasync
from benchmarks.systems import COLUMNS, MAX_BATCH_SIZE, WEIGHTS, model
from trtasync.measure.machine import record

PACKAGE = Path(trtasync.__file__).parent
WARM_UP = 300
"""Requests; by then run times are known, so short batches run on the loop."""
REQUESTS = 50

Open = Callable[[], AbstractAsyncContextManager[trtasync.Engine]]


@dataclass(frozen=True, slots=True)
class Profile:
    """The functions that one request called, in order, each as (file, name)."""

    path: tuple[tuple[str, str], ...]

    @property
    def counts(self) -> dict[str, int]:
        """The four numbers; see this module's docstring."""
        files = [file for file, _ in self.path]
        return {
            "calls": len(self.path),
            "functions": len(set(self.path)),
            "files": len(set(files)),
            "changes_of_file": sum(one != other for one, other in pairwise(files)),
        }


class Profiler:
    """A profile function for `sys.setprofile` that records the code of every frame of
    `trtasync`."""

    def __init__(self) -> None:
        self._frames: list[FrameType] = []

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        # frames are kept, so seeing one again means a resumed coroutine, not a new frame
        ours = event == "call" and frame.f_code.co_filename.startswith(str(PACKAGE))
        if ours and all(frame is not known for known in self._frames):
            self._frames.append(frame)

    def profile(self) -> Profile:
        """What was recorded so far."""
        return Profile(tuple(_name(frame.f_code) for frame in self._frames))


def _name(code: CodeType) -> tuple[str, str]:
    return str(Path(code.co_filename).relative_to(PACKAGE)), code.co_qualname


async def profiles(opening: Open, requests: int = REQUESTS) -> Counter[Profile]:
    """Profile -> how many of the requests had it."""
    row = np.zeros(COLUMNS, np.float32)
    found: Counter[Profile] = Counter()
    async with opening() as engine:
        for _ in range(WARM_UP):
            await engine.infer(row)
        for _ in range(requests):
            await asyncio.sleep(0)  # what the previous request left for the loop to do
            profiler = Profiler()
            sys.setprofile(profiler)
            try:
                await engine.infer(row)
            finally:
                sys.setprofile(None)
            found[profiler.profile()] += 1
    return found


@asynccontextmanager
async def on_cpu() -> AsyncIterator[trtasync.Engine]:
    """ONNX Runtime."""
    from onnx import TensorProto, helper, numpy_helper, save_model

    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size])
        for name, size in zip("xy", WEIGHTS.shape, strict=True)
    )
    product = helper.make_node("MatMul", ["x", "weights"], ["y"])
    weights = numpy_helper.from_array(WEIGHTS, "weights")
    graph = helper.make_graph([product], "overhead", [x], [y], [weights])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "overhead.onnx"
        save_model(made, path)
        async with trtasync.open_engine(path, max_batch_size=MAX_BATCH_SIZE) as engine:
            yield engine


@asynccontextmanager
async def with_graphs() -> AsyncIterator[trtasync.Engine]:
    """TensorRT's double: on a GPU where there is one, else on the double of CUDA."""
    from support.gpu.hardware import gpus

    if gpus():
        from benchmarks.gpu.systems import ours
        from benchmarks.gpu.works import tiny_work
        from support.gpu.hardware import enter
        from support.gpu.plans import use_double

        use_double()
        enter()
        async with ours(tiny_work(), streams=2) as engine:
            yield engine
        return
    from support import doubles
    from support.doubles import models

    batches = [((1, COLUMNS), (MAX_BATCH_SIZE, COLUMNS), (MAX_BATCH_SIZE, COLUMNS))]
    x = models.Tensor("x", np.float32, (-1, COLUMNS), batches)
    y = models.Tensor("y", np.float32, (-1, WEIGHTS.shape[1]), infer=_answer_shape)
    plan = models.plan(models.Model("overhead", [x], [y], models.host_kernel(model)))
    with tempfile.TemporaryDirectory() as folder, doubles.install():
        path = Path(folder) / "overhead.plan"
        path.write_bytes(plan)
        async with trtasync.open_engine(path) as engine:
            yield engine


def _answer_shape(inputs: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
    return inputs["x"][0], WEIGHTS.shape[1]


def show(profile: Profile, share: float) -> None:
    """Print every call, with the files in the margin, and the counts."""
    before = ""
    for file, function in profile.path:
        print(f"{file if file != before else '':36}{function}")
        before = file
    counts = (f"{number} {name.replace('_', ' ')}" for name, number in profile.counts.items())
    print(f"\n{', '.join(counts)} ({share:.0%} of the requests)")


def main(arguments: list[str] | None = None) -> None:
    """Profile and print."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.calls",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--graphs", action="store_true", help="on TensorRT with CUDA graphs")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    options = parser.parse_args(arguments)
    found = asyncio.run(profiles(with_graphs if options.graphs else on_cpu))
    profile, times = found.most_common(1)[0]
    share = times / found.total()
    if not options.json:
        show(profile, share)
        return
    about: dict[str, Any] = {
        "backend": "tensorrt" if options.graphs else "onnxruntime",
        **record(()),
        "share": share,
    }
    print(json.dumps({**about, **profile.counts, **asdict(profile)}, indent=1))


if __name__ == "__main__":
    main()
