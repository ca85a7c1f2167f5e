"""The front door: arguments checked, backend chosen, model loaded off the loop, engine made."""

import logging
import math
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from trtasync.backends import Backend, OpenLane
from trtasync.batching import PolicyOptions
from trtasync.engine import Engine
from trtasync.errors import BackendUnavailable, InvalidInput, PlanError
from trtasync.loops import in_thread
from trtasync.tensors import Pad

log = logging.getLogger("trtasync")

BackendName = Literal["auto", "tensorrt", "onnxruntime"]

_PLAN_SUFFIXES = {".plan", ".engine"}
_BACKEND_NAMES = ("spec", "admit", "default_batch_sizes", "open", "close")

LEAD = 0.0005
"""Seconds before the predicted end of a batch at which the next is enqueued behind it on the same
stream: late enough to let it grow, early enough to leave no gap (alarms ring late)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What `open_engine` was asked for."""

    model: Any
    backend: str
    devices: Sequence[int] | None
    streams: int | None
    threads: int | None
    max_batch_size: int | None
    batch_sizes: Sequence[int] | None
    max_queue_delay: float
    preferred_batch_size: Sequence[int] | None
    max_queue_size: int
    padding: Mapping[str, Pad] = field(default_factory=dict)
    loop_budget: float
    graphs: bool
    copy_threads: int | None
    inline_bytes: int | None


@asynccontextmanager
async def open_engine(
    model: str | os.PathLike[str] | Backend,
    *,
    backend: BackendName = "auto",
    devices: Sequence[int] | None = None,
    streams: int | None = None,
    max_batch_size: int | None = None,
    batch_sizes: Sequence[int] | None = None,
    max_queue_delay: float = 0.0,
    preferred_batch_size: Sequence[int] | None = None,
    max_queue_size: int = 4096,
    padding: Mapping[str, Pad] | None = None,
    threads: int | None = None,
    loop_budget: float = 0.001,
    graphs: bool = True,
    copy_threads: int | None = None,
    inline_bytes: int | None = None,
) -> AsyncIterator[Engine]:
    """Open a model and give an `Engine` for the length of an `async with`.

    Leaving the block drains the engine (everything accepted is answered); leaving it by an
    exception aborts it. Both leave no thread behind.

    Args:
        model: path of an `.onnx` file or of a TensorRT plan (`.plan`, `.engine`), or an object that
            implements `trtasync.backends.Backend`.
        backend: "onnxruntime", "tensorrt", or "auto": what suits the file and this machine.
        devices: GPU indices, default [0]; must be None on the CPU.
        streams: lanes, each running its own batches; on a GPU a CUDA stream each, so many on every
            device. Default: 1 on the CPU, 2 on a GPU.
        max_batch_size: rows of the largest batch. Default: 8 on the CPU, where large batches help
            few models and delay every caller; the largest profile of a plan.
        batch_sizes: the only batch sizes run; smaller batches are padded up. Default: any size on
            the CPU; 1, 2, 4 ... max_batch_size on a GPU, each with its own execution context.
        max_queue_delay: seconds. 0 (default): a batch goes as soon as the device can use it. Above
            0: Triton's rule instead: a batch waits for a preferred size or for this long, even on
            an idle device.
        preferred_batch_size: with `max_queue_delay`: sizes that go at once. Default: the largest.
        max_queue_size: rows that may wait; more raise `QueueFull`.
        padding: input name -> `Pad`, so that different lengths share a batch.
        threads: CPU threads per run. Default: the cores this process may use, divided by `streams`.
        loop_budget: seconds a run may take on the event loop itself. A run measured to be shorter
            is not worth a thread hop; 0 keeps every run off the loop.
        graphs: on a GPU, capture a CUDA graph for every batch size at warm-up.
        copy_threads: on a GPU, threads that copy large requests into pinned memory, for all lanes
            together. Default: a quarter of the cores, 4 at most.
        inline_bytes: on a GPU, requests up to this size are copied by the event loop itself.
            Default: 64 KiB.

    Raises:
        InvalidInput: an argument makes no sense.
        BackendUnavailable: the backend's package, driver or device is missing.
        PlanError: the model cannot be read or batched.
    """
    request = _Request(
        model=model,
        backend=backend,
        devices=devices,
        streams=streams,
        threads=threads,
        max_batch_size=max_batch_size,
        batch_sizes=batch_sizes,
        max_queue_delay=max_queue_delay,
        preferred_batch_size=preferred_batch_size,
        max_queue_size=max_queue_size,
        padding=padding or {},
        loop_budget=loop_budget,
        graphs=graphs,
        copy_threads=copy_threads,
        inline_bytes=inline_bytes,
    )
    _check(request)
    opened = await in_thread(lambda: _open(request), undo=_Opened.close)
    try:
        engine = Engine(
            opened.backend, opened.lanes, opened.options, request.padding, request.loop_budget
        )
    except BaseException:
        await in_thread(opened.close)
        raise
    try:
        yield engine
    except BaseException:
        await engine.aclose(drain=False)
        raise
    await engine.aclose()


