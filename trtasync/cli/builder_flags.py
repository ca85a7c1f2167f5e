"""Options of `trtasync build` that say what a `BuilderConfig` says."""

from typing import Annotated, Literal

import typer

from trtasync.cli.arguments import LEVEL, NAME, SIZE

TUNING, PRECISION, PLAN = "Tuning", "Precision", "Plan"

Workspace = Annotated[
    str | None,
    typer.Option(
        metavar=SIZE, help="Scratch memory for tactics, e.g. 4GiB.", rich_help_panel=TUNING
    ),
]
BuilderOptimizationLevel = Annotated[
    int | None,
    typer.Option(help="0 to 5: how long to look for better tactics.", rich_help_panel=TUNING),
]
TensorFloat32 = Annotated[
    bool, typer.Option(help="Let float32 be computed in TF32.", rich_help_panel=PRECISION)
]
SparseWeights = Annotated[
    bool,
    typer.Option(
        "--sparse-weights",
        help="Use 2:4 structured sparsity where weights have it.",
        rich_help_panel=TUNING,
    ),
]
MaxAuxStreams = Annotated[
    int,
    typer.Option(
        help="Streams that TensorRT may use inside one run.",
        rich_help_panel=TUNING,
    ),
]
TacticSource = Annotated[
    list[str] | None,
    typer.Option(
        metavar=NAME,
        help="A tensorrt.TacticSource to use, instead of the usual ones; may be "
        "given several times.",
        rich_help_panel=TUNING,
    ),
]
AvgTimingIterations = Annotated[
    int | None,
    typer.Option(help="Runs over which a tactic's time is averaged.", rich_help_panel=TUNING),
]
MaxNumTactics = Annotated[
    int | None,
    typer.Option(help="Tactics that are tried for a layer, at most.", rich_help_panel=TUNING),
]
TilingOptimizationLevel = Annotated[
    Literal["none", "fast", "moderate", "full"] | None,
    typer.Option(
        metavar=LEVEL,
        help="How hard TensorRT looks for tilings: none, fast, moderate or full.",
        rich_help_panel=TUNING,
    ),
]
Float16 = Annotated[
    bool,
    typer.Option(
        "--fp16", help="Let layers run in float16; TensorRT 10 only.", rich_help_panel=PRECISION
    ),
]
Bfloat16 = Annotated[
    bool,
    typer.Option(
        "--bf16",
        help="Let layers run in bfloat16; TensorRT 10 only.",
        rich_help_panel=PRECISION,
    ),
]
Refit = Annotated[
    bool,
    typer.Option(
        "--refit", help="Let weights be replaced in the plan later.", rich_help_panel=PLAN
    ),
]
StripPlan = Annotated[
    bool,
    typer.Option(
        "--strip-plan",
        help="Leave the weights out; they must be refitted before the plan can run.",
        rich_help_panel=PLAN,
    ),
]
VersionCompatible = Annotated[
    bool,
    typer.Option(
        "--version-compatible",
        help="Let newer TensorRT of the same major version run the plan, too.",
        rich_help_panel=PLAN,
    ),
]
ExcludeLeanRuntime = Annotated[
    bool,
    typer.Option(
        "--exclude-lean-runtime",
        help="Leave the runtime out of a version-compatible plan.",
        rich_help_panel=PLAN,
    ),
]
HardwareCompatibilityLevel = Annotated[
    Literal["none", "ampere_plus", "same_compute_capability"],
    typer.Option(
        metavar=LEVEL,
        help="GPUs that the plan is for, too: none, ampere_plus or same_compute_capability.",
        rich_help_panel=PLAN,
    ),
]
ProfilingVerbosity = Annotated[
    Literal["layer_names_only", "detailed", "none"],
    typer.Option(
        metavar=LEVEL,
        help="What the plan tells of its layers: layer_names_only, detailed or none.",
        rich_help_panel=PLAN,
    ),
]
WeightStreaming = Annotated[
    bool,
    typer.Option(
        "--weight-streaming",
        help="Let weights stay in host memory; runs are then slower.",
        rich_help_panel=PLAN,
    ),
]
BuilderFlags = Annotated[
    list[str] | None,
    typer.Option(
        metavar=NAME,
        help="A further tensorrt.BuilderFlag; may be given several times.",
        rich_help_panel=PLAN,
    ),
]
ComputeCapability = Annotated[
    list[str] | None,
    typer.Option(
        metavar="<x.y>",
        help="Build with TensorRT for RTX for this kind of GPU, which need not be present; may "
        "be given several times.",
        rich_help_panel=PLAN,
    ),
]
