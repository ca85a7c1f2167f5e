"""`trtasync inspect`."""

import dataclasses
import json
from functools import partial
from typing import Annotated

import typer

from trtasync.cli.arguments import (
    AsJson,
    BatchAxes,
    BatchingOption,
    BatchSizes,
    Debug,
    HostCode,
    MaxBatchSize,
    ModelArgument,
    OneDevice,
    Streams,
    read_batch_axes,
    read_batching,
    read_device,
    read_sizes,
)
from trtasync.cli.failures import failures
from trtasync.cli.outputs import check_outputs, deliver
from trtasync.cli.reports import show_header, show_onnx, show_plan
from trtasync.errors import BackendUnavailable, PlanError
from trtasync.inspection import (
    HeaderReport,
    OnnxReport,
    PlanReport,
    inspect_header,
    inspect_onnx,
    inspect_plan,
)
from trtasync.runtimes.plan_files import is_plan


def inspect(
    model: ModelArgument,
    layers: Annotated[
        bool,
        typer.Option(
            "--layers", help="List all layers of a plan, or all operators of an ONNX model."
        ),
    ] = False,
    streams: Streams = None,
    max_batch_size: MaxBatchSize = None,
    batch_sizes: BatchSizes = None,
    batching: BatchingOption = "auto",
    batch_axis: BatchAxes = None,
    devices: OneDevice = None,
    engine_host_code_allowed: HostCode = False,
    as_json: AsJson = None,
    debug: Debug = False,
) -> None:
    """Show what a model contains: an .onnx file on any machine, a plan on the GPU it was built for.

    On other machines only what a plan's header says is shown.
    """
    with failures(debug):
        check_outputs(model, as_json)
        report: OnnxReport | PlanReport | HeaderReport
        wanted, axes = read_batching(batching), read_batch_axes(batch_axis)
        if model.suffix == ".onnx":
            report = inspect_onnx(model, max_batch_size, batching=wanted, batch_axes=axes)
            show = partial(show_onnx, report=report, layers=layers)
        elif is_plan(model):
            try:
                report = inspect_plan(
                    model,
                    device=read_device(devices),
                    streams=2 if streams is None else streams,
                    max_batch_size=max_batch_size,
                    batch_sizes=read_sizes(batch_sizes) or (),
                    batching=wanted,
                    batch_axes=axes,
                    engine_host_code_allowed=engine_host_code_allowed,
                )
                show = partial(show_plan, report=report, layers=layers)
            except BackendUnavailable as error:
                report = inspect_header(model, str(error))
                if report.flavour is None:
                    raise
                show = partial(show_header, report=report)
        else:
            raise PlanError(f"{model} is neither an .onnx file nor a TensorRT plan.")
        deliver(json.dumps(dataclasses.asdict(report), indent=2), as_json, show)
