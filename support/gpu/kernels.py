"""Real kernels for the double of TensorRT: exact functions of each row, compiled here with NVRTC.

The double's `execute_async_v3` calls `kernel(context, stream)`; these launch on that stream with
the context's addresses and shapes, so the engine's streams, copies, graphs and events are real.
Each function has a reference in numpy, bit-identical where it says so: a row that reads its
neighbour's bytes, stale bytes or half a copy cannot be right by accident.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from support.gpu.hardware import Array, call, driver, enter, gpu_of, load, on_gpu, put

Kernel = Callable[[Any, int], bool]
"""(execution context, stream handle) -> whether it was enqueued."""

COLUMNS, CLASSES = 3072, 10
"""The tiny model: one row of 12 KB times a matrix."""

THREADS = 128
STEPS = 99
"""Launches after the first, in the model of a hundred kernels."""

POISON = -666
"""The first number of a row at which the faulty kernel writes to nowhere."""

SOURCE = r"""
extern "C" {

// A hash of the row's bits that does not depend on the order of summing: exact in numpy too.
__device__ unsigned row_hash(const unsigned* row, int columns, unsigned* shared) {
    if (threadIdx.x == 0) *shared = 0u;
    __syncthreads();
    unsigned sum = 0u;
    for (int j = threadIdx.x; j < columns; j += blockDim.x)
        sum += row[j] * (2u * (unsigned)j + 1u);
    atomicAdd(shared, sum);
    __syncthreads();
    return *shared;
}

__global__ void rows_int(const unsigned* x, unsigned* y, int columns) {
    __shared__ unsigned shared;
    const unsigned* from = x + (size_t)blockIdx.x * columns;
    unsigned hash = row_hash(from, columns, &shared);
    for (int j = threadIdx.x; j < columns; j += blockDim.x)
        y[(size_t)blockIdx.x * columns + j] = from[j] * 3u + hash;
}

// Explicitly rounded: a fused multiply-add would differ from numpy in the last bit.
__global__ void rows_float(const float* x, float* y, int columns) {
    __shared__ unsigned shared;
    const float* from = x + (size_t)blockIdx.x * columns;
    unsigned hash = row_hash((const unsigned*)from, columns, &shared);
    float add = (float)(hash & 1023u);
    for (int j = threadIdx.x; j < columns; j += blockDim.x)
        y[(size_t)blockIdx.x * columns + j] = __fadd_rn(__fmul_rn(from[j], 3.0f), add);
}

__global__ void step_int(const unsigned* x, unsigned* y, int columns) {
    for (int j = threadIdx.x; j < columns; j += blockDim.x)
        y[(size_t)blockIdx.x * columns + j] += 1u;
}

__global__ void step_float(const float* x, float* y, int columns) {
    for (int j = threadIdx.x; j < columns; j += blockDim.x) {
        size_t at = (size_t)blockIdx.x * columns + j;
        y[at] = __fadd_rn(y[at], 1.0f);
    }
}

// One block per row, summed in an order that does not depend on how many rows there are.
__global__ void tiny(const float* x, const float* w, float* y, int columns) {
    __shared__ float partial[10][32];
    const float* from = x + (size_t)blockIdx.x * columns;
    float sum[10];
    #pragma unroll
    for (int c = 0; c < 10; ++c) sum[c] = 0.0f;
    for (int j = threadIdx.x; j < columns; j += blockDim.x) {
        float value = from[j];
        #pragma unroll
        for (int c = 0; c < 10; ++c) sum[c] = fmaf(value, w[c * columns + j], sum[c]);
    }
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    #pragma unroll
    for (int c = 0; c < 10; ++c) {
        for (int step = 16; step > 0; step >>= 1)
            sum[c] += __shfl_down_sync(0xffffffffu, sum[c], step);
        if (lane == 0) partial[c][warp] = sum[c];
    }
    __syncthreads();
    if (threadIdx.x < 10) {
        float total = 0.0f;
        for (int i = 0; i < warps; ++i) total += partial[threadIdx.x][i];
        y[(size_t)blockIdx.x * 10 + threadIdx.x] = total;
    }
}

// Like rows_int, but a row that starts with the poison writes where no memory is.
__global__ void faulty(const int* x, int* y, int columns) {
    const int* from = x + (size_t)blockIdx.x * columns;
    if (from[0] == -666) *(volatile int*)(size_t)16 = 1;
    for (int j = threadIdx.x; j < columns; j += blockDim.x)
        y[(size_t)blockIdx.x * columns + j] = from[j] + 1;
}

__global__ void spin(long long cycles) {
    long long end = clock64() + cycles;
    while (clock64() < end) { }
}

}
"""


def compile_source(source: str, architecture: str) -> bytes:
    """A CUBIN for an architecture such as "sm_90".

    Raises:
        RuntimeError: with the compiler's words.
    """
    nvrtc = load("cuda.bindings.nvrtc")
    program = call(nvrtc.nvrtcCreateProgram, source.encode(), b"kernels.cu", 0, [], [])
    options = [f"--gpu-architecture={architecture}".encode()]
    code = nvrtc.nvrtcCompileProgram(program, len(options), options)[0]
    if int(code):
        log = b" " * call(nvrtc.nvrtcGetProgramLogSize, program)
        call(nvrtc.nvrtcGetProgramLog, program, log)
        raise RuntimeError(log.decode(errors="replace"))
    binary = b" " * call(nvrtc.nvrtcGetCUBINSize, program)
    call(nvrtc.nvrtcGetCUBIN, program, binary)
    return bytes(binary)


@cache
def module(gpu: int = 0) -> Any:
    """All kernels above, loaded into a GPU's primary context; once per process and GPU."""
    api = driver()
    with on_gpu(gpu):
        device = call(api.cuCtxGetDevice)
        kinds = api.CUdevice_attribute
        major = call(
            api.cuDeviceGetAttribute, kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device
        )
        minor = call(
            api.cuDeviceGetAttribute, kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device
        )
        return call(api.cuModuleLoadData, compile_source(SOURCE, f"sm_{major}{minor}"))


