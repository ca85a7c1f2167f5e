"""The front door: arguments checked, backend chosen, model loaded off the loop, engine made."""

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from trtasync.engine import Engine
from trtasync.errors import InvalidInput
from trtasync.loops import free_in_thread, in_thread
from trtasync.model.profiles import Profile, read_profiles
from trtasync.model.tensors import Pad
from trtasync.opening.arguments import (
    HANG_TIMEOUT,
    LINGER,
    EngineArguments,
    Model,
    check_options,
    check_seconds,
    check_sharing,
    demand_linux,
)
from trtasync.opening.awaiting import Opening
from trtasync.opening.backends import BackendName
from trtasync.opening.loading import EngineOptions, engine_name
from trtasync.plans.paths import read_path
from trtasync.rows import Batching, Judgement
from trtasync.runtimes import Backend, OpenLane
from trtasync.scheduler import PolicyOptions
from trtasync.shared.protocol import AnyEngine
from trtasync.system.free_memory import free_memory
from trtasync.system.ranges import ranged
from trtasync.system.stopping import Stop

if TYPE_CHECKING:  # TensorRT's side is loaded when it is needed
    from trtasync.plans import BuilderConfig, SharedCache

QUEUE_ROWS, QUEUE_BATCHES = 4096, 16

LEAST_ROW_BYTES = 1 << 20
"""Rows up to this size are taken however little memory is free: it may be more in a moment."""

LEAD = 0.0001
"""Seconds before the predicted end of a lone batch at which the next is enqueued: what it takes to
learn of the end and to launch. Earlier, and it misses requests that come meanwhile: 0.5 ms made
latencies half as long again at 30 % load on one stream (docs/policies.md)."""


