"""What can be set of a server and its models, in a file or by options."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from trtasync.errors import InvalidInput
from trtasync.measure.loads import read_seconds
from trtasync.measure.opened import read_options
from trtasync.opening.arguments import HANG_TIMEOUT
from trtasync.plans import SharedCache
from trtasync.server.fast import Limits
from trtasync.server.models import MAX_ROWS
from trtasync.system.sizes import parse_size

Seconds = Annotated[float, Meta(ge=0)] | str
"""A number of seconds, or text such as "2ms"."""

Size = Annotated[int, Meta(ge=1)] | str
"""A number of bytes, or text such as "64MiB"."""

LogFormat = Literal["text", "json"]
Count = Annotated[int, Meta(ge=1)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Version = Annotated[int, Meta(ge=1, lt=10**18)]

_SECONDS = ("max_queue_delay", "max_queue_time", "check_seconds", "loop_budget", "run_timeout")
_CACHE = ("cache_dir", "cache_owner")


class EngineSettings(Struct, kw_only=True, omit_defaults=True):
    """Options of `open_engine`; None for its defaults."""

    backend: str | None = None
    devices: list[int] | None = None
    streams: int | None = None
    threads: int | None = None
    max_batch_size: int | None = None
    batch_sizes: list[int] | None = None
    preferred_batch_size: list[int] | None = None
    batching: bool | str | None = None
    batch_axes: dict[str, int | str] | None = None
    check_seconds: Seconds | None = None
    max_queue_delay: Seconds | None = None
    max_queue_size: int | None = None
    max_queue_time: Seconds | None = None
    max_row_bytes: Size | None = None
    run_timeout: Seconds | None = None
    loop_budget: Seconds | None = None
    graphs: bool | None = None
    copy_threads: int | None = None
    inline_bytes: Size | None = None
    profiles: list[str] | None = None
    cache_dir: str | None = None
    cache_owner: int | str | None = None
    engine_host_code_allowed: bool | None = None


class Served(Struct, frozen=True):
    """A version of a model.

    Attributes:
        name: its name for clients.
        version: its version.
        path: the absolute path of its file.
        engine: how it is opened.
    """

    name: str
    version: int
    path: str
    engine: EngineSettings

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of `open_engine`."""
        return _options(self.engine)

    def check(self) -> None:
        """Refuse options that make no sense, before anything is opened.

        Raises:
            InvalidInput: an option makes no sense; the message names it.
        """
        read_options(self.path, self.options)

    @property
    def max_rows(self) -> int:
        """Most rows of a request, as clients are told."""
        return self.engine.max_queue_size or MAX_ROWS

    def __str__(self) -> str:
        return f"model '{self.name}' version {self.version}"


class Target(Struct, frozen=True, forbid_unknown_fields=True):
    """What an alias stands for.

    Attributes:
        model: the name of the model.
        version: the only version meant; None for all of them.
    """

    model: str
    version: Version | None = None


class Offer(Struct, frozen=True):
    """What clients are to find.

    Attributes:
        models: the versions of models to be served.
        aliases: other names of models.
    """

    models: list[Served]
    aliases: dict[str, Target] = {}


class ServerSettings(Struct, kw_only=True, forbid_unknown_fields=True):
    """How models are served; None for the default.

    Attributes:
        host: name or address to listen at.
        port: the port for HTTP; 0 for any free one.
        grpc_port: the port for gRPC, at the same address; 0 for any free one; None for no gRPC.
        workers: number of processes that answer.
        tls_cert: path of a certificate in PEM form: the server then speaks HTTPS.
        tls_key: path of the certificate's key.
        token_file: path of a file with tokens, one per line.
        max_body: most bytes of a request's body.
        max_connections: most connections of each process.
        grace: seconds for which the server goes on after SIGTERM, no longer ready.
        drain: seconds after that in which requests in progress must be answered.
        hang_timeout: seconds for which something may stand still before it is ended.
        triton_metrics: metrics are told under Triton's names, too.
        traces: OpenTelemetry's exporter of spans.
        log_format: of the log on stderr.
    """

    host: str | None = None
    port: Port | None = None
    grpc_port: Port | None = None
    workers: Count | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    token_file: str | None = None
    max_body: Size | None = None
    max_connections: Count | None = None
    grace: Seconds | None = None
    drain: Seconds | None = None
    hang_timeout: Seconds | None = None
    triton_metrics: bool | None = None
    traces: str | None = None
    log_format: LogFormat | None = None

    @property
    def limits(self) -> Limits:
        """The limits for clients.

        Raises:
            InvalidInput: a size or a time is invalid.
        """
        usual = Limits()
        return Limits(
            body=usual.body if self.max_body is None else _size(self.max_body),
            connections=self.max_connections or usual.connections,
            drain=usual.drain if self.drain is None else _seconds("drain", self.drain),
        )

    @property
    def grace_seconds(self) -> float:
        """See `grace`."""
        return 0.0 if self.grace is None else _seconds("grace", self.grace)

    @property
    def hang_seconds(self) -> float:
        """See `hang_timeout`; 0 for no limit."""
        if self.hang_timeout is None:
            return HANG_TIMEOUT
        return _seconds("hang_timeout", self.hang_timeout)

    @property
    def ending_seconds(self) -> float:
        """Most seconds from SIGTERM to the last answer: one door drains after the other."""
        doors = 1 if self.grpc_port is None else 2
        return self.grace_seconds + doors * self.limits.drain


class Wanted(Struct):
    """A server and what it is to serve.

    Attributes:
        server: how it serves.
        offer: what it serves.
    """

    server: ServerSettings
    offer: Offer


def added(settings: Struct, over: Mapping[str, Any]) -> dict[str, Any]:
    """The values of `settings`, or, where they are None, those of `over`."""
    said = msgspec.structs.asdict(settings)
    return {name: over.get(name) if value is None else value for name, value in said.items()}


def absolute(folder: Path, path: str | None) -> str | None:
    """Make a path absolute that may be relative to `folder`."""
    return None if path is None else str(folder.absolute() / Path(path).expanduser())


def _options(settings: EngineSettings) -> dict[str, Any]:
    said = msgspec.structs.asdict(settings)
    options = {
        name: value for name, value in said.items() if value is not None and name not in _CACHE
    }
    for name in _SECONDS:
        if name in options:
            options[name] = _seconds(name, options[name])
    for name in ("max_row_bytes", "inline_bytes"):
        if name in options:
            options[name] = _size(options[name])
    if settings.batch_axes is not None:
        options["batch_axes"] = {
            name: _axis(name, said) for name, said in settings.batch_axes.items()
        }
    if settings.cache_owner is not None and settings.cache_dir is None:
        raise InvalidInput("cache_owner names the owner of cache_dir; give both.")
    if settings.cache_owner is not None and settings.cache_dir is not None:
        options["cache"] = SharedCache(settings.cache_dir, settings.cache_owner)
    elif settings.cache_dir is not None:
        options["cache"] = settings.cache_dir
    return options


def _axis(name: str, said: int | str) -> int | None:
    if isinstance(said, int):
        return said
    if said != "none":
        raise InvalidInput(f"the batch axis of {name!r} is a number or 'none', not {said!r}.")
    return None


def _seconds(name: str, said: float | str) -> float:
    return read_seconds(said, name) if isinstance(said, str) else said


def _size(said: int | str) -> int:
    size = parse_size(said) if isinstance(said, str) else said
    if size < 1:
        raise InvalidInput(f"a size here is at least one byte, not {said!r}.")
    return size