@cache
def function(name: str, gpu: int = 0) -> Any:
    """One kernel, loaded now rather than at its first launch, which may be inside a capture."""
    api = driver()
    loaded = module(gpu)
    with on_gpu(gpu):
        found = call(api.cuModuleGetFunction, loaded, name.encode())
        if hasattr(api, "cuFuncLoad"):
            call(api.cuFuncLoad, found)
    return found


class Launch:
    """A kernel with its arguments, prepared once: launching it again costs one call.

    Like TensorRT's `execute_async_v3`, that call releases the GIL.
    """

    def __init__(
        self, name: str, blocks: int, *arguments: Any, threads: int = THREADS, gpu: int = 0
    ):
        """Args:
        name: of the kernel.
        blocks: of the grid.
        arguments: ctypes values, in the kernel's order.
        threads: per block.
        gpu: whose streams it is put on.
        """
        self._launch = driver().cuLaunchKernel
        self._function = function(name, gpu)
        self._size = (blocks, 1, 1, threads, 1, 1, 0)
        self._arguments = arguments  # the array below points into them
        pointers = [ctypes.addressof(argument) for argument in arguments]
        self._pointers = (ctypes.c_void_p * len(pointers))(*pointers)
        self._at = ctypes.addressof(self._pointers)

    def __call__(self, stream: int) -> bool:
        """Put it on a stream."""
        return not int(self._launch(self._function, *self._size, stream, self._at, 0)[0])


Prepare = Callable[[Any], list[Launch]]


class Launcher:
    """A kernel for the double: a list of launches per set of addresses and shapes."""

    LIMIT = 4096
    """Sets remembered; device inputs may come from ever new addresses."""

    def __init__(self, prepare: Prepare):
        """`prepare` makes the launches for a context as it is set now."""
        self._prepare = prepare
        self._known: dict[Any, list[Launch]] = {}

    def __call__(self, context: Any, stream: int) -> bool:
        """What the double calls."""
        key = situation(context)
        launches = self._known.get(key)
        if launches is None:
            if len(self._known) >= self.LIMIT:
                self._known.clear()
            launches = self._known[key] = self._prepare(context)
        return all(launch(stream) for launch in launches)