@overload
def open_engine(
    model: Model, *, shared: Literal[False] = False, **options: Unpack[EngineArguments]
) -> Opening[Engine]: ...
@overload
def open_engine(
    model: Model,
    *,
    shared: bool,
    linger: float = LINGER,
    reconnect: float = 0.0,
    traces: str | None = None,
    hang_timeout: float = HANG_TIMEOUT,
    **options: Unpack[EngineArguments],
) -> Opening[AnyEngine]: ...
def open_engine(
    model: Model,
    *,
    backend: BackendName = "auto",
    devices: Sequence[int] | None = None,
    streams: int | None = None,
    max_batch_size: int | None = None,
    batch_sizes: Sequence[int] | None = None,
    max_queue_delay: float = 0.0,
    preferred_batch_size: Sequence[int] | None = None,
    max_queue_size: int | None = None,
    max_queue_time: float | None = None,
    padding: Mapping[str, Pad] | None = None,
    batching: Batching = "auto",
    batch_axes: Mapping[str, int | None] | None = None,
    check_seconds: float = 0.3,
    threads: int | None = None,
    loop_budget: float = 0.001,
    run_timeout: float | None = None,
    max_row_bytes: int | None = None,
    graphs: bool = True,
    copy_threads: int | None = None,
    inline_bytes: int | None = None,
    profiles: Profile | str | Sequence[Profile | str] | None = None,
    builder_config: "BuilderConfig | None" = None,
    cache: "bool | str | os.PathLike[str] | SharedCache" = True,
    engine_host_code_allowed: bool = False,
    name: str | None = None,
    shared: bool = False,
    linger: float = LINGER,
    reconnect: float = 0.0,
    traces: str | None = None,
    hang_timeout: float = HANG_TIMEOUT,
) -> Opening[Any]:
    """Open a model: `async with open_engine(model) as engine:`, or `await open_engine(model)`.

    Leaving the block drains the engine (everything accepted is answered); leaving it by an
    exception aborts it. Both leave no thread behind. An engine that was awaited (in a notebook, for
    an application's state) is closed by `await engine.aclose()`; a forgotten one warns and frees
    what it holds when it is collected.

    Args:
        model: path of an `.onnx` file or of a TensorRT plan (`.plan`, `.engine`), what such a file
            holds (an ONNX model's weights have to be in it), a `Plan`, or an object that
            implements `trtasync.runtimes.Backend`. On a GPU an ONNX model is built into a plan
            first, which takes minutes, and kept for the next time.
        backend: "onnxruntime", "tensorrt", "tensorrt-rtx", or "auto": what suits the file and this
            machine. "tensorrt" takes the flavour that a plan was built by; a model is built by the
            one that is installed (TensorRT, else TensorRT for RTX), or that the environment
            variable TRTASYNC_TENSORRT ("tensorrt", "rtx") names.
        devices: GPU indices, default [0]; must be None on the CPU.
        streams: batches that run side by side on each device, on a GPU each in a CUDA stream of its
            own. Default: 1 on the CPU, 2 on a GPU.
        max_batch_size: rows of the largest batch. Default: 8 on the CPU, where large batches help
            few models and delay every caller; the largest profile of a plan.
        batch_sizes: the only batch sizes run; smaller batches are padded up. Default: any size on
            the CPU; 1, 2, 4 ... max_batch_size on a GPU, each with its own execution context.
        max_queue_delay: seconds. 0 (default): a batch goes as soon as the device can use it. Above
            0: Triton's rule instead: a batch waits for a preferred size or for this long, even on
            an idle device.
        preferred_batch_size: with `max_queue_delay`: sizes that go at once. Default: the largest.
        max_queue_size: rows that may wait; more raise `QueueFull`, and a request of more rows
            `RequestTooLarge`. Default: 4096, or 16 of the largest batches if that is more; one
            batch of a fixed size fits in any case. A request of better priority takes the place
            of waiting ones of worse priority.
        max_queue_time: seconds that a request may be expected to wait, by the rate at which the
            queue was served within the last second; what would wait longer raises `QueueFull`, as
            with `max_queue_size`. Two of the largest batches may wait in any case. Default: as
            long as `max_queue_size` lets it.
        padding: input name -> `Pad`, so that different lengths share a batch.
        batching: whether requests may share batches. "auto" (default): where rows are proved or
            tested not to influence each other; otherwise each request runs alone, and a warning
            says why. "proved": only where the graph proves it. True: by all means, unchecked.
            False: never; nothing is examined.
        batch_axes: tensor name -> the axis along which its rows lie, or None for an input that all
            rows of a batch share; for other tensors the names of their axes decide.
        check_seconds: seconds for which the model may be run while it is opened, to test its rows.
        threads: CPU threads per run. Default: the cores this process may use, divided by `streams`.
        loop_budget: seconds a run may take on the event loop itself. A run measured to be shorter
            is not worth a thread hop; 0 keeps every run off the loop.
        run_timeout: seconds after which a run is ended and its requests fail; None (default) for
            never. On the CPU the model stops at its next operator; a batch of several requests is
            tried again in halves, so it holds its stream three times as long at most. A run that
            goes on 5 s later, or on a GPU, where nothing can be stopped, takes its stream along
            (`DeviceLost`). Without it a run that never ends on the event loop itself
            (`loop_budget`) blocks it for ever.
        max_row_bytes: most bytes of a row of all inputs together, padded (of a request, if requests
            run alone); larger ones are refused. Default: so that the largest batch takes half of
            the memory that is free when the model is opened.
        graphs: on a GPU, capture a CUDA graph for every batch size at warm-up.
        copy_threads: on a GPU, threads that copy large requests into pinned memory, for all streams
            together. Default: a quarter of the cores, 4 at most.
        inline_bytes: on a GPU, requests up to this size are copied by the event loop itself.
            Default: 64 KiB.
        profiles: for an `.onnx` file on a GPU: optimization profiles; see `build_plan`. Derived
            from the model and `max_batch_size` by default. Unused on the CPU.
        builder_config: for an `.onnx` file on a GPU: how its plan is built; see `build_plan`.
        cache: for an `.onnx` file on a GPU: where its plan is kept; see `build_plan`. For what
            TensorRT for RTX compiles: where that is kept if not beside the plan; False for nowhere.
        engine_host_code_allowed: run the code that version-compatible plans carry. Only for plans
            you trust; those built here, or kept where only this user can write, are trusted anyway.
        name: the engine's name in its `repr`, log lines, warnings and thread names. Default: the
            file's name without suffix.
        shared: open the model in a process of its own, or join the one that does for another
            process of this user with the same model (its content) and the same options. The GPU
            then has one model, one context and one queue for all workers. Linux only.
        linger: with `shared`: seconds that the process stays after the last engine is closed.
        reconnect: with `shared`: seconds that requests wait for another process when that one has
            ended. 0 (default): they raise `EngineRestarting` at once.
        traces: with `shared`: name of the OpenTelemetry exporter ("otlp", "console") by which the
            process tells of its batches; see `trtasync.integrations.opentelemetry`.
        hang_timeout: with `shared`: seconds of silence after which the process is taken to hang:
            requests fail with `DeviceLost`, it is ended, and another one is started. Also bounds
            batches there that do not end; see docs/deploying.md. 0: never.

    Returns:
        an object to be entered or awaited, once.

    Raises:
        InvalidInput: an argument makes no sense.
        BackendUnavailable: the backend's package, driver or device is missing.
        PlanError: the model cannot be read or batched.
    """
    options = EngineOptions(
        model=bytes(model) if isinstance(model, (bytearray, memoryview)) else model,
        backend=backend,
        devices=devices,
        streams=streams,
        threads=threads,
        max_batch_size=max_batch_size,
        batch_sizes=batch_sizes,
        max_queue_delay=max_queue_delay,
        preferred_batch_size=preferred_batch_size,
        max_queue_size=max_queue_size,
        max_queue_time=max_queue_time,
        padding=padding or {},
        batching=batching,
        batch_axes=batch_axes,
        check_seconds=check_seconds,
        loop_budget=loop_budget,
        run_timeout=run_timeout,
        max_row_bytes=max_row_bytes,
        graphs=graphs,
        copy_threads=copy_threads,
        inline_bytes=inline_bytes,
        profiles=read_profiles(profiles),
        builder_config=builder_config,
        cache=cache,
        engine_host_code_allowed=engine_host_code_allowed,
        name=name,
    )
    check_options(options)
    check_sharing(shared, linger, reconnect, traces, hang_timeout)
    if not shared:
        return engine_of(options)
    from trtasync.opening.sharing import open_shared

    limit = hang_timeout or math.inf
    return Opening(partial(open_shared, options, linger, reconnect, traces, limit))


