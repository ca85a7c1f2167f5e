"""The command line, on typer and rich."""

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from trtasync import __version__
from trtasync.cli.bench import bench
from trtasync.cli.build import build
from trtasync.cli.check import check
from trtasync.cli.doctor import doctor
from trtasync.cli.host import host
from trtasync.cli.inspect import inspect
from trtasync.cli.serve import serve
from trtasync.cli.tune import tune


def _with_types_as_typed(parameters: list[Any]) -> list[Any]:
    """A flag takes no value, and an argument is a model's path; typer would show Python's types."""
    for each in parameters:
        if getattr(each, "is_flag", False):
            each.metavar = ""
        elif each.param_type_name == "argument":
            each.display_type = _path
    return parameters


def _path(_ctx: object) -> str:
    return "<path>"


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return _with_types_as_typed(super().get_params(ctx))


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return _with_types_as_typed(super().get_params(ctx))


app: typer.Typer = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,  # `failures` prints one line, or with --debug a traceback
    help="Dynamic batching of models: on GPUs with TensorRT, on CPUs with ONNX Runtime.\n\n"
    "Exit codes: 0 done, 1 unexpected, 2 wrong arguments, 3 missing GPU or package, 4 bad model or "
    "plan, 5 CUDA failed, 6 goal not met or check failed, 130 interrupted.",
)
EXAMPLES: dict[Callable[..., None], str] = {
    build: "build model.onnx --profile x:1x3x224x224/16x3x224x224/64x3x224x224 -o model.plan",
    inspect: "inspect model.onnx --layers",
    bench: "bench model.onnx -c 1,64 --rate 50%,90%",
    tune: "tune model.onnx --p99 20ms --minutes 5",
    check: "check model.onnx --seconds 30",
    serve: "serve model.onnx --workers 4 --grpc-port 8001",
    host: "host model.onnx --socket /run/trtasync/host.sock",
    doctor: "doctor --json machine.json",
}
for _command, _example in EXAMPLES.items():
    app.command(cls=_Command, epilog=f"Example: trtasync {_example}")(_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Options that every command has."""
