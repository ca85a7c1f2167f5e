"""The classic first TensorRT program twice: in plain TensorRT, and in a few lines of trtasync.

    python -m examples.identity_network [--plan FILE] [--compute-capability X.Y]

One Identity layer on a float32 [-1, -1, -1] input. The plan is loaded if its file exists, built and
saved if not. Needs a GPU and the full TensorRT, 10 or 11, or TensorRT for RTX.

With a compute capability both halves build their plans for such a GPU, and run nothing: TensorRT
for RTX does that on any machine, without GPU, driver and CUDA.
"""

import argparse
import ctypes
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import numpy.typing as npt

import trtasync

Array = npt.NDArray[np.float32]

PLAN = Path(__file__).parent / ".cache" / "identity.plan"
MIN, OPT, MAX = (1, 1, 1), (3, 4, 5), (6, 7, 8)
X = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)
NO_GPU = 3
PLAN_OF_RTX = b"vtrt"


# -- trtasync --------------------------------------------------------------------------------------


def define(network: Any, trt: Any) -> None:
    """The network, in TensorRT's own calls. If one of them fails, the build says what and why."""
    x = network.add_input("x", trt.DataType.FLOAT, (-1, -1, -1))
    y = network.add_identity(x).get_output(0)
    y.name = "y"
    network.mark_output(y)


async def ours(path: Path) -> Array:
    """Build or load, and run."""
    if not await anyio.Path(path).exists():
        # With cache_key="identity" in place of output= the plan cache would do all this, and build
        # again by itself for another TensorRT or GPU.
        await our_plan(path)
    async with trtasync.open_engine(path) as engine:
        answer: Array = await engine.infer(X)
        return answer


async def our_plan(path: Path, capability: str | None = None) -> trtasync.Plan:
    """Build and save, for the GPU at hand or for another one."""
    return await trtasync.build_plan(
        define,
        profiles=trtasync.Profile({"x": trtasync.Shapes(MIN, OPT, MAX)}),
        builder_config=trtasync.BuilderConfig(compute_capabilities=capability and [capability]),
        output=path,
        cache=False,
    )


# -- plain TensorRT and cuda-python ----------------------------------------------------------------


def plain(path: Path) -> Array:
    """The same by hand."""
    from cuda.bindings import runtime as cuda

    # CUDA has to answer first: without a driver TensorRT's constructors can end the process
    call(cuda.cudaSetDevice, 0)
    trt = tensorrt()
    log = make_log(trt)
    if not path.exists():
        path.write_bytes(build(trt, log))
    runtime = trt.Runtime(log)
    engine = demand(log, runtime.deserialize_cuda_engine(path.read_bytes()))
    context = demand(log, engine.create_execution_context())
    with ExitStack() as closing:  # frees in reverse order, whatever fails
        return run(cuda, log, context, closing)


def tensorrt() -> Any:
    """The module: of TensorRT, or else of TensorRT for RTX."""
    try:
        return import_module("tensorrt")
    except ImportError:
        return import_module("tensorrt_rtx")


def plain_plan(path: Path, capability: str) -> None:
    """Build and save for a GPU that need not be there."""
    trt = import_module("tensorrt_rtx")
    path.write_bytes(build(trt, make_log(trt), capability))


def build(trt: Any, log: Any, capability: str = "") -> Any:
    """The serialized plan: a block of TensorRT's memory."""
    builder = trt.Builder(log)
    # 11 ignores the flag; from 10.12 on it says that types come from the network alone
    typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = demand(log, builder.create_network(typed))
    x = demand(log, network.add_input("x", trt.DataType.FLOAT, (-1, -1, -1)))
    y = demand(log, network.add_identity(x)).get_output(0)
    y.name = "y"
    network.mark_output(y)
    config = demand(log, builder.create_builder_config())
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1 << 30)
    if capability:
        kind = getattr(trt.ComputeCapability, f"SM{capability.replace('.', '')}")
        config.num_compute_capabilities = 1
        demand(log, config.set_compute_capability(kind, 0))
    profile = demand(log, builder.create_optimization_profile())
    profile.set_shape("x", MIN, OPT, MAX)  # raises by itself
    demand(log, config.add_optimization_profile(profile) >= 0)  # its index; -1 when refused
    return demand(log, builder.build_serialized_network(network, config))


