"""`trtasync inspect`."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from trtasync.backends.plan_files import is_plan
from trtasync.cli.failures import failures
from trtasync.cli.reports import show_onnx, show_plan
from trtasync.errors import PlanError
from trtasync.inspection import OnnxReport, PlanReport, inspect_onnx, inspect_plan

LANES = "Memory to plan for (plans only)"


def inspect(
    file: Annotated[Path, typer.Argument(help="An .onnx, .plan or .engine file.")],
    layers: Annotated[
        bool, typer.Option("--layers", help="List a plan's layers, or all of ONNX's operators.")
    ] = False,
    streams: Annotated[int, typer.Option(help="Lanes.", rich_help_panel=LANES)] = 2,
    max_batch_size: Annotated[int | None, typer.Option(help="Rows.", rich_help_panel=LANES)] = None,
    batch_size: Annotated[
        list[int] | None,
        typer.Option(help="Buckets; may be given several times.", rich_help_panel=LANES),
    ] = None,
    device: Annotated[int, typer.Option(help="GPU index, for a plan.")] = 0,
    engine_host_code_allowed: Annotated[
        bool,
        typer.Option(
            "--engine-host-code-allowed",
            help="Run the code of a version-compatible plan. Only if you trust it.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Show what a model holds: an .onnx file on any machine, a plan on the GPU it is for."""
    with failures(debug):
        report: OnnxReport | PlanReport
        if file.suffix == ".onnx":
            report = inspect_onnx(file, max_batch_size)
        elif is_plan(file):
            report = inspect_plan(
                file,
                device=device,
                streams=streams,
                max_batch_size=max_batch_size,
                batch_sizes=batch_size or (),
                engine_host_code_allowed=engine_host_code_allowed,
            )
        else:
            raise PlanError(f"{file} is neither an .onnx file nor a TensorRT plan.")
        if as_json:
            typer.echo(json.dumps(dataclasses.asdict(report), indent=2))
        elif isinstance(report, OnnxReport):
            show_onnx(Console(), report, layers)
        else:
            show_plan(Console(), report, layers)
