"""Options that several commands have, each written once: one name, one meaning."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from trtasync.errors import InvalidInput
from trtasync.measure.loads import read_numbers, read_seconds
from trtasync.opening.backends import BackendName
from trtasync.plans import SharedCache
from trtasync.system.sizes import parse_size

REQUESTS, ENGINE, OUT = "Requests", "Engine", "Output"
CACHE = "Plan cache"

TIME, SIZE, NUMBER, NUMBERS = "<time>", "<size>", "<number>", "<numbers>"
NAME, LEVEL, FILE, SHAPES, PROFILE = "<name>", "<level>", "<file>", "<shapes>", "<profile>"
"""What a text stands for, where a help shows the types of values."""

ModelArgument = Annotated[Path, typer.Argument(help="An .onnx, .plan or .engine file.")]
Rows = Annotated[int, typer.Option(help="Rows per request.", rich_help_panel=REQUESTS)]
RowShapes = Annotated[
    list[str] | None,
    typer.Option(
        metavar=SHAPES,
        help="Lengths of dynamic axes, e.g. x:1x3x224x224; may be given several times.",
        rich_help_panel=REQUESTS,
    ),
]
Samples = Annotated[
    Path | None,
    typer.Option(
        help="An .npz file with an array of rows for each input; default: random numbers.",
        rich_help_panel=REQUESTS,
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of the random numbers.", rich_help_panel=REQUESTS)]
BackendOption = Annotated[
    BackendName,
    typer.Option(
        metavar=NAME,
        help="What runs the model: auto (what suits file and machine), tensorrt, tensorrt-rtx or "
        "onnxruntime.",
        rich_help_panel=ENGINE,
    ),
]
BuilderOption = Annotated[
    Literal["auto", "tensorrt", "tensorrt-rtx"],
    typer.Option(
        metavar=NAME,
        help="What builds the plan: auto (what is installed), tensorrt or tensorrt-rtx.",
        rich_help_panel=ENGINE,
    ),
]
LoopName = Literal["asyncio", "uvloop", "trio"]
LOOP_HELP = "Event loop of the callers."
Devices = Annotated[
    str | None,
    typer.Option(metavar=NUMBERS, help="Indices of the GPUs, e.g. 0,1.", rich_help_panel=ENGINE),
]
OneDevice = Annotated[
    str | None,
    typer.Option("--devices", metavar=NUMBER, help="Index of one GPU.", rich_help_panel=ENGINE),
]
Streams = Annotated[
    int | None, typer.Option(help="Batches that run in parallel.", rich_help_panel=ENGINE)
]
Threads = Annotated[int | None, typer.Option(help="CPU threads per run.", rich_help_panel=ENGINE)]
MaxBatchSize = Annotated[
    int | None, typer.Option(help="Rows of the largest batch.", rich_help_panel=ENGINE)
]
BatchSizes = Annotated[
    str | None,
    typer.Option(
        metavar=NUMBERS, help="The only batch sizes to run, e.g. 1,8,64.", rich_help_panel=ENGINE
    ),
]
BatchingOption = Annotated[
    Literal["auto", "on", "off", "proved"],
    typer.Option(
        help="Whether requests share batches: auto (if a check finds that rows are independent), "
        "on (without a check), off, or proved (if independence can be proved).",
        rich_help_panel=ENGINE,
    ),
]
BatchAxes = Annotated[
    list[str] | None,
    typer.Option(
        "--batch-axis",
        metavar="<name=axis>",
        help="The batch axis of a tensor, or NAME=none; may be given several times.",
        rich_help_panel=ENGINE,
    ),
]
MaxQueueDelay = Annotated[
    str,
    typer.Option(
        metavar=TIME,
        help="Let batches wait for rows (Triton's rule), e.g. 2ms.",
        rich_help_panel=ENGINE,
    ),
]
MaxQueueSize = Annotated[
    int | None, typer.Option(help="Rows that may wait.", rich_help_panel=ENGINE)
]
MaxQueueTime = Annotated[
    str | None,
    typer.Option(
        metavar=TIME,
        help="Reject requests that would wait longer, e.g. 100ms.",
        rich_help_panel=ENGINE,
    ),
]
Graphs = Annotated[
    Literal["on", "off"], typer.Option(help="Use CUDA graphs.", rich_help_panel=ENGINE)
]
ProfileOptions = Annotated[
    list[str] | None,
    typer.Option(
        metavar=PROFILE,
        help="Optimization profile for building an .onnx file, name:MIN/OPT/MAX,..., as in "
        "`trtasync build`; may be given several times.",
        rich_help_panel=ENGINE,
    ),
]
RunTimeout = Annotated[
    str | None,
    typer.Option(
        metavar=TIME, help="Abort runs that take longer, e.g. 10s.", rich_help_panel=ENGINE
    ),
]
TracesOption = Annotated[
    str | None,
    typer.Option(
        metavar=NAME,
        help="Export spans by this exporter of OpenTelemetry, e.g. otlp; OTEL_* variables say "
        "where to, and which.",
    ),
]
MaxRowBytes = Annotated[
    str | None,
    typer.Option(metavar=SIZE, help="Reject larger rows, e.g. 64MiB.", rich_help_panel=ENGINE),
]
HostCode = Annotated[
    bool,
    typer.Option(
        "--engine-host-code-allowed",
        help="Run the code inside a version-compatible plan. Use it only for plans you trust.",
    ),
]
CacheFolder = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir",
        help="Folder of the cache. Default: TRTASYNC_CACHE_DIR, or the user's cache folder.",
        rich_help_panel=CACHE,
    ),
]
CacheOwner = Annotated[
    str | None,
    typer.Option(
        metavar=NAME,
        help="The user who fills --cache-dir; only this user's plans are used.",
        rich_help_panel=CACHE,
    ),
]
AsJson = Annotated[
    str | None,
    typer.Option(
        "--json",
        metavar=FILE,
        help="Write the full report to this file; - for stdout.",
        rich_help_panel=OUT,
    ),
]
Picture = Annotated[
    Path | None,
    typer.Option(
        "--plot", help="Draw the curves into a .png, .svg or .pdf file.", rich_help_panel=OUT
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Show no progress.", rich_help_panel=OUT)
]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]


def read_devices(text: str | None) -> list[int] | None:
    """Parse "0,1"."""
    return None if text is None else read_numbers(text, "--devices", int)


def read_device(text: str | None) -> int:
    """Parse "1"; without a number, the first GPU.

    Raises:
        InvalidInput: more than one GPU was named.
    """
    first, *more = read_devices(text) or [0]
    if more:
        raise InvalidInput(f"--devices takes one GPU here, e.g. {first}, not {text}.")
    return first


def read_sizes(text: str | None) -> Sequence[int] | None:
    """Parse "1,8,64"."""
    return None if text is None else read_numbers(text, "--batch-sizes", int)


def read_switch(text: Literal["on", "off"]) -> bool:
    """True if the text is "on"."""
    return text == "on"


def read_batching(
    text: Literal["auto", "on", "off", "proved"],
) -> bool | Literal["auto", "proved"]:
    """The value of `open_engine`'s `batching`."""
    return text if text in ("auto", "proved") else text == "on"


