"""`trtasync host`."""

import json
import math
import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trtasync.cli.arguments import (
    OUT,
    SIZE,
    TIME,
    AsJson,
    Debug,
    HostCode,
    TracesOption,
)
from trtasync.cli.engine_flags import EngineFlags, takes_engine_flags
from trtasync.cli.failures import failures
from trtasync.cli.host_tables import show
from trtasync.cli.outputs import check_outputs, deliver
from trtasync.errors import InvalidInput
from trtasync.measure.loads import read_seconds
from trtasync.measure.opened import read_options
from trtasync.opening.arguments import HANG_TIMEOUT
from trtasync.system.sizes import parse_size

if TYPE_CHECKING:
    from trtasync.host.process import Wanted

CLIENTS = "The clients"


@takes_engine_flags
def host(
    *,
    models: Annotated[
        list[Path] | None, typer.Argument(help=".onnx, .plan or .engine files.")
    ] = None,
    path: Annotated[
        Path | None,
        typer.Option(
            "--socket",
            help="Where clients connect. Default: host.sock in the folder that a service manager "
            "gave (RuntimeDirectory=), else in this user's own.",
            rich_help_panel=CLIENTS,
        ),
    ] = None,
    client_memory: Annotated[
        str | None,
        typer.Option(
            metavar=SIZE,
            help="Memory that one client may share, e.g. 512MiB.",
            rich_help_panel=CLIENTS,
        ),
    ] = None,
    total_memory: Annotated[
        str | None,
        typer.Option(
            metavar=SIZE,
            help="Memory that all clients may share. Default: half of what is free.",
            rich_help_panel=CLIENTS,
        ),
    ] = None,
    hang_timeout: Annotated[
        str | None,
        typer.Option(
            metavar=TIME,
            help="Give up a stream whose batch does not end for this long, and for ten times what "
            "is usual. 0: never. Default: 30s.",
        ),
    ] = None,
    status: Annotated[
        bool,
        typer.Option(
            "--status",
            help="Ask hosts that run what they do: the one at --socket, else all of this user.",
            rich_help_panel=OUT,
        ),
    ] = False,
    engine: EngineFlags,
    engine_host_code_allowed: HostCode = False,
    traces: TracesOption = None,
    as_json: AsJson = None,
    debug: Debug = False,
) -> None:
    """Serve models to other processes of this user, which `trtasync.connect` to them."""
    with failures(debug):
        if status:
            _demand(not models, "--status asks a host that runs, which has its models.")
            _show_status(path, as_json)
            return
        _demand(models, "say which models are to be served.")
        _demand(as_json is None, "--json goes with --status.")
        options = engine.options() | {"engine_host_code_allowed": engine_host_code_allowed}
        from trtasync.host.limits import default_limits
        from trtasync.host.process import Wanted, run

        limits = default_limits(
            bytes_per_client=None if client_memory is None else parse_size(client_memory),
            total_bytes=None if total_memory is None else parse_size(total_memory),
            hang_timeout=_hang_timeout(hang_timeout),
        )
        wanted = Wanted(
            [read_options(model, options) for model in models or ()],
            os.path.abspath(path or default_path()),
            limits,
            traces=traces,
        )
        run(wanted, partial(_say_ready, wanted))


def _hang_timeout(said: str | None) -> float:
    seconds = HANG_TIMEOUT if said is None else read_seconds(said, "--hang-timeout")
    return seconds or math.inf


def default_path() -> Path:
    """Of the socket, where none is named.

    Raises:
        InvalidInput: there is no folder that is this user's alone.
    """
    given = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given) / "host.sock"
    from trtasync.shared.places import runtime_folder

    return runtime_folder() / "host.sock"


def _show_status(path: Path | None, as_json: str | None) -> None:
    check_outputs(None, as_json)
    told = _ask_all(path)
    _demand(
        as_json is None or len(told) == 1,
        f"--json is about one process, and there are {len(told)}; name its --socket, of "
        f"{', '.join(map(str, told))}.",
    )
    for at, each in told.items():
        deliver(json.dumps(each, indent=2), as_json, partial(show, at=at, told=each))


def _ask_all(path: Path | None) -> dict[Path, dict[str, Any]]:
    """What hosts tell, by their sockets: of the one that is named, else of the service, else of all
    that clients of this user started."""
    from trtasync.shared.figures import ask
    from trtasync.shared.joining import NotThere

    place = path or default_path()
    if path is not None or place.exists():
        return {place: ask(place)}
    told = {}
    for each in sorted(place.parent.glob("*.sock")):
        with suppress(NotThere):  # its process was killed
            told[each] = ask(each)
    if not told:
        raise NotThere(
            f"no engine process of this user runs: none listens in {place.parent}, neither one "
            "that shared=True has started nor `trtasync host` (at another --socket?)."
        )
    return told


def _say_ready(wanted: "Wanted") -> None:
    typer.echo(f"process {os.getpid()} serves {len(wanted.models)} models at {wanted.socket}")


def _demand(sense: object, words: str) -> None:
    if not sense:
        raise InvalidInput(words)
