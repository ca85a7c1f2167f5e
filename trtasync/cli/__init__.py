"""The command line, on typer and rich."""

from typing import Annotated

import typer

from trtasync import __version__
from trtasync.cli.bench import bench
from trtasync.cli.build import build
from trtasync.cli.check import check
from trtasync.cli.host import host
from trtasync.cli.inspect import inspect
from trtasync.cli.serve import serve
from trtasync.cli.tune import tune

app: typer.Typer = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # `failures` prints one line, or with --debug a traceback
    help="Asynchronous batch inference on TensorRT. Exit codes: 0 done, 1 unexpected, 2 wrong "
    "arguments, 3 missing GPU or package, 4 bad model or plan, 5 CUDA failed, 6 goal not met or "
    "check failed, 130 interrupted.",
)
app.command()(build)
app.command()(inspect)
app.command()(bench)
app.command()(tune)
app.command()(check)
app.command()(serve)
app.command()(host)


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
