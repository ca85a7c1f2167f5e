"""`trtasync doctor`."""

import json

import typer
from rich.console import Console

from trtasync.cli.arguments import AsJson, Debug
from trtasync.cli.failures import failures
from trtasync.cli.outputs import check_outputs, deliver
from trtasync.doctor import examine
from trtasync.doctor.text import text


def doctor(as_json: AsJson = None, debug: Debug = False) -> None:
    """Say what is installed here, what this machine allows, and what each backend lacks."""
    with failures(debug):
        check_outputs(None, as_json)
        report = examine()

        def show(console: Console) -> None:
            typer.echo(text(report, console.width))

        deliver(json.dumps(report.as_dict(), indent=2), as_json, show)
