"""`trtasync check`."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from trtasync.cli.arguments import (
    ENGINE,
    REQUESTS,
    AsJson,
    BackendOption,
    BatchAxes,
    BatchingOption,
    CacheFolder,
    CacheOwner,
    Debug,
    HostCode,
    MaxBatchSize,
    ModelArgument,
    OneDevice,
    ProfileOptions,
    Samples,
    cache_of,
    read_batch_axes,
    read_batching,
    read_device,
)
from trtasync.cli.bars import WaitingBar
from trtasync.cli.check_tables import show
from trtasync.cli.failures import GOAL_MISSED, failures, stop
from trtasync.cli.outputs import STDOUT, check_outputs, deliver
from trtasync.inspection import check_model
from trtasync.measure.inputs import read_samples


def check(
    model: ModelArgument,
    plan: Annotated[
        Path | None,
        typer.Option(
            help="A plan built from the model; it is checked against the model on ONNX Runtime.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="Time limit for testing rows.", rich_help_panel=REQUESTS)
    ] = 10.0,
    tolerance: Annotated[
        float,
        typer.Option(
            help="Largest difference allowed, relative to an output's largest number.",
            rich_help_panel=REQUESTS,
        ),
    ] = 1e-2,
    samples: Samples = None,
    backend: BackendOption = "auto",
    devices: OneDevice = None,
    batching: BatchingOption = "auto",
    batch_axis: BatchAxes = None,
    max_batch_size: MaxBatchSize = None,
    profile: ProfileOptions = None,
    cache_dir: CacheFolder = None,
    cache_owner: CacheOwner = None,
    engine_host_code_allowed: HostCode = False,
    as_json: AsJson = None,
    debug: Debug = False,
) -> None:
    """Check that rows do not influence each other, and that a plan's numbers are right."""
    with failures(debug):
        check_outputs(model, as_json, inputs=(plan, samples))
        waiting = f"checking {model.name}; rows are tested for at most {seconds:g} s"
        with WaitingBar(Console(stderr=True), as_json != STDOUT, waiting):
            report = check_model(
                model,
                plan=plan,
                backend=backend,
                device=read_device(devices),
                batching=read_batching(batching),
                batch_axes=read_batch_axes(batch_axis),
                samples=None if samples is None else read_samples(samples),
                seconds=seconds,
                tolerance=tolerance,
                profiles=profile,
                max_batch_size=max_batch_size,
                cache=cache_of(cache_dir, cache_owner),
                engine_host_code_allowed=engine_host_code_allowed,
            )
        deliver(json.dumps(report.to_json(), indent=2), as_json, partial(show, report=report))
        if not report.well:
            count = len(report.problems)
            stop(GOAL_MISSED, f"{count} problem{'s' if count > 1 else ''}; {report.problems[0]}.")
