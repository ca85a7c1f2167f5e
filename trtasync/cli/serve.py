"""`trtasync serve`."""

import importlib.util
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from trtasync.cli.arguments import (
    NAME,
    SIZE,
    TIME,
    Debug,
    HostCode,
    TracesOption,
    read_batch_axes,
    read_batching,
    read_devices,
    read_sizes,
    read_switch,
)
from trtasync.cli.engine_flags import EngineFlags, takes_engine_flags
from trtasync.cli.failures import failures
from trtasync.errors import BackendUnavailable, InvalidInput

if TYPE_CHECKING:
    from trtasync.server.program.settings import EngineSettings, ServerSettings, Wanted

PACKAGES = ("msgspec", "starlette", "prometheus_client")

CLIENTS, LIFE = "The clients", "The server's life"


@takes_engine_flags
def serve(
    *,
    models: Annotated[
        list[Path] | None,
        typer.Argument(help=".onnx, .plan or .engine files, named after the files."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="A .toml file that says what is served, instead of MODELS; options have the last "
            "word over its [server], and hold for models of which it does not say otherwise."
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            metavar=NAME,
            help="Name or address to listen at. Default: 127.0.0.1, for this machine only.",
            rich_help_panel=CLIENTS,
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="Of HTTP. Default: 8000; 0 for any that is free.", rich_help_panel=CLIENTS
        ),
    ] = None,
    grpc_port: Annotated[
        int | None,
        typer.Option(
            help="Serve gRPC, too, at the same address; 0 for any that is free.",
            rich_help_panel=CLIENTS,
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(help="A certificate (PEM), with --tls-key.", rich_help_panel=CLIENTS),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="Its key (PEM).", rich_help_panel=CLIENTS)
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="Let in who sends `Authorization: Bearer TOKEN` with a line of this file; health "
            "is told to all.",
            rich_help_panel=CLIENTS,
        ),
    ] = None,
    max_body: Annotated[
        str | None,
        typer.Option(
            metavar=SIZE, help="Largest request. Default: 64MiB.", rich_help_panel=CLIENTS
        ),
    ] = None,
    max_connections: Annotated[
        int | None,
        typer.Option(
            help="Connections that each worker keeps open. Default: 16384.", rich_help_panel=CLIENTS
        ),
    ] = None,
    triton_metrics: Annotated[
        bool,
        typer.Option(
            "--triton-metrics", help="/metrics has Triton's names, too.", rich_help_panel=CLIENTS
        ),
    ] = False,
    traces: TracesOption = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that answer, over engines that they share in further ones. Default: "
            "one, with the engines in it.",
            rich_help_panel=LIFE,
        ),
    ] = None,
    grace: Annotated[
        str | None,
        typer.Option(
            metavar=TIME,
            help="After SIGTERM, go on for this long, no longer ready. Default: 0s.",
            rich_help_panel=LIFE,
        ),
    ] = None,
    drain: Annotated[
        str | None,
        typer.Option(
            metavar=TIME,
            help="Then answer what was asked, within this. Default: 30s.",
            rich_help_panel=LIFE,
        ),
    ] = None,
    hang_timeout: Annotated[
        str | None,
        typer.Option(
            metavar=TIME,
            help="Kill and replace what makes no progress for this long: a worker, the process of "
            "an engine, or a stream whose batch does not end. 0: never. Default: 30s.",
            rich_help_panel=LIFE,
        ),
    ] = None,
    log_format: Annotated[
        Literal["text", "json"] | None,
        typer.Option(help="Form of the lines on stderr. Default: text.", rich_help_panel=LIFE),
    ] = None,
    engine: EngineFlags,
    engine_host_code_allowed: HostCode = False,
    debug: Debug = False,
) -> None:
    """Serve models over HTTP, by the Open Inference Protocol (KServe v2, Triton).

    SIGTERM and Ctrl-C: no longer ready, what was asked is answered, exit code 0. SIGHUP: files
    that the options name are read again. A model whose file changes is loaded again, and replaces
    the one before when it is ready.
    """
    with failures(debug):
        _demand_packages()
        from trtasync.server.program.process import run
        from trtasync.server.program.settings import ServerSettings

        server = _read(
            ServerSettings,
            host=host,
            port=port,
            grpc_port=grpc_port,
            triton_metrics=triton_metrics or None,
            traces=traces,
            log_format=log_format,
            workers=workers,
            tls_cert=_absolute(tls_cert),
            tls_key=_absolute(tls_key),
            token_file=_absolute(token_file),
            max_body=max_body,
            max_connections=max_connections,
            grace=grace,
            drain=drain,
            hang_timeout=hang_timeout,
        )
        opened = _settings_of(engine, engine_host_code_allowed)
        read = partial(_wanted, models or [], config, server, opened)
        run(read(), read, typer.echo)


def _wanted(
    models: list[Path], config: Path | None, server: "ServerSettings", engine: "EngineSettings"
) -> "Wanted":
    from trtasync.server.program.config import check_server, offer_of, read_config
    from trtasync.server.program.settings import Wanted

    if config is not None:
        if models:
            raise InvalidInput("models are named by arguments or in the file of --config, not both")
        return read_config(config, server, engine)
    if not models:
        raise InvalidInput("say which models are to be served, or name a file with --config.")
    check_server(server)
    return Wanted(server, offer_of(models, engine))


def _read(kind: Any, **said: Any) -> Any:
    """Settings, held against their types as those in a file are."""
    import msgspec

    try:
        return msgspec.convert({name: v for name, v in said.items() if v is not None}, kind)
    except msgspec.ValidationError as error:
        words, _, place = str(error).partition(" - at `$.")
        option = place.partition("`")[0].partition("[")[0].replace("_", "-")
        raise InvalidInput(
            f"--{option}: {words[:1].lower()}{words[1:].replace('`', '')}."
        ) from error


def _settings_of(engine: EngineFlags, host_code_allowed: bool) -> "EngineSettings":
    """What is said of an engine; nothing of what is as usual, so that a file may say it."""
    from trtasync.server.program.settings import EngineSettings

    given = engine.given()
    axes = read_batch_axes(given.pop("batch_axis", None)).items()
    profiles = given.pop("profile", None)
    read: dict[str, Callable[[Any], Any]] = {
        "devices": read_devices,
        "batch_sizes": read_sizes,
        "batching": read_batching,
        "cache_dir": _absolute,
        "graphs": read_switch,
    }
    settings: EngineSettings = _read(
        EngineSettings,
        **{name: read[name](value) if name in read else value for name, value in given.items()},
        profiles=profiles,
        batch_axes={name: "none" if at is None else at for name, at in axes} or None,
        engine_host_code_allowed=host_code_allowed or None,
    )
    return settings


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())


def _demand_packages() -> None:
    if sys.platform == "win32":
        raise BackendUnavailable(
            "trtasync serve needs signals and sockets of Linux or macOS; see "
            "trtasync.server.asgi for servers that run here."
        )
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise BackendUnavailable(
            f"this needs pip install 'trtasync[server]' ({', '.join(missing)} is missing)."
        )