def connect(
    path: str | os.PathLike[str],
    model: str | None = None,
    *,
    reconnect: float = 0.0,
    hang_timeout: float = HANG_TIMEOUT,
) -> Opening[AnyEngine]:
    """Join an engine that another process runs (`trtasync host MODEL --socket PATH`).

    `async with connect(path) as engine:`, or `await connect(path)`. Closing it leaves the other
    process as it is.

    Args:
        path: path of the socket.
        model: its name; None if there is only one.
        reconnect: seconds that requests wait for another process when that one has ended. 0
            (default): they raise `EngineRestarting` at once.
        hang_timeout: seconds of silence after which that process is taken to hang: requests fail
            with `DeviceLost`; whatever manages the process has to end it. 0: never.

    Returns:
        an object to be entered or awaited, once.

    Raises:
        InvalidInput: an argument makes no sense, or there is no such model.
        BackendUnavailable: no process listens there, or one of another version of trtasync.
    """
    demand_linux("connect()")
    check_seconds("reconnect", reconnect)
    check_seconds("hang_timeout", hang_timeout)
    from trtasync.opening.sharing import join_engine
    from trtasync.shared.ways import Service

    socket = Path(os.path.abspath(read_path("path", path, "the path of a socket")))
    way = partial(Service, socket, model)
    return Opening(partial(join_engine, way, None, reconnect, hang_timeout or math.inf))