@dataclass(frozen=True, slots=True)
class _Opened:
    """A loaded model with its lanes, not yet owned by an engine."""

    backend: Backend
    lanes: Sequence[OpenLane]
    options: PolicyOptions

    def close(self) -> None:
        with ExitStack() as closing:  # unwinds in reverse order
            closing.callback(self.backend.close)
            for lane in self.lanes:
                closing.callback(lane.lane.close)


def _open(request: _Request) -> _Opened:
    """Load the model and make its lanes; runs in a thread."""
    backend = _load(request)
    try:
        options = _options(request, backend)
        streams = request.streams or backend.default_streams
        lanes = backend.open(streams, options.max_batch_size, options.batch_sizes)
        return _Opened(backend, lanes, options)
    except BaseException:
        backend.close()
        raise


def _load(request: _Request) -> Backend:
    if not isinstance(request.model, (str, os.PathLike)):
        if not all(hasattr(request.model, name) for name in _BACKEND_NAMES):
            raise InvalidInput(
                "the model must be the path of an .onnx file or of a plan, or implement "
                f"trtasync.backends.Backend, not {request.model!r}."
            )
        return cast(Backend, request.model)
    path = Path(request.model)
    chosen = request.backend
    if chosen == "auto":
        chosen = "tensorrt" if path.suffix in _PLAN_SUFFIXES else "onnxruntime"
        log.info("%s: backend 'auto' chose '%s' (by the file's suffix)", path.name, chosen)
    if chosen == "tensorrt":
        return _load_plan(request, path)
    if path.suffix in _PLAN_SUFFIXES:
        raise PlanError(f"{path.name} is a TensorRT plan; ONNX Runtime needs the .onnx model.")
    if request.devices is not None:
        raise InvalidInput(f"the CPU backend has no devices to choose; got {request.devices!r}.")
    from trtasync.backends.onnxruntime import load

    threads = request.threads or max(1, _cores() // (request.streams or 1))
    return load(path, threads)


def _load_plan(request: _Request, path: Path) -> Backend:
    from trtasync.backends import tensorrt
    from trtasync.cuda import driver_report

    if path.suffix == ".onnx":
        problem = driver_report()
        raise BackendUnavailable(
            problem
            or f"{path.name} must be built into a plan first, which this version of trtasync does "
            "not do yet: build it with trtexec --onnx=... --saveEngine=... and open the plan."
        )
    return tensorrt.load(
        path,
        tensorrt.TensorRTOptions(
            devices=(0,) if request.devices is None else tuple(request.devices),
            graphs=request.graphs,
            copy_threads=request.copy_threads,
            inline_bytes=request.inline_bytes,
            padding=request.padding,
        ),
    )


def _cores() -> int:
    """Cores this process may use (a container's share, not the machine's)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _options(request: _Request, backend: Backend) -> PolicyOptions:
    """Resolve batch sizes against what the model allows."""
    spec = backend.spec
    sizes = tuple(sorted(set(request.batch_sizes or ())))
    largest = request.max_batch_size or (sizes[-1] if sizes else backend.default_batch_size)
    if spec.fixed_batch is not None:
        _demand_fixed(request, spec.fixed_batch)
        largest, sizes = spec.fixed_batch, (spec.fixed_batch,)
    elif not spec.batched:
        log.warning(
            "%s: the tensors have no common batch axis, so every request runs alone", backend.name
        )
        largest, sizes = 1, ()
    elif backend.largest_batch_size is not None and largest > backend.largest_batch_size:
        raise InvalidInput(
            f"max_batch_size={largest}, but the plan allows at most {backend.largest_batch_size}."
        )
    if sizes and sizes[-1] != largest:
        raise InvalidInput(
            f"the largest of batch_sizes={list(sizes)} must be max_batch_size={largest}."
        )
    if not sizes and spec.batched:
        sizes = backend.default_batch_sizes(largest)
    preferred = tuple(request.preferred_batch_size or ())
    if preferred and max(preferred) > largest:
        raise InvalidInput(
            f"preferred_batch_size={list(preferred)} goes beyond max_batch_size={largest}."
        )
    return PolicyOptions(
        max_batch_size=largest,
        batch_sizes=sizes,
        max_queue_size=request.max_queue_size,
        max_queue_delay=request.max_queue_delay,
        preferred_batch_size=preferred,
        lead=LEAD,
    )


def _demand_fixed(request: _Request, fixed: int) -> None:
    asked = {*(request.batch_sizes or ()), request.max_batch_size or fixed}
    if asked != {fixed}:
        raise InvalidInput(
            f"the model's batch axis is fixed at {fixed}; max_batch_size and batch_sizes cannot "
            f"be {sorted(asked - {fixed})}. Export it with a dynamic batch axis to batch freely."
        )


def _check(request: _Request) -> None:
    if request.backend not in ("auto", "tensorrt", "onnxruntime"):
        raise InvalidInput(
            f"backend must be 'auto', 'tensorrt' or 'onnxruntime', not {request.backend!r}."
        )
    for name in ("streams", "threads", "copy_threads", "max_batch_size", "max_queue_size"):
        _demand_positive(name, getattr(request, name))
    for name in ("batch_sizes", "preferred_batch_size"):
        sizes = getattr(request, name)
        if sizes is not None and not isinstance(sizes, Sequence):
            raise InvalidInput(f"{name} must be a list of numbers, not {sizes!r}.")
        for size in sizes or ():
            _demand_positive(f"every number in {name}", size)
    for name in ("max_queue_delay", "loop_budget"):
        seconds = getattr(request, name)
        number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        if not number or not 0 <= seconds < math.inf:
            raise InvalidInput(f"{name} must be seconds, 0 or more, not {seconds!r}.")
    _check_devices(request)
    if request.preferred_batch_size and not request.max_queue_delay:
        raise InvalidInput("preferred_batch_size belongs to max_queue_delay; give both.")
    if not isinstance(request.padding, Mapping):
        raise InvalidInput(f"padding must map input names to Pads, not {request.padding!r}.")
    for name, pad in request.padding.items():
        if not isinstance(pad, Pad):
            raise InvalidInput(f"padding[{name!r}] must be a trtasync.Pad, not {pad!r}.")


def _check_devices(request: _Request) -> None:
    devices: Any = request.devices
    if devices is not None:
        whole = isinstance(devices, Sequence) and all(
            isinstance(index, int) and not isinstance(index, bool) and index >= 0
            for index in devices
        )
        if not whole or not devices or len(set(devices)) != len(devices):
            raise InvalidInput(f"devices must be a list of different GPU numbers, not {devices!r}.")
    size: Any = request.inline_bytes
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise InvalidInput(f"inline_bytes must be a number of bytes, 0 or more, not {size!r}.")


def _demand_positive(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidInput(f"{name} must be a whole number of at least 1, not {value!r}.")