def run(cuda: Any, log: Any, context: Any, closing: ExitStack) -> Array:
    """Copy in, execute, copy out."""
    # not the default stream: TensorRT would wait for the whole device
    stream = call(cuda.cudaStreamCreateWithFlags, cuda.cudaStreamNonBlocking)
    closing.callback(call, cuda.cudaStreamDestroy, stream)

    demand(log, context.set_input_shape("x", X.shape))
    demand(log, context.infer_shapes() == [])  # names of inputs whose shape is missing
    y_shape = tuple(context.get_tensor_shape("y"))
    host_x, device_x = buffers(cuda, closing, X.shape)
    host_y, device_y = buffers(cuda, closing, y_shape)
    demand(log, context.set_tensor_address("x", device_x))
    demand(log, context.set_tensor_address("y", device_y))

    host_x[...] = X
    kinds, copy = cuda.cudaMemcpyKind, partial(call, cuda.cudaMemcpyAsync)
    copy(device_x, host_x.ctypes.data, host_x.nbytes, kinds.cudaMemcpyHostToDevice, stream)
    demand(log, context.execute_async_v3(int(stream)))
    copy(host_y.ctypes.data, device_y, host_y.nbytes, kinds.cudaMemcpyDeviceToHost, stream)
    call(cuda.cudaStreamSynchronize, stream)
    return host_y.copy()  # the pinned memory goes when `closing` ends


def buffers(cuda: Any, closing: ExitStack, shape: Sequence[int]) -> tuple[Array, int]:
    """(pinned host memory as an array, address on the device) for a float32 tensor."""
    size = int(np.prod(shape)) * 4
    host = int(call(cuda.cudaHostAlloc, size, cuda.cudaHostAllocDefault))
    closing.callback(call, cuda.cudaFreeHost, host)
    device = int(call(cuda.cudaMalloc, size))
    closing.callback(call, cuda.cudaFree, device)
    raw: Any = (ctypes.c_uint8 * size).from_address(host)
    return np.frombuffer(raw, np.float32).reshape(tuple(shape)), device


def call(function: Any, *arguments: Any) -> Any:
    """cuda-python never raises: it returns (code,) or (code, value)."""
    code, *values = function(*arguments)
    if int(code):
        raise RuntimeError(f"{function.__name__}: {code}")
    return values[0] if values else None


def demand(log: Any, answer: Any) -> Any:
    """TensorRT hardly ever raises: it returns None or False, and its log says why."""
    if answer is None or answer is False:
        raise RuntimeError(f"TensorRT refused: {log.last}")
    return answer


def make_log(trt: Any) -> Any:
    """A logger that keeps the last error for `demand`. TensorRT listens to the first logger of a
    process only: beside trtasync, use `trtasync.plans.Phases().logger`."""

    class Log(trt.ILogger):  # type: ignore[misc]  # a base known at run time only
        def __init__(self) -> None:
            trt.ILogger.__init__(self)  # pybind11 demands the direct call
            self.last = "it gave no reason"

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                self.last = msg

    return Log()


# --------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Both halves, each with a plan file of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--plan", type=Path, default=PLAN, metavar="FILE", help="FILE.plan")
    parser.add_argument("--compute-capability", metavar="X.Y", help="build for it; run nothing")
    options = parser.parse_args(arguments)
    options.plan.parent.mkdir(parents=True, exist_ok=True)
    by_hand = options.plan.with_stem(f"{options.plan.stem}-plain")
    try:
        if options.compute_capability is None:
            compare(options.plan, by_hand)
        else:
            build_both(options.plan, by_hand, options.compute_capability)
    except trtasync.BackendUnavailable as error:
        print(error, file=sys.stderr)
        return NO_GPU
    return 0


def compare(path: Path, by_hand: Path) -> None:
    """Run both."""
    answer = anyio.run(ours, path)
    print(answer)
    print(f"plain TensorRT gives the same: {np.array_equal(answer, plain(by_hand))}")


def build_both(path: Path, by_hand: Path, capability: str) -> None:
    """Build both for a kind of GPU, and read the files again."""
    plan = anyio.run(our_plan, path, capability)
    plain_plan(by_hand, capability)
    print(f"for {plan.gpu}, by TensorRT for RTX {plan.tensorrt}:")
    for each in (path, by_hand):
        content = each.read_bytes()
        print(f"{each.name}: {len(content)} bytes, a plan: {content.startswith(PLAN_OF_RTX)}")


if __name__ == "__main__":
    sys.exit(main())
