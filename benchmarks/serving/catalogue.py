"""Who is asked, and how: servers, and the loads that each of them gets one after another."""

from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.peers import catalogue
from benchmarks.peers.catalogue import HTTP, System
from benchmarks.report import cell_name
from benchmarks.systems import COLUMNS, IMAGE
from benchmarks.table import Ratio

OWN = "own"
"""The environment of what runs by the interpreter that measures."""

CONNECTIONS = 64
FEW = 8
"""Connections for large bodies."""
CROWD = 256
"""Connections among which several fronts find work for each of them at any time."""

FRONTS = 4
CORES = 8
"""Of a machine on which several fronts and the load generator find room beside each other."""


class Load(NamedTuple):
    """What a server is asked.

    Attributes:
        connections: one request at a time on each.
        body: a key of `bodies.BODIES`.
        columns: of a row.
        model: what answers are checked by, a key of `MODELS`.
        threads: of wrk.
    """

    connections: int
    body: str
    columns: int = COLUMNS
    model: str = "product"
    threads: int = 1


class Calls(NamedTuple):
    """The same over gRPC."""

    connections: int


class Stand(NamedTuple):
    """A server.

    Attributes:
        system: how it is started; "GRPC_PORT" among its words stands for a free one.
        loads: by name.
        cores: that the machine must have.
    """

    system: System
    loads: Mapping[str, Load | Calls]
    cores: int = 1


MANY, MORE, ONE, LARGE, JSON, GRPC = "64", "256", "1", "600 KB", "JSON", "gRPC"
OURS, ECHO, MOSEC, PYTRITON = "trtasync", "Starlette echo", "mosec", "pytriton"
OTHERS = ("litserve", "bentoml", "ray")
IDLE = "no model"
FRONT, SEVERAL = "trtasync serve", f"trtasync serve --workers {FRONTS}"

OIP, OIP_JSON = "KServe v2, binary", "KServe v2, JSON"


def _of_peers(key: str) -> System:
    return catalogue.SYSTEMS[f"{key}/{HTTP}"]


def _ours(key: str, settings: str, *server: str) -> System:
    return System(key, HTTP, OWN, catalogue.OURS, settings, server=server)


def _stands() -> dict[str, Stand]:
    many = {MANY: Load(CONNECTIONS, OIP)}
    image = Load(FEW, OIP, IMAGE, "first columns")
    mosec = _of_peers("mosec-best")
    pytriton = _of_peers("pytriton")
    echo = System(ECHO, HTTP, OWN, "bare echo, " + catalogue.STARLETTE, "no access log")
    on_cores = {
        MANY: Load(CONNECTIONS, OIP, threads=FRONTS),
        MORE: Load(CROWD, OIP, threads=FRONTS),
    }
    found = {
        OURS: Stand(
            _ours(OURS, "the fast door", "oip_server", "rows"),
            many | {ONE: Load(1, OIP), JSON: Load(CONNECTIONS, OIP_JSON)},
        ),
        f"{OURS}, {LARGE}": Stand(
            _ours(OURS, "the fast door", "oip_server", "images"), {LARGE: image}
        ),
        f"{OURS}, {IDLE}": Stand(
            _ours(OURS, "the fast door, no model", "oip_server", IDLE),
            {ONE: Load(1, OIP, model="first columns")},
        ),
        f"{OURS}, {GRPC}": Stand(
            _ours(OURS, "the gRPC door", "oip_server", "rows", "GRPC_PORT"),
            {GRPC: Calls(CONNECTIONS)},
        ),
        MOSEC: Stand(mosec, {MANY: Load(CONNECTIONS, mosec.body), ONE: Load(1, mosec.body)}),
        f"{MOSEC}, {LARGE}": Stand(
            mosec._replace(server=(*mosec.server, "images")),
            {LARGE: image._replace(body=mosec.body)},
        ),
        ECHO: Stand(
            echo._replace(server=("echo_server", "best")),
            {ONE: Load(1, "raw", model="echo"), MANY: Load(CONNECTIONS, "raw", model="echo")},
        ),
        PYTRITON: Stand(
            pytriton._replace(server=(*pytriton.server, "GRPC_PORT")),
            many | {GRPC: Calls(CONNECTIONS)},
        ),
        FRONT: Stand(_ours(OURS, f"`{FRONT}`", "oip_command", "1"), on_cores, CORES),
        SEVERAL: Stand(_ours(OURS, f"`{SEVERAL}`", "oip_command", str(FRONTS)), on_cores, CORES),
    }
    for key in OTHERS:
        system = _of_peers(f"{key}-best")
        found[key] = Stand(system, {MANY: Load(CONNECTIONS, system.body)})
    return found


STANDS: dict[str, Stand] = _stands()


class Target(NamedTuple):
    """What a ratio has to be."""

    ratio: Ratio
    least: float | None = None
    most: float | None = None


def _over(
    ours: str, theirs: str, load: str, figure: str = "requests_per_second", suffix: str = ""
) -> Ratio:
    return Ratio(cell_name(ours + suffix, load), cell_name(theirs + suffix, load), figure)


TARGETS = (
    Target(_over(OURS, MOSEC, MANY), least=1.5),
    Target(_over(OURS, MOSEC, MANY, "cpu_us"), most=0.6),
    *(Target(_over(OURS, other, MANY), least=5.0) for other in OTHERS),
    Target(_over(OURS, ECHO, ONE, "p50_us"), most=1.0),
    Target(_over(OURS, MOSEC, LARGE, suffix=f", {LARGE}"), least=2.0),
    Target(_over(SEVERAL, FRONT, MANY), least=1.8),
)

RATIOS = (
    *(target.ratio for target in TARGETS),
    _over(SEVERAL, FRONT, MORE),
    Ratio(cell_name(f"{OURS}, {IDLE}", ONE), cell_name(ECHO, ONE), "p50_us"),
    Ratio(cell_name(f"{OURS}, {GRPC}", GRPC), cell_name(PYTRITON, GRPC), "requests_per_second"),
    Ratio(cell_name(f"{OURS}, {GRPC}", GRPC), cell_name(PYTRITON, GRPC), "cpu_us"),
    Ratio(cell_name(f"{OURS}, {GRPC}", GRPC), cell_name(OURS, MANY), "cpu_us"),
)
