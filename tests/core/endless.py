"""A model whose run takes as long as its input says, and programs that a Ctrl-C has to end."""

import sys
from pathlib import Path

import anyio
import numpy as np
import onnx
from onnx import TensorProto, helper

import trtasync
from trtasync import engine as engines

FOREVER = 10**15


def endless_model(path: Path) -> Path:
    """`x[N, 1] -> y[N, 1]`: x plus one, as often as the largest x of the batch says (int64)."""
    condition = helper.make_node("Identity", ["go_on"], ["go_on_after"])
    add = helper.make_node("Add", ["before", "one"], ["after"])
    body = helper.make_graph(
        [condition, add],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.INT64, ["N", 1]),
        ],
        [
            helper.make_tensor_value_info("go_on_after", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.INT64, ["N", 1]),
        ],
        [helper.make_tensor("one", TensorProto.INT64, [], [1])],
    )
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Loop", ["most", "", "x"], ["y"], body=body),
    ]
    graph = helper.make_graph(
        nodes,
        "endless",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["N", 1])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, ["N", 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


async def run_for_ever(path: str) -> None:
    """A program that waits for a run which does not end, and would wait for it after a Ctrl-C."""
    engines.ABORTING = 3600.0
    async with trtasync.open_engine(
        path, batching=False, backend="onnxruntime", loop_budget=0.0
    ) as engine:
        await engine.infer(np.array([[1]], np.int64))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(engine.infer, np.array([[FOREVER]], np.int64))
            while not engine.statistics().in_flight:  # noqa: ASYNC110 - it sets no event
                await anyio.sleep(0.001)
            sys.stdout.write("running\n")
            sys.stdout.flush()


def main(path: str, loop: str) -> None:
    """Run it on a loop."""
    backend, uvloop = ("asyncio", True) if loop == "uvloop" else (loop, False)
    options = {"use_uvloop": uvloop} if backend == "asyncio" else {}
    anyio.run(run_for_ever, path, backend=backend, backend_options=options)


if __name__ == "__main__":
    main(*sys.argv[1:])
