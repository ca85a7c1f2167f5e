"""`trtasync build`."""

import importlib
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio
import typer
from rich.console import Console

from trtasync.cli.arguments import (
    CACHE,
    LEVEL,
    NAME,
    PROFILE,
    SHAPES,
    SIZE,
    AsJson,
    BatchAxes,
    BuilderOption,
    CacheFolder,
    CacheOwner,
    Debug,
    OneDevice,
    Quiet,
    cache_of,
    read_batch_axes,
    read_device,
)
from trtasync.cli.bars import BuildBars
from trtasync.cli.failures import failures
from trtasync.cli.outputs import STDOUT, check_outputs, deliver
from trtasync.cli.tables import say
from trtasync.errors import InvalidInput
from trtasync.measure.inputs import read_samples
from trtasync.plans import BuilderConfig, Plan, Profile, build_plan
from trtasync.runtimes.flavours import RTX, TENSORRT
from trtasync.system.sizes import parse_size, written_size

PROFILES, TUNING, PRECISION = "Shapes", "Tuning", "Precision"
PLAN, CHECK = "Plan", "Accuracy check"


def build(
    model: Annotated[
        str, typer.Argument(help="An .onnx file, or the module:function that defines a network.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write the plan to.", rich_help_panel=CACHE),
    ] = None,
    profile: Annotated[
        list[str] | None,
        typer.Option(
            metavar=PROFILE,
            help="Optimization profile name:MIN/OPT/MAX,..., e.g. x:1x3x224/16x3x224/64x3x224; "
            "may be given several times.",
            rich_help_panel=PROFILES,
        ),
    ] = None,
    min_shapes: Annotated[
        str | None,
        typer.Option(metavar=SHAPES, help="As trtexec's --minShapes.", rich_help_panel=PROFILES),
    ] = None,
    opt_shapes: Annotated[
        str | None,
        typer.Option(metavar=SHAPES, help="As trtexec's --optShapes.", rich_help_panel=PROFILES),
    ] = None,
    max_shapes: Annotated[
        str | None,
        typer.Option(metavar=SHAPES, help="As trtexec's --maxShapes.", rich_help_panel=PROFILES),
    ] = None,
    max_batch_size: Annotated[
        int | None,
        typer.Option(
            help="Rows of the largest batch, where profiles are derived.", rich_help_panel=PROFILES
        ),
    ] = None,
    workspace: Annotated[
        str | None,
        typer.Option(
            metavar=SIZE, help="Scratch memory for tactics, e.g. 4GiB.", rich_help_panel=TUNING
        ),
    ] = None,
    builder_optimization_level: Annotated[
        int | None,
        typer.Option(help="0 to 5: how long to look for better tactics.", rich_help_panel=TUNING),
    ] = None,
    tf32: Annotated[
        bool, typer.Option(help="Let float32 be computed in TF32.", rich_help_panel=PRECISION)
    ] = True,
    sparse_weights: Annotated[
        bool,
        typer.Option(
            "--sparse-weights",
            help="Use 2:4 structured sparsity where weights have it.",
            rich_help_panel=TUNING,
        ),
    ] = False,
    max_aux_streams: Annotated[
        int,
        typer.Option(
            help="Streams that TensorRT may use inside one run.",
            rich_help_panel=TUNING,
        ),
    ] = 0,
    tactic_source: Annotated[
        list[str] | None,
        typer.Option(
            metavar=NAME,
            help="A tensorrt.TacticSource to use, instead of the usual ones; may be "
            "given several times.",
            rich_help_panel=TUNING,
        ),
    ] = None,
    avg_timing_iterations: Annotated[
        int | None,
        typer.Option(help="Runs over which a tactic's time is averaged.", rich_help_panel=TUNING),
    ] = None,
    max_num_tactics: Annotated[
        int | None,
        typer.Option(help="Tactics that are tried for a layer, at most.", rich_help_panel=TUNING),
    ] = None,
    tiling_optimization_level: Annotated[
        Literal["none", "fast", "moderate", "full"] | None,
        typer.Option(
            metavar=LEVEL,
            help="How hard TensorRT looks for tilings: none, fast, moderate or full.",
            rich_help_panel=TUNING,
        ),
    ] = None,
    fp16: Annotated[
        bool,
        typer.Option(
            "--fp16", help="Let layers run in float16; TensorRT 10 only.", rich_help_panel=PRECISION
        ),
    ] = False,
    bf16: Annotated[
        bool,
        typer.Option(
            "--bf16",
            help="Let layers run in bfloat16; TensorRT 10 only.",
            rich_help_panel=PRECISION,
        ),
    ] = False,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit", help="Let weights be replaced in the plan later.", rich_help_panel=PLAN
        ),
    ] = False,
    strip_plan: Annotated[
        bool,
        typer.Option(
            "--strip-plan",
            help="Leave the weights out; they must be refitted before the plan can run.",
            rich_help_panel=PLAN,
        ),
    ] = False,
    version_compatible: Annotated[
        bool,
        typer.Option(
            "--version-compatible",
            help="Let newer TensorRT of the same major version run the plan, too.",
            rich_help_panel=PLAN,
        ),
    ] = False,
    exclude_lean_runtime: Annotated[
        bool,
        typer.Option(
            "--exclude-lean-runtime",
            help="Leave the runtime out of a version-compatible plan.",
            rich_help_panel=PLAN,
        ),
    ] = False,
    hardware_compatibility_level: Annotated[
        Literal["none", "ampere_plus", "same_compute_capability"],
        typer.Option(
            metavar=LEVEL,
            help="GPUs that the plan is for, too: none, ampere_plus or same_compute_capability.",
            rich_help_panel=PLAN,
        ),
    ] = "none",
    profiling_verbosity: Annotated[
        Literal["layer_names_only", "detailed", "none"],
        typer.Option(
            metavar=LEVEL,
            help="What the plan tells of its layers: layer_names_only, detailed or none.",
            rich_help_panel=PLAN,
        ),
    ] = "layer_names_only",
    weight_streaming: Annotated[
        bool,
        typer.Option(
            "--weight-streaming",
            help="Let weights stay in host memory; runs are then slower.",
            rich_help_panel=PLAN,
        ),
    ] = False,
    flag: Annotated[
        list[str] | None,
        typer.Option(
            metavar=NAME,
            help="A further tensorrt.BuilderFlag; may be given several times.",
            rich_help_panel=PLAN,
        ),
    ] = None,
    cache_dir: CacheFolder = None,
    cache_owner: CacheOwner = None,
    cache: Annotated[
        bool,
        typer.Option(
            help="Use a plan from the cache, and keep a new one there.", rich_help_panel=CACHE
        ),
    ] = True,
    cache_key: Annotated[
        str | None,
        typer.Option(
            metavar="<text>",
            help="Text that identifies a network function in the cache.",
            rich_help_panel=CACHE,
        ),
    ] = None,
    timing_cache: Annotated[
        bool | None,
        typer.Option(help="Keep the timings of tactics for later builds.", rich_help_panel=CACHE),
    ] = None,
    compute_capability: Annotated[
        list[str] | None,
        typer.Option(
            metavar="<x.y>",
            help="Build with TensorRT for RTX for this kind of GPU, which need not be present; may "
            "be given several times.",
            rich_help_panel=PLAN,
        ),
    ] = None,
    backend: BuilderOption = "auto",
    batch_axis: BatchAxes = None,
    check: Annotated[
        float | None,
        typer.Option(
            help="Fail if an output differs from ONNX Runtime's by more than this share of its "
            "largest number, e.g. 1e-2.",
            rich_help_panel=CHECK,
        ),
    ] = None,
    samples: Annotated[
        Path | None,
        typer.Option(
            help="Inputs of the check: an .npz file with an array of rows for each input.",
            rich_help_panel=CHECK,
        ),
    ] = None,
    devices: OneDevice = None,
    as_json: AsJson = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Build a model into a TensorRT plan, or take it from the cache."""
    with failures(debug):
        if not cache and output is None:
            raise InvalidInput("--no-cache needs --output: the plan has nowhere to go.")
        config = BuilderConfig(
            workspace=None if workspace is None else parse_size(workspace),
            builder_optimization_level=builder_optimization_level,
            tf32=tf32,
            sparse_weights=sparse_weights,
            refit=refit,
            strip_plan=strip_plan,
            version_compatible=version_compatible,
            exclude_lean_runtime=exclude_lean_runtime,
            hardware_compatibility_level=hardware_compatibility_level,
            max_aux_streams=max_aux_streams,
            tactic_sources=tactic_source or None,
            avg_timing_iterations=avg_timing_iterations,
            max_num_tactics=max_num_tactics,
            tiling_optimization_level=tiling_optimization_level,
            profiling_verbosity=profiling_verbosity,
            weight_streaming=weight_streaming,
            timing_cache=timing_cache,
            compute_capabilities=compute_capability or None,
            fp16=fp16,
            bf16=bf16,
            flags=flag or (),
        )
        options = {
            "output": output,
            "profiles": _profiles(profile or [], (min_shapes, opt_shapes, max_shapes)),
            "max_batch_size": max_batch_size,
            "builder_config": config,
            "cache": cache_of(cache_dir, cache_owner) if cache else False,
            "cache_key": cache_key,
            "device": read_device(devices),
            "backend": "tensorrt" if backend == "auto" else backend,
            "batch_axes": read_batch_axes(batch_axis) or None,
            "check": check,
            "samples": None if samples is None else read_samples(samples),
        }
        source = _source(model)
        check_outputs(_file_of(source), as_json, inputs=(samples,), kept=output)
        plan = _run(source, options, shown=not quiet and as_json != STDOUT)
        deliver(json.dumps(_facts(plan), indent=2), as_json, partial(_show, plan=plan))


def _run(source: Any, options: dict[str, Any], shown: bool) -> Plan:
    with BuildBars(Console(stderr=True), shown) as bars:

        async def main() -> Plan:
            return await build_plan(source, progress=bars, **options)

        return anyio.run(main)


def _profiles(texts: list[str], three: tuple[str | None, ...]) -> list[Profile]:
    found = [Profile.parse(text) for text in texts]
    given = [text for text in three if text is not None]
    if given and len(given) != 3:
        raise InvalidInput("--min-shapes, --opt-shapes and --max-shapes belong together.")
    if given:
        found.append(Profile.parse_three(*given))
    return found


def _source(model: str) -> Any:
    """A path, or the function that `module:function` names."""
    module, colon, name = model.rpartition(":")
    if not colon or os.path.exists(model) or os.sep in model or not module:
        return model
    sys.path.insert(0, os.getcwd())  # as `python -m` does
    try:
        found = getattr(importlib.import_module(module), name, None)
    except (ImportError, TypeError, ValueError) as error:  # the latter two for odd module names
        raise InvalidInput(f"{model}: no such file, and no such module ({error}).") from error
    if not callable(found):
        raise InvalidInput(f"{model}: the module {module} has no function {name}.")
    return found


def _file_of(source: Any) -> Path | None:
    """Where a model or a network function is written down."""
    if isinstance(source, str):
        return Path(source)
    name = getattr(sys.modules.get(source.__module__), "__file__", None)
    return None if name is None else Path(name)


def _facts(plan: Plan) -> dict[str, Any]:
    return {
        "path": str(plan.path),
        "bytes": plan.path.stat().st_size,
        "key": plan.key,
        "cached": plan.cached,
        "seconds": plan.seconds,
        "flavour": plan.flavour,
        "tensorrt": plan.tensorrt,
        "gpu": plan.gpu,
    }


def _show(console: Console, plan: Plan) -> None:
    title = (RTX if plan.flavour == RTX.name else TENSORRT).title
    how = "taken from the cache, built in" if plan.cached else "built in"
    line = (
        f"{plan.path}: {written_size(plan.path.stat().st_size)}, {how} {plan.seconds:.1f} s "
        f"with {title} {plan.tensorrt} for {plan.gpu}"
    )
    say(console, line)
