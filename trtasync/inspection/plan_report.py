"""A report on a plan, which is deserialized on its GPU but not run."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trtasync.errors import InvalidInput
from trtasync.inspection.tensors import TensorReport, as_said, reports
from trtasync.rows import Batching
from trtasync.runtimes.cuda import Device, Stream, aligned, find_device
from trtasync.runtimes.flavours import insisted
from trtasync.runtimes.plan_files import PlanFile
from trtasync.runtimes.tensorrt.api import CudaEngine
from trtasync.runtimes.tensorrt.batch_ranges import default_sizes, demand_allowed
from trtasync.runtimes.tensorrt.contexts import Context
from trtasync.runtimes.tensorrt.engines import deserialize
from trtasync.runtimes.tensorrt.lane import SLOTS
from trtasync.runtimes.tensorrt.library import Library, library_of, make_runtime
from trtasync.runtimes.tensorrt.plans import PlanSpec, read_plan
from trtasync.runtimes.tensorrt.sizes import Sizes, measure


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMemory:
    """The memory that an engine with these streams would need, without the weights.

    Attributes:
        streams: streams of the engine.
        max_batch_size: rows of the largest batch.
        batch_sizes: buckets, each with an execution context per stream.
        contexts: execution contexts of all streams.
        device_bytes: inputs, outputs and one activation arena per stream.
        pinned_bytes: of host memory, for the slots.
    """

    streams: int
    max_batch_size: int
    batch_sizes: tuple[int, ...]
    contexts: int
    device_bytes: int
    pinned_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """The contents of a plan.

    Attributes:
        file: its path.
        bytes: its size.
        flavour: the library that read it: TensorRT, or TensorRT for RTX.
        tensorrt: its version.
        gpu: the GPU on which it was read.
        network: the name of the network.
        inputs: dynamic axes are None.
        outputs: see `inputs`.
        batched: requests can share a batch.
        profiles: input -> min/opt/max in trtexec's form, per optimization profile.
        aux_streams: TensorRT's own streams per context.
        refittable: its weights can be replaced.
        streamable_bytes: weights that can stay in host memory.
        context_bytes: activation memory of a context, per profile.
        verbosity: how much it contains about its layers.
        layer_count: layers after fusion.
        layers: objects, names, or nothing, according to the verbosity.
        planned: memory for the requested streams.
    """

    file: str
    bytes: int
    flavour: str
    tensorrt: str
    gpu: str
    network: str
    inputs: tuple[TensorReport, ...]
    outputs: tuple[TensorReport, ...]
    batched: bool
    profiles: tuple[Mapping[str, str], ...]
    aux_streams: int
    refittable: bool
    streamable_bytes: int
    context_bytes: tuple[int, ...]
    verbosity: str
    layer_count: int
    layers: tuple[Any, ...]
    planned: PlannedMemory


def inspect_plan(
    path: str | os.PathLike[str],
    *,
    device: int = 0,
    streams: int = 2,
    max_batch_size: int | None = None,
    batch_sizes: Sequence[int] = (),
    batching: Batching = "auto",
    batch_axes: Mapping[str, int | None] | None = None,
    engine_host_code_allowed: bool = False,
) -> PlanReport:
    """Read a plan. This takes seconds, so call it in a thread.

    Args:
        path: the file.
        device: index of the GPU.
        streams: streams to plan memory for.
        max_batch_size: rows to plan memory for; None for the plan's largest.
        batch_sizes: buckets to plan for; () for the engine's default.
        batching: as for `open_engine`.
        batch_axes: as for `open_engine`.
        engine_host_code_allowed: run the code inside a version-compatible plan.

    Raises:
        PlanError: it cannot be read or batched here.
        InvalidInput: a number is below 1, or `max_batch_size` exceeds the plan's.
        BackendUnavailable: no GPU or no TensorRT.
    """
    path = Path(path)
    sizes = tuple(sorted(set(batch_sizes)))
    if streams < 1 or min(sizes, default=1) < 1 or (max_batch_size or 1) < 1:
        raise InvalidInput("streams, max_batch_size and batch_sizes must be 1 or more.")
    if sizes and max_batch_size not in (None, sizes[-1]):
        raise InvalidInput(f"the largest of {list(sizes)} must be max_batch_size={max_batch_size}.")
    insisted()
    gpu = find_device(device)
    file = PlanFile(path)
    lib = library_of(file)
    runtime = make_runtime(lib, engine_host_code_allowed)
    engine = deserialize(lib, runtime, file, gpu)
    plan = read_plan(lib, engine)
    plan = plan.with_spec(as_said(plan.spec, batching, batch_axes))
    largest = max_batch_size or max(sizes, default=None) or plan.largest_batch or 1
    if plan.largest_batch is not None and largest > plan.largest_batch:
        raise InvalidInput(
            f"max_batch_size={largest}, but the plan allows at most {plan.largest_batch}."
        )
    sizes = sizes or default_sizes(plan.batches, largest)
    demand_allowed(plan.batches, sizes)
    layers = _layers(lib, engine)
    return PlanReport(
        file=str(path),
        bytes=path.stat().st_size,
        flavour=lib.flavour.title,
        tensorrt=lib.version,
        gpu=gpu.name,
        network=engine.name,
        inputs=reports(plan.spec.inputs),
        outputs=reports(plan.spec.outputs),
        batched=plan.spec.batched,
        profiles=tuple(
            {
                spec.name: str(shapes)
                for spec, shapes in zip(plan.spec.inputs, profile.ranges, strict=True)
            }
            for profile in plan.profiles
        ),
        aux_streams=engine.num_aux_streams,
        refittable=engine.refittable,
        streamable_bytes=engine.streamable_weights_size,
        context_bytes=tuple(
            engine.get_device_memory_size_for_profile_v2(profile.index) for profile in plan.profiles
        ),
        verbosity=_name(engine.profiling_verbosity),
        layer_count=engine.num_layers,
        layers=layers,
        planned=_planned(lib, plan, _measured(lib, engine, plan, gpu, sizes), streams, sizes),
    )


def _name(member: Any) -> str:
    return str(getattr(member, "name", member)).lower()


def _layers(lib: Library, engine: CudaEngine) -> tuple[Any, ...]:
    """Objects if the plan was built with detailed verbosity, else names, else nothing."""
    if not hasattr(lib.trt, "EngineInspector") or not hasattr(engine, "create_engine_inspector"):
        return ()  # the lean runtime has the method, but not the type that it returns
    inspector = engine.create_engine_inspector()
    if inspector is None or not hasattr(lib.trt, "LayerInformationFormat"):
        return ()
    text = inspector.get_engine_information(lib.trt.LayerInformationFormat.JSON)
    try:
        return tuple(json.loads(text).get("Layers", ()))
    except (ValueError, AttributeError):
        return ()  # a plan without this information yields no JSON


def _measured(
    lib: Library, engine: CudaEngine, plan: PlanSpec, device: Device, batch_sizes: Sequence[int]
) -> Sizes:
    """Read from a context per profile, which is created without memory."""
    device.enter()
    stream = Stream(device)
    try:
        contexts = {
            profile.index: Context(lib, engine, plan, profile, device, stream)
            for profile in plan.reached(batch_sizes)
        }
        return measure(lib, plan, engine, contexts, batch_sizes)
    finally:
        stream.close()


def _planned(
    lib: Library, plan: PlanSpec, sizes: Sizes, streams: int, batch_sizes: tuple[int, ...]
) -> PlannedMemory:
    shared = {index for index, o in enumerate(plan.spec.outputs) if o.name in plan.aliases}
    outputs = [size for index, size in enumerate(sizes.outputs) if index not in shared]
    device = sum(map(aligned, (*sizes.inputs.values(), *outputs))) + aligned(sizes.activation)
    pinned = sum(map(aligned, (*sizes.inputs.values(), *sizes.outputs)))
    reached = plan.reached(batch_sizes)
    rows = {tuple(shapes.opt for shapes in profile.ranges) for profile in reached}
    contexts = len(reached)
    if not lib.flavour.is_rtx:
        contexts += len(batch_sizes) * len(rows)
    return PlannedMemory(
        streams=streams,
        max_batch_size=batch_sizes[-1],
        batch_sizes=batch_sizes,
        contexts=streams * contexts,
        device_bytes=streams * device,
        pinned_bytes=streams * SLOTS * pinned,
    )
