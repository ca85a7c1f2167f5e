"""The calls of the hot path, made without releasing the GIL.

`cuda.bindings` releases the GIL around every call. Beside a thread that computes in Python, it
takes a whole switch interval (5 ms) to get it back: 640 requests/s became 18 700 on an H200 when
these calls, of a microsecond each, kept it. So the driver's own functions are called through
`ctypes.PYFUNCTYPE`. Their addresses come from the runtime (`cudaGetDriverEntryPoint...`), so that
they belong to the very driver that it uses; if it returns none, the runtime's functions are used.
"""

import ctypes
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

_P, _SIZE = ctypes.c_void_p, ctypes.c_size_t

_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuGraphLaunch": (_P, _P),
    "cuEventRecord": (_P, _P),
    "cuEventQuery": (_P,),
    "cuMemcpyHtoDAsync": (_P, _P, _SIZE, _P),
    "cuMemcpyDtoHAsync": (_P, _P, _SIZE, _P),
}
_VERSION = 12000
"""The CUDA version whose variant of each symbol is asked for; both supported majors have it."""

_BATCH, _BATCH_VERSION = "cuMemcpyBatchAsync", 12080
_BATCH_SIGNATURE = (_P, _P, _P, _SIZE, _P, _P, _SIZE, _P, _P)
"""Came with CUDA 12.8. That variant also tells which copy failed, and CUDA 13's does not."""

CopyBatch = Callable[[list[int], list[int], list[int], int], int]
"""(targets, sources, bytes, stream), lists of equal length; gives CUDA's code."""


@dataclass(frozen=True, slots=True)
class FastCalls:
    """Handles and addresses are ints; every call returns CUDA's code, 0 for success.

    Attributes:
        graph_launch: (executable graph, stream).
        event_record: (event, stream).
        event_query: (event); 600 while it has not fired.
        copy_in: (device address, pinned host address, bytes, stream).
        copy_out: (pinned host address, device address, bytes, stream).
        copy_batch: several copies, of any direction; None where CUDA has no such call.
        enter: makes current in this thread the device that was current when these were created.
        keeps_gil: False if the runtime's functions had to be used.
    """

    graph_launch: Callable[[int, int], int]
    event_record: Callable[[int, int], int]
    event_query: Callable[[int], int]
    copy_in: Callable[[int, int, int, int], int]
    copy_out: Callable[[int, int, int, int], int]
    copy_batch: CopyBatch | None
    enter: Callable[[], int]
    keeps_gil: bool


def fast_calls(module: Any, device: int) -> FastCalls:
    """Return the driver's functions, or the runtime's. Call it where `device` is current."""
    found = {name: _entry_point(module, name) for name in _SIGNATURES}
    if all(found.values()):
        launch, record, query, copy_in, copy_out = (
            ctypes.PYFUNCTYPE(ctypes.c_int, *_SIGNATURES[name])(address)
            for name, address in found.items()
        )
        batch = _driver_batch(module) or _runtime_batch(module)
        enter = _enter(module, device)
        return FastCalls(launch, record, query, copy_in, copy_out, batch, enter, True)
    kinds = module.cudaMemcpyKind

    def copy(kind: Any) -> Callable[[int, int, int, int], int]:
        def call(target: int, source: int, size: int, stream: int) -> int:
            return int(module.cudaMemcpyAsync(target, source, size, kind, stream)[0])

        return call

    return FastCalls(
        lambda graph, stream: int(module.cudaGraphLaunch(graph, stream)[0]),
        lambda event, stream: int(module.cudaEventRecord(event, stream)[0]),
        lambda event: int(module.cudaEventQuery(event)[0]),
        copy(kinds.cudaMemcpyHostToDevice),
        copy(kinds.cudaMemcpyDeviceToHost),
        _runtime_batch(module),
        lambda: int(module.cudaSetDevice(device)[0]),
        False,
    )


class _Attributes(ctypes.Structure):
    """`CUmemcpyAttributes`: sources are read in stream order (work enqueued earlier may write
    them); no hints about where anything is."""

    _fields_ = [("order", ctypes.c_int), ("hints", ctypes.c_int * 4), ("flags", ctypes.c_uint)]


def _driver_batch(module: Any) -> CopyBatch | None:
    address = _entry_point(module, _BATCH, _BATCH_VERSION)
    if not address:
        return None
    call = ctypes.PYFUNCTYPE(ctypes.c_int, *_BATCH_SIGNATURE)(address)
    attributes, first, failed = _Attributes(order=1), ctypes.c_size_t(0), ctypes.c_size_t()
    rest = ctypes.byref(attributes), ctypes.byref(first), 1, ctypes.byref(failed)

    def copy_batch(targets: list[int], sources: list[int], sizes: list[int], stream: int) -> int:
        columns = array("Q", targets), array("Q", sources), array("Q", sizes)
        addresses = [column.buffer_info()[0] for column in columns]
        return int(call(*addresses, len(sizes), *rest, stream))

    return copy_batch


def _runtime_batch(module: Any) -> CopyBatch | None:
    call = getattr(module, "cudaMemcpyBatchAsync", None)
    if call is None:
        return None
    attributes = module.cudaMemcpyAttributes()
    attributes.srcAccessOrder = module.cudaMemcpySrcAccessOrder.cudaMemcpySrcAccessOrderStream

    def copy_batch(targets: list[int], sources: list[int], sizes: list[int], stream: int) -> int:
        count = len(sizes)
        return int(call(targets, sources, sizes, count, [attributes], [0], 1, stream)[0])

    return copy_batch


def _enter(module: Any, device: int) -> Callable[[], int]:
    """Return a call that makes current the runtime's own (primary) context of the device that is
    current now: the runtime follows the driver's current context."""
    ask, choose = (_entry_point(module, name) for name in ("cuCtxGetCurrent", "cuCtxSetCurrent"))
    context = _P()
    if ask and choose:
        ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_P))(ask)(ctypes.byref(context))
    if not context.value:
        return lambda: int(module.cudaSetDevice(device)[0])
    return partial(ctypes.PYFUNCTYPE(ctypes.c_int, _P)(choose), context.value)


def _entry_point(module: Any, name: str, version: int = _VERSION) -> int:
    """The address of a driver function, 0 if there is none."""
    ask = getattr(module, "cudaGetDriverEntryPointByVersion", None)
    if ask is None:
        return 0
    result = ask(name.encode(), version, 0)
    if int(result[0]) or len(result) < 3 or int(result[2]):
        return 0
    return int(result[1] or 0)
