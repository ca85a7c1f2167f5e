"""Options that several commands have, each written once: one name, one meaning."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from trtasync.cli.sizes import parse_size
from trtasync.errors import InvalidInput
from trtasync.measure.loads import read_numbers, read_seconds
from trtasync.opening.backends import BackendName
from trtasync.plans import SharedCache

REQUESTS, ENGINE, OUT = "The requests", "The engine", "What comes out"
CACHE = "Where plans are kept"

ModelArgument = Annotated[Path, typer.Argument(help="An .onnx, .plan or .engine file.")]
Rows = Annotated[int, typer.Option(help="Per request.", rich_help_panel=REQUESTS)]
RowShapes = Annotated[
    list[str] | None,
    typer.Option(
        help="For dynamic axes, e.g. x:1x3x224x224; may be given several times.",
        rich_help_panel=REQUESTS,
    ),
]
Samples = Annotated[
    Path | None,
    typer.Option(
        help="An .npz with an array of rows per input; random numbers without it.",
        rich_help_panel=REQUESTS,
    ),
]
Seed = Annotated[int, typer.Option(help="Of random numbers.", rich_help_panel=REQUESTS)]
BackendOption = Annotated[BackendName, typer.Option(rich_help_panel=ENGINE)]
BuilderOption = Annotated[
    Literal["auto", "tensorrt", "tensorrt-rtx"], typer.Option(rich_help_panel=ENGINE)
]
Devices = Annotated[str | None, typer.Option(help="GPU indices, e.g. 0,1.", rich_help_panel=ENGINE)]
OneDevice = Annotated[
    str | None, typer.Option("--devices", help="GPU index; one.", rich_help_panel=ENGINE)
]
Streams = Annotated[int | None, typer.Option(help="Batches side by side.", rich_help_panel=ENGINE)]
Threads = Annotated[int | None, typer.Option(help="CPU threads per run.", rich_help_panel=ENGINE)]
MaxBatchSize = Annotated[int | None, typer.Option(help="Rows.", rich_help_panel=ENGINE)]
BatchSizes = Annotated[
    str | None, typer.Option(help="The only sizes run, e.g. 1,8,64.", rich_help_panel=ENGINE)
]
BatchingOption = Annotated[
    Literal["auto", "on", "off", "proved"],
    typer.Option(
        help="Whether requests share batches: auto (where a check finds no fault), on (whatever it "
        "finds), off, or proved (where a proof exists).",
        rich_help_panel=ENGINE,
    ),
]
BatchAxes = Annotated[
    list[str] | None,
    typer.Option(
        "--batch-axis",
        metavar="NAME=AXIS",
        help="Where a tensor's rows lie, or NAME=none; may be given several times.",
        rich_help_panel=ENGINE,
    ),
]
ProfileOptions = Annotated[
    list[str] | None,
    typer.Option(
        help="How an .onnx file is built on a GPU, name:MIN/OPT/MAX,..., as in `trtasync build`; "
        "may be given several times.",
        rich_help_panel=ENGINE,
    ),
]
RunTimeout = Annotated[
    str | None,
    typer.Option(help="A run that takes longer is ended, e.g. 10s.", rich_help_panel=ENGINE),
]
MaxRowBytes = Annotated[
    str | None,
    typer.Option(help="Larger rows are refused, e.g. 64MiB.", rich_help_panel=ENGINE),
]
HostCode = Annotated[
    bool,
    typer.Option(
        "--engine-host-code-allowed",
        help="Run the code of a version-compatible plan. Only if you trust it.",
    ),
]
CacheFolder = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir",
        help="Keep plans here. Default: TRTASYNC_CACHE_DIR, or the user's cache folder.",
        rich_help_panel=CACHE,
    ),
]
CacheOwner = Annotated[
    str | None,
    typer.Option(
        help="Whose plans in --cache-dir are taken; others read them, this user fills it.",
        rich_help_panel=CACHE,
    ),
]
AsJson = Annotated[
    str | None,
    typer.Option("--json", help="Write everything here; - prints it.", rich_help_panel=OUT),
]
Picture = Annotated[
    Path | None,
    typer.Option("--plot", help="Curves, as .png, .svg or .pdf.", rich_help_panel=OUT),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=OUT)]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]


def read_devices(text: str | None) -> list[int] | None:
    """From "0,1"."""
    return None if text is None else read_numbers(text, "--devices", int)


def read_device(text: str | None) -> int:
    """From "1"; the first without one.

    Raises:
        InvalidInput: it is more than one.
    """
    first, *more = read_devices(text) or [0]
    if more:
        raise InvalidInput(f"--devices takes one GPU here, e.g. {first}, not {text}.")
    return first


def read_sizes(text: str | None) -> Sequence[int] | None:
    """From "1,8,64"."""
    return None if text is None else read_numbers(text, "--batch-sizes", int)


def read_switch(text: Literal["on", "off"]) -> bool:
    """True for "on"."""
    return text == "on"


def read_batching(
    text: Literal["auto", "on", "off", "proved"],
) -> bool | Literal["auto", "proved"]:
    """What `open_engine` is given as `batching`."""
    return text if text in ("auto", "proved") else text == "on"


def read_limits(run_timeout: str | None, max_row_bytes: str | None) -> dict[str, float | None]:
    """From "10s" and "64MiB": options of `open_engine`, by name."""
    return {
        "run_timeout": None if run_timeout is None else read_seconds(run_timeout, "--run-timeout"),
        "max_row_bytes": None if max_row_bytes is None else parse_size(max_row_bytes),
    }


def cache_of(folder: Path | None, owner: str | None) -> bool | str | SharedCache:
    """What `open_engine` and `build_plan` are given as `cache`.

    Raises:
        InvalidInput: it is an owner of no folder.
    """
    if owner is None:
        return True if folder is None else str(folder)
    if folder is None:
        raise InvalidInput("--cache-owner says whose --cache-dir is; give both.")
    return SharedCache(str(folder), int(owner) if owner.isdecimal() else owner)


def read_batch_axes(texts: Sequence[str] | None) -> dict[str, int | None]:
    """From "state=1" and "rate=none"; names may hold "=" themselves.

    Raises:
        InvalidInput: one has another form, or a tensor is named twice.
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
