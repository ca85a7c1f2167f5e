"""A cluster for all tests of a run; how Ray passes requests on is told by its own variables."""

import importlib.util
import itertools
import os
import random
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

HAS_RAY = importlib.util.find_spec("ray") is not None
collect_ignore_glob = [] if HAS_RAY else ["test_*.py"]


def _free_port() -> int:
    """Below those that a system gives to whoever asks for any, as Ray's processes do before its
    proxies begin; and above those of Ray's workers."""
    while True:
        port = random.randrange(20_000, 32_768)
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port


HTTP, GRPC = _free_port(), _free_port()
"""Where the proxies of the cluster listen."""

PORTS = (
    "RAY_SERVE_HAPROXY_METRICS_PORT",
    "RAY_SERVE_HAPROXY_STATS_PORT",
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
    "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT",
)
"""Of HAProxy, which two clusters of one machine would contend for."""

HOME = "trtasync.integrations.ray_serve"
FOLDER = Path(tempfile.gettempdir(), f"ray-{os.getpid()}")
"""Of all files of the cluster. Sockets are among them: their paths must be short."""

if HAS_RAY:  # which reads these when it is imported
    haproxy = FOLDER / "haproxy"
    os.environ |= {
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_IGNORE_UNHANDLED_ERRORS": "1",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": f"{HOME}.json_errors:middlewares",
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(haproxy / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(haproxy / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(haproxy / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(haproxy),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(haproxy / "server-state"),
        **{name: str(_free_port()) for name in PORTS},
    }


Run = Callable[..., Any]

_applications = itertools.count()

SOON_GONE = {"graceful_shutdown_wait_loop_s": 0.1}
"""How often a replica that is to end looks whether it has answered everything."""


@pytest.fixture(autouse=True)
def nothing_left_behind() -> None:
    """A cluster stays for many tests; `cluster` looks at the end."""


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """The loop of all callers: handles may belong to it for as long as the cluster is there."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="session")
def cluster(portal: BlockingPortal) -> Iterator[None]:
    """Ray with its proxies; when it has ended, no process and no file of it is left."""
    import ray
    from ray import serve
    from ray.serve.config import gRPCOptions

    ray.init(
        address="local",
        include_dashboard=False,
        num_cpus=8,
        num_gpus=8,  # Ray believes what it is told; replicas find out that there are none
        object_store_memory=100 << 20,
        log_to_driver=False,
        _temp_dir=str(FOLDER),
    )
    service = f"{HOME}.grpc.add_inference_service"
    try:
        serve.start(
            http_options={"host": "127.0.0.1", "port": HTTP},
            grpc_options=gRPCOptions(port=GRPC, grpc_servicer_functions=[service]),
        )
        yield
    finally:
        portal.call(serve.shutdown)
        ray.shutdown()
        shutil.rmtree(FOLDER)
    assert not _processes_of(FOLDER)


def _processes_of(folder: Path) -> list[str]:
    """Command lines that name a file of the cluster."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended meanwhile
        if str(folder) in words:
            found.append(words)
    return found


@pytest.fixture(scope="session")
def double(portal: BlockingPortal, cluster: None) -> Any:
    """The handle of a scripted replica, for tests that leave it as they find it."""
    from ray import serve

    from tests.ray.models import scripted

    bound = scripted().options(**SOON_GONE).bind()
    return portal.call(lambda: serve.run(bound, name="double", route_prefix="/double"))


@pytest.fixture
def run(portal: BlockingPortal, cluster: None) -> Iterator[Run]:
    """Runs a deployment as the application of this test, or another version of it, and gives its
    handle, whose first request waits for a replica; deletes it when the test ends.

    Ray's own waiting for either looks but once a second.
    """
    from ray import serve
    from ray.serve.api import RunTarget

    name = f"app{next(_applications)}"  # Ray's routers remember who was deleted

    def running(deployment: Any, *arguments: Any, **options: Any) -> Any:
        bound = deployment.options(**SOON_GONE, **options).bind(*arguments)
        target = RunTarget(bound, name=name, route_prefix=f"/{name}")
        start = partial(serve.run_many, [target], wait_for_applications_running=False)
        (handle,) = portal.call(start)
        return handle

    yield running
    portal.call(partial(serve.delete, name, _blocking=False))