def engine_of(options: EngineOptions) -> Opening[Engine]:
    """An engine in this process, from options that were checked."""
    return Opening(partial(_open_engine, options))


async def _open_engine(options: EngineOptions) -> Engine:
    """Load the model in a thread, and make an engine of it in this loop."""
    stop = Stop()
    opened = await in_thread(
        lambda: _open(options, stop), undo=_Opened.close, interrupt=stop.call_off
    )
    try:
        return Engine(
            opened.name,
            opened.backend,
            opened.lanes,
            opened.policy,
            options.padding,
            options.loop_budget,
            opened.judgement,
            options.run_timeout,
            opened.max_row_bytes,
        )
    except BaseException:
        await free_in_thread(opened.close)
        raise


@dataclass(frozen=True, slots=True)
class _Opened:
    """A loaded model with its lanes, not yet owned by an engine."""

    name: str
    backend: Backend
    lanes: Sequence[OpenLane]
    policy: PolicyOptions
    judgement: Judgement
    max_row_bytes: int | None

    def close(self) -> None:
        with ExitStack() as closing:  # unwinds in reverse order
            closing.callback(self.backend.close)
            for lane in self.lanes:
                closing.callback(lane.lane.close)


@ranged("open")
def _open(options: EngineOptions, stop: Stop) -> _Opened:
    """Load the model and make its lanes; runs in a thread."""
    from trtasync.opening.judging import load_judged  # what judges is loaded with the first model

    backend, judgement = load_judged(options, stop)
    try:
        policy = _policy_options(options, backend)
        row_bytes = options.max_row_bytes or _row_bytes(policy.max_batch_size)
        streams = options.streams or backend.default_streams
        with ranged("open lanes"):
            lanes = backend.open(streams, policy.max_batch_size, policy.batch_sizes)
        name = engine_name(options, backend)
        return _Opened(name, backend, lanes, policy, judgement, row_bytes)
    except BaseException:
        backend.close()
        raise


def _policy_options(options: EngineOptions, backend: Backend) -> PolicyOptions:
    """Resolve batch sizes against what the model allows."""
    spec = backend.spec
    sizes = tuple(sorted(set(options.batch_sizes or ())))
    largest = options.max_batch_size or (sizes[-1] if sizes else backend.default_batch_size)
    if not spec.batched:
        largest, sizes = 1, ()
    elif spec.fixed_batch is not None:
        _demand_fixed(options, spec.fixed_batch)
        largest, sizes = spec.fixed_batch, (spec.fixed_batch,)
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
    preferred = tuple(options.preferred_batch_size or ())
    if preferred and max(preferred) > largest:
        raise InvalidInput(
            f"preferred_batch_size={list(preferred)} goes beyond max_batch_size={largest}."
        )
    return PolicyOptions(
        max_batch_size=largest,
        batch_sizes=sizes,
        max_queue_size=max(options.max_queue_size or _queue(largest), spec.fixed_batch or 1),
        max_queue_time=options.max_queue_time,
        max_queue_delay=options.max_queue_delay,
        preferred_batch_size=preferred,
        lead=LEAD,
    )


def _row_bytes(largest: int) -> int | None:
    """What a row may take where nobody says how much; None where nobody knows."""
    free = free_memory()
    return None if free is None else max(LEAST_ROW_BYTES, free // (2 * largest))


def _queue(largest: int) -> int:
    """Rows that may wait where nobody says how many."""
    return max(QUEUE_ROWS, QUEUE_BATCHES * largest)


def _demand_fixed(options: EngineOptions, fixed: int) -> None:
    asked = {*(options.batch_sizes or ()), options.max_batch_size or fixed}
    if asked != {fixed}:
        raise InvalidInput(
            f"the model's batch axis is fixed at {fixed}; max_batch_size and batch_sizes cannot "
            f"be {sorted(asked - {fixed})}. Export it with a dynamic batch axis to batch freely."
        )
