"""Options that several commands have, each written once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from trtasync.bench.plot import check as check_plot
from trtasync.errors import InvalidInput

REQUESTS, ENGINE, OUT = "The requests", "The engine", "What comes out"

Model = Annotated[Path, typer.Argument(help="An .onnx, .plan or .engine file.")]
Rows = Annotated[int, typer.Option(help="Per request.", rich_help_panel=REQUESTS)]
RowShapes = Annotated[
    list[str] | None,
    typer.Option(
        help="For dynamic axes, e.g. x:1x3x224x224; may be given several times.",
        rich_help_panel=REQUESTS,
    ),
]
InputFile = Annotated[
    Path | None,
    typer.Option(
        "--input",
        help="An .npz with an array of rows per input; random numbers without it.",
        rich_help_panel=REQUESTS,
    ),
]
Seed = Annotated[int, typer.Option(help="Of random numbers.", rich_help_panel=REQUESTS)]
BackendName = Annotated[
    Literal["auto", "tensorrt", "onnxruntime"], typer.Option(rich_help_panel=ENGINE)
]
Devices = Annotated[str | None, typer.Option(help="GPU indices, e.g. 0,1.", rich_help_panel=ENGINE)]
Profiles = Annotated[
    list[str] | None,
    typer.Option(
        help="How an .onnx file is built on a GPU, as in `trtasync build`.",
        rich_help_panel=ENGINE,
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
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]


def check_outputs(as_json: str | None, picture: Path | None, *more: Path | None) -> None:
    """Before minutes are spent on what could not be kept.

    Raises:
        InvalidInput: a file cannot be written, or no picture be drawn.
    """
    json_file = Path(as_json) if as_json and as_json != "-" else None
    for file in filter(None, (json_file, picture, *more)):
        if not file.absolute().parent.is_dir():
            raise InvalidInput(f"there is no folder {file.absolute().parent} to write {file} to.")
        if file.is_dir():
            raise InvalidInput(f"{file} is a folder; name a file to write.")
    if picture is not None:
        check_plot(picture)