def read_limits(run_timeout: str | None, max_row_bytes: str | None) -> dict[str, float | None]:
    """Parse "10s" and "64MiB" into options of `open_engine`, by name."""
    return {
        "run_timeout": None if run_timeout is None else read_seconds(run_timeout, "--run-timeout"),
        "max_row_bytes": None if max_row_bytes is None else parse_size(max_row_bytes),
    }


def read_queue(delay: str, size: int | None, seconds: str | None) -> dict[str, float | None]:
    """From "2ms", 100 and "100ms": options of `open_engine`, by name."""
    return {
        "max_queue_delay": read_seconds(delay, "--max-queue-delay"),
        "max_queue_size": size,
        "max_queue_time": None if seconds is None else read_seconds(seconds, "--max-queue-time"),
    }


def cache_of(folder: Path | None, owner: str | None) -> bool | str | SharedCache:
    """The value of `cache` for `open_engine` and `build_plan`.

    Raises:
        InvalidInput: an owner is named but no folder.
    """
    if owner is None:
        return True if folder is None else str(folder)
    if folder is None:
        raise InvalidInput("--cache-owner names the owner of --cache-dir; give both.")
    return SharedCache(str(folder), int(owner) if owner.isdecimal() else owner)


def read_batch_axes(texts: Sequence[str] | None) -> dict[str, int | None]:
    """Parse "state=1" and "rate=none"; a name may itself contain "=".

    Raises:
        InvalidInput: a text has another form, or a tensor is named twice.
    """
    axes: dict[str, int | None] = {}
    for text in texts or ():
        name, _, axis = text.rpartition("=")
        if not name or not re.fullmatch(r"-?[0-9]+|none", axis):
            raise InvalidInput(f"--batch-axis takes NAME=AXIS or NAME=none, not {text!r}.")
        if name in axes:
            raise InvalidInput(f"--batch-axis names {name!r} twice; give it once.")
        axes[name] = None if axis == "none" else int(axis)
    return axes
