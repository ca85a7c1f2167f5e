"""A double of `cuda.bindings.runtime`: the same functions, parameters, enums and return convention.

The enums and constants are the genuine ones (the package imports without a driver); the functions
act on `support.doubles.world.current()`.
"""
# ruff: noqa: N802 - the genuine names

from cuda.bindings import runtime as _genuine  # noqa: TID253 - the double of it

from support.doubles.cuda_calls import call as _call
from support.doubles.cuda_calls import (
    cudaGetDriverEntryPointByVersion as cudaGetDriverEntryPointByVersion,
)
from support.doubles.cuda_calls import cudaGetErrorName as cudaGetErrorName
from support.doubles.cuda_calls import cudaGetErrorString as cudaGetErrorString
from support.doubles.cuda_calls import cudaGetLastError as cudaGetLastError
from support.doubles.cuda_calls import cudaPeekAtLastError as cudaPeekAtLastError
from support.doubles.cuda_memory import cudaFree as cudaFree
from support.doubles.cuda_memory import cudaFreeHost as cudaFreeHost
from support.doubles.cuda_memory import cudaHostAlloc as cudaHostAlloc
from support.doubles.cuda_memory import cudaHostRegister as cudaHostRegister
from support.doubles.cuda_memory import cudaHostUnregister as cudaHostUnregister
from support.doubles.cuda_memory import cudaMalloc as cudaMalloc
from support.doubles.cuda_memory import cudaMemcpyAsync as cudaMemcpyAsync
from support.doubles.cuda_memory import cudaMemcpyAttributes as cudaMemcpyAttributes
from support.doubles.cuda_memory import cudaMemcpyBatchAsync as cudaMemcpyBatchAsync
from support.doubles.cuda_memory import cudaMemGetInfo as cudaMemGetInfo
from support.doubles.cuda_memory import cudaMemsetAsync as cudaMemsetAsync
from support.doubles.cuda_memory import cudaPointerGetAttributes as cudaPointerGetAttributes
from support.doubles.cuda_streams import cudaEventCreateWithFlags as cudaEventCreateWithFlags
from support.doubles.cuda_streams import cudaEventDestroy as cudaEventDestroy
from support.doubles.cuda_streams import cudaEventElapsedTime as cudaEventElapsedTime
from support.doubles.cuda_streams import cudaEventQuery as cudaEventQuery
from support.doubles.cuda_streams import cudaEventRecord as cudaEventRecord
from support.doubles.cuda_streams import cudaEventSynchronize as cudaEventSynchronize
from support.doubles.cuda_streams import cudaGraphDestroy as cudaGraphDestroy
from support.doubles.cuda_streams import cudaGraphExecDestroy as cudaGraphExecDestroy
from support.doubles.cuda_streams import cudaGraphInstantiate as cudaGraphInstantiate
from support.doubles.cuda_streams import cudaGraphLaunch as cudaGraphLaunch
from support.doubles.cuda_streams import cudaGraphUpload as cudaGraphUpload
from support.doubles.cuda_streams import cudaStreamBeginCapture as cudaStreamBeginCapture
from support.doubles.cuda_streams import cudaStreamCreateWithFlags as cudaStreamCreateWithFlags
from support.doubles.cuda_streams import cudaStreamDestroy as cudaStreamDestroy
from support.doubles.cuda_streams import cudaStreamEndCapture as cudaStreamEndCapture
from support.doubles.cuda_streams import cudaStreamIsCapturing as cudaStreamIsCapturing
from support.doubles.cuda_streams import cudaStreamQuery as cudaStreamQuery
from support.doubles.cuda_streams import cudaStreamSynchronize as cudaStreamSynchronize
from support.doubles.cuda_streams import cudaStreamWaitEvent as cudaStreamWaitEvent
from support.doubles.world import Refused as _Refused
from support.doubles.world import current as _current

_SUCCESS = _genuine.cudaError_t.cudaSuccess

for _name in (
    "cudaError_t",
    "cudaMemcpyKind",
    "cudaMemoryType",
    "cudaStreamCaptureMode",
    "cudaStreamCaptureStatus",
    "cudaMemcpySrcAccessOrder",
    "cudaDriverEntryPointQueryResult",
    "cudaStreamNonBlocking",
    "cudaEventDefault",
    "cudaEventBlockingSync",
    "cudaEventDisableTiming",
    "cudaHostAllocDefault",
    "cudaHostAllocPortable",
    "cudaHostRegisterPortable",
):
    globals()[_name] = getattr(_genuine, _name)


@_call
def cudaGetDeviceCount() -> int:
    world = _current()
    if not world.driver:
        raise _Refused("cudaErrorInsufficientDriver")
    if not world.devices:
        raise _Refused("cudaErrorNoDevice")
    return world.devices


@_call
def cudaDriverGetVersion() -> int:
    return _current().driver


@_call
def cudaRuntimeGetVersion() -> int:
    return 13000


@_call
def cudaSetDevice(device: int) -> None:
    world = _current()
    if not world.driver:
        raise _Refused("cudaErrorInsufficientDriver")
    if not 0 <= device < world.devices:
        raise _Refused("cudaErrorInvalidDevice")
    world.device = device


@_call
def cudaGetDevice() -> int:
    return _current().device


class _Properties:
    multiProcessorCount = 132  # noqa: N815 - the genuine name

    def __init__(self, name: str, capability: tuple[int, int]):
        self.name = name.encode()
        self.major, self.minor = capability


@_call
def cudaGetDeviceProperties(device: int) -> _Properties:
    return _Properties(_current().gpu, _current().capability)


@_call
def cudaDeviceSynchronize() -> None:
    world = _current()
    world.forbid_while_capturing()
    world.wait_all()
    if world.broken:
        raise _Refused(world.broken)