def situation(context: Any) -> tuple[Any, ...]:
    """Everything a launch depends on: addresses and shapes, hashable."""
    shapes = tuple((name, tuple(shape)) for name, shape in context._shapes.items())
    return tuple(context._addresses.items()), shapes


def _rows_and_columns(context: Any, name: str) -> tuple[int, int]:
    rows, *rest = context._shapes[name]
    return int(rows), int(np.prod(rest, dtype=np.int64))


def _elementwise(kernels: list[str], source: str, target: str) -> Launcher:
    def prepare(context: Any) -> list[Launch]:
        rows, columns = _rows_and_columns(context, source)
        arguments = (
            ctypes.c_void_p(context._addresses[source]),
            ctypes.c_void_p(context._addresses[target]),
            ctypes.c_int(columns),
        )
        gpu = gpu_of(context._addresses[target])
        return [Launch(kernel, rows, *arguments, gpu=gpu) for kernel in kernels]

    for kernel in kernels:
        function(kernel, 0)
    return Launcher(prepare)


def nvrtc_rows(
    dtype: Any = np.int32, source: str = "x", target: str = "y", steps: int = 0
) -> Kernel:
    """y[r, j] = x[r, j] * 3 + hash of row r (+ `steps`, one launch each); see `rows_reference`.

    Any number of axes after the first; they count as one.
    """
    kind = {"int32": "int", "float32": "float"}[np.dtype(dtype).name]
    return _elementwise([f"rows_{kind}", *[f"step_{kind}"] * steps], source, target)


def hundred_kernels(dtype: Any = np.int32) -> Kernel:
    """The same in a hundred launches: an enqueue that takes long, a graph that does not."""
    return nvrtc_rows(dtype, steps=STEPS)


def rows_reference(x: Array, steps: int = 0) -> Array:
    """What `nvrtc_rows` computes, to the last bit."""
    flat = np.ascontiguousarray(x).reshape(len(x), -1)
    bits = flat.view(np.uint32)
    weights = np.arange(flat.shape[1], dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    hashes = (bits * weights).sum(axis=1, dtype=np.uint32)[:, None]
    if flat.dtype == np.int32:
        found = (bits * np.uint32(3) + hashes + np.uint32(steps)).view(np.int32)
    else:
        found = flat * np.float32(3) + (hashes & np.uint32(1023)).astype(np.float32)
        for _ in range(steps):
            found = found + np.float32(1)
    return np.asarray(found).reshape(x.shape)


def faulty() -> Kernel:
    """y = x + 1; a row that starts with `POISON` makes an illegal access."""
    return _elementwise(["faulty"], "x", "y")


def tiny_weights() -> Array:
    """float32[3072, 10]."""
    return np.random.default_rng(7).standard_normal((COLUMNS, CLASSES), dtype=np.float32)


def tiny() -> Kernel:
    """y = x @ `tiny_weights()`, float32[n, 3072] -> float32[n, 10].

    A row gives the same bits in any batch; numpy sums in another order, so its answers are close
    but not equal.
    """
    enter()

    @cache
    def weights(gpu: int) -> int:
        with on_gpu(gpu):
            return put(np.ascontiguousarray(tiny_weights().T))  # lives as long as the process

    def prepare(context: Any) -> list[Launch]:
        gpu = gpu_of(context._addresses["x"])
        arguments = (
            ctypes.c_void_p(context._addresses["x"]),
            ctypes.c_void_p(weights(gpu)),
            ctypes.c_void_p(context._addresses["y"]),
            ctypes.c_int(COLUMNS),
        )
        return [Launch("tiny", int(context._shapes["x"][0]), *arguments, threads=256, gpu=gpu)]

    weights(0)

    function("tiny", 0)
    return Launcher(prepare)


def spin(stream: int, seconds: float) -> None:
    """Keep a stream busy for about this long (at 2 GHz)."""
    if not Launch("spin", 1, ctypes.c_longlong(int(seconds * 2e9)), threads=1)(stream):
        raise RuntimeError("the spin kernel was refused")
