"""ResNet-50 under many requests at once: on TensorRT with a GPU, on ONNX Runtime without.

    python -m examples.resnet50            # seconds on a CPU; on a GPU the first build takes longer
    python -m examples.resnet50 --small    # a tiny relative of it, in a second

The network comes from torchvision if that is installed, else it is written node by node. Either way
its weights are random: this shows the way and the speed, and no picture is recognised.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

import anyio
import anyio.to_thread
import numpy as np

import trtasync
from examples.models.graphs import write_resnet

CACHE = Path(__file__).parent / ".cache"


@dataclass(frozen=True)
class Scale:
    """How much of it.

    Attributes:
        size: rows and columns of an image.
        requests: at once, on a GPU and on a CPU.
    """

    size: int = 224
    requests: tuple[int, int] = (2048, 32)


FULL, SMALL = Scale(), Scale(size=64, requests=(32, 32))


def write_model(scale: Scale) -> Path:
    """The ONNX file, [N, 3, size, size] -> [N, 1000]."""
    CACHE.mkdir(exist_ok=True)
    path = CACHE / ("resnet50.onnx" if scale is FULL else "resnet-small.onnx")
    if scale is SMALL:
        write_resnet(path, stages=(1, 1, 1, 1), width=8, size=scale.size)
        by = "a small relative, written by onnx.helper"
    else:
        by = export(path)
    print(f"{path.name}: {by}; the weights are random, so what it says means nothing")
    return path


def export(path: Path) -> str:
    """Writes ResNet-50; returns by what."""
    try:
        torch, vision = import_module("torch"), import_module("torchvision")
    except ImportError:
        write_resnet(path)
        return "written by onnx.helper"
    torch.manual_seed(0)
    torch.onnx.export(
        vision.models.resnet50(weights=None).eval(),
        (torch.zeros(1, 3, 224, 224),),
        str(path),
        input_names=["image"],
        output_names=["scores"],
        dynamic_axes={"image": {0: "N"}, "scores": {0: "N"}},
        dynamo=False,  # the other exporter wants one more package, onnxscript
    )
    return f"exported by torch {torch.__version__}"


def show(news: trtasync.BuildProgress) -> None:
    """A line for each phase of the build that begins."""
    if not news.step and not news.finished:
        print(f"  {news.parent or 'build'}: {news.phase}")


async def open_somewhere(model: Path, scale: Scale) -> tuple[Any, int]:
    """(the engine, still to be entered; how many requests it is for)."""
    row = f"3x{scale.size}x{scale.size}"
    on_gpu, on_cpu = scale.requests
    try:
        plan = await trtasync.build_plan(
            model,
            profiles=f"image:1x{row}/16x{row}/64x{row}",
            cache=CACHE,
            progress=show,
        )
    except trtasync.BackendUnavailable as error:
        print(f"on the CPU: {error}")
        return trtasync.open_engine(model, backend="onnxruntime"), on_cpu
    how = "from the cache" if plan.cached else f"built in {plan.seconds:.0f} s"
    print(f"on {plan.gpu}, TensorRT {plan.tensorrt}; the plan: {how}")
    return trtasync.open_engine(plan, streams=3), on_gpu


async def main(scale: Scale) -> None:
    """Open the model, ask, and tell how fast it was."""
    model = await anyio.to_thread.run_sync(write_model, scale)
    opening, requests = await open_somewhere(model, scale)
    image = np.random.default_rng(0).random((3, scale.size, scale.size), np.float32)
    async with opening as engine:
        scores = await engine.infer(image)  # the first run is slower
        began = perf_counter()
        async with anyio.create_task_group() as tasks:
            for _ in range(requests):
                tasks.start_soon(engine.infer, image)
        seconds = perf_counter() - began
        sizes = engine.statistics().batch_sizes
    print(f"one answer: {scores.shape} {scores.dtype}, finite: {np.isfinite(scores).all()}")
    print(f"{requests} requests at once: {requests / seconds:,.0f} per second")
    print("rows in a batch:", ", ".join(f"{n} ({times} x)" for n, times in sorted(sizes.items())))


def command_line(arguments: Sequence[str] | None = None) -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--small", action="store_true", help="a tiny network, in a second")
    anyio.run(main, SMALL if parser.parse_args(arguments).small else FULL)


if __name__ == "__main__":
    command_line()
