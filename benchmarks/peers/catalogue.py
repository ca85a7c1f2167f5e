"""Who takes part: environments with their pinned packages, and systems with their settings."""

from typing import NamedTuple

NUMPY = "numpy==2.4.6"
MODELS = (NUMPY, "onnxruntime==1.32.0")
"""What the models of `benchmarks.works` need."""
BASE = (*MODELS, "anyio==4.16.0")
"""And what `benchmarks.load` needs, where a peer is called in its process."""
OWN = "own"
"""The environment of what runs by the interpreter that measures."""
IN_PROCESS = "in process"
HTTP = "HTTP"


class System(NamedTuple):
    """One peer under one setting, called in process or over HTTP.

    Attributes:
        key: what `callables.OPEN` knows it by, or the server's own name with "-best" at its best.
        kind: `IN_PROCESS` or `HTTP`.
        environment: a key of `ENVIRONMENTS`, or `OWN`.
        title: what the table calls it; {name} is the installed version of a distribution.
        settings: what it runs with, for the table.
        body: of a server, a key of `bodies.BODIES`.
        server: of a server, the words after `-m benchmarks.peers.servers.`, PORT left out.
        variables: set for its processes.
        native: its interpreter has to be found by a program of the peer's (PyTriton).
        worker: of one called in process, the module that takes its plan.
    """

    key: str
    kind: str
    environment: str
    title: str
    settings: str
    body: str = ""
    server: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    native: bool = False
    worker: str = "benchmarks.worker"

    @property
    def cell(self) -> str:
        """Its name in the results file."""
        return f"{self.key}/{self.kind}"


ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    "ours": (
        *BASE,
        "async-batcher==0.2.2",
        "httptools==0.9.0",
        "starlette==1.10.0",
        "uvicorn==0.54.0",
        "uvloop==0.23.0",
    ),
    "batched": (*BASE, "batched==0.1.5"),
    "aioautobatch": (*BASE, "aioautobatch==0.1.4"),
    # pydantic: it imports it and does not ask for it
    "fast-dynamic-batcher": (*BASE, "fast-dynamic-batcher==1.1.0", "pydantic==2.14.3"),
    "bentoml": (*BASE, "bentoml==1.4.39"),
    "litserve": (*MODELS, "litserve==0.2.19"),
    "mosec": (*MODELS, "mosec==0.9.8"),
    "ray": (*BASE, "ray[serve]==2.60.0"),
    # Triton's Python backend of that age reads arrays of NumPy 2 wrongly
    "pytriton": ("numpy==1.26.4", "nvidia-pytriton==0.7.0"),
}
"""By name, what pip installs; the project itself is on the path of all."""


def pinned(environment: str) -> dict[str, str]:
    """The versions that an environment asks for, by distribution; none of `OWN`."""
    pairs = (requirement.split("==") for requirement in ENVIRONMENTS.get(environment, ()))
    return {name.partition("[")[0]: version for name, version in pairs}


PRIVATE = "private entry point"
OURS = "**trtasync**"
STARLETTE = "Starlette {starlette} + uvicorn {uvicorn}"

CALLED = (
    System("trtasync", IN_PROCESS, "ours", OURS, "default"),
    System("slab", IN_PROCESS, "ours", "hand-written, no features", "the model inline"),
    System("async-batcher", IN_PROCESS, "ours", "async-batcher {async-batcher}", "default"),
    System(
        "async-batcher-best",
        IN_PROCESS,
        "ours",
        "async-batcher {async-batcher}",
        "`max_queue_time=0`",
    ),
    System("batched", IN_PROCESS, "batched", "batched {batched}", "default"),
    System("batched-best", IN_PROCESS, "batched", "batched {batched}", "`timeout_ms=0`"),
    System(
        "aioautobatch", IN_PROCESS, "aioautobatch", "aioautobatch {aioautobatch}", "`batch_size=32`"
    ),
    System(
        "aioautobatch-best",
        IN_PROCESS,
        "aioautobatch",
        "aioautobatch {aioautobatch}",
        "and `max_delay=0.05`",
    ),
    System(
        "fast-dynamic-batcher",
        IN_PROCESS,
        "fast-dynamic-batcher",
        "fast-dynamic-batcher {fast-dynamic-batcher}",
        "default",
    ),
    System(
        "fast-dynamic-batcher-best",
        IN_PROCESS,
        "fast-dynamic-batcher",
        "fast-dynamic-batcher {fast-dynamic-batcher}",
        "`max_delay=0.001`, 64 threads",
    ),
    System("bentoml", IN_PROCESS, "bentoml", "BentoML {bentoml}'s dispatcher", PRIVATE),
    System("ray", IN_PROCESS, "ray", "Ray {ray}'s `@serve.batch`", f"default; {PRIVATE}"),
    System(
        "ray-best",
        IN_PROCESS,
        "ray",
        "Ray {ray}'s `@serve.batch`",
        f"`batch_wait_timeout_s=0`; {PRIVATE}",
    ),
)

SERVED = (
    System(
        "trtasync",
        HTTP,
        "ours",
        f"{OURS} behind {STARLETTE}",
        "default",
        "raw",
        ("starlette_server", "default", "trtasync"),
    ),
    System(
        "trtasync-best",
        HTTP,
        "ours",
        f"{OURS} behind {STARLETTE}",
        "no access log",
        "raw",
        ("starlette_server", "best", "trtasync"),
    ),
    System(
        "slab-best",
        HTTP,
        "ours",
        "hand-written, behind the same",
        "no access log",
        "raw",
        ("starlette_server", "best", "slab"),
    ),
    System(
        "mosec",
        HTTP,
        "mosec",
        "mosec {mosec}",
        "default",
        "raw, /inference",
        ("mosec_server", "default"),
    ),
    System(
        "mosec-best",
        HTTP,
        "mosec",
        "mosec {mosec}",
        "`max_wait_time=1`",
        "raw, /inference",
        ("mosec_server", "best"),
    ),
    System(
        "pytriton",
        HTTP,
        "pytriton",
        "PyTriton {nvidia-pytriton}",
        "default",
        "KServe v2, binary",
        ("pytriton_server", "default"),
        native=True,
    ),
    System(
        "litserve",
        HTTP,
        "litserve",
        "LitServe {litserve}",
        "default",
        "raw, /predict",
        ("litserve_server", "default"),
    ),
    System(
        "litserve-best",
        HTTP,
        "litserve",
        "LitServe {litserve}",
        "`fast_queue`, no access log",
        "raw, /predict",
        ("litserve_server", "best"),
    ),
    System(
        "bentoml",
        HTTP,
        "bentoml",
        "BentoML {bentoml}",
        "default; base64",
        "base64 in JSON",
        ("bentoml_server", "default"),
    ),
    System(
        "bentoml-best",
        HTTP,
        "bentoml",
        "BentoML {bentoml}",
        "no log, metrics, traces; base64",
        "base64 in JSON",
        ("bentoml_server", "best"),
    ),
    System("ray", HTTP, "ray", "Ray Serve {ray}", "default", "raw", ("ray_server", "default")),
    System(
        "ray-best",
        HTTP,
        "ray",
        "Ray Serve {ray}",
        "256 admitted, tuned for throughput, HAProxy, no access log",
        "raw",
        ("ray_server", "best"),
        (
            ("RAY_AUTH_MODE", "disabled"),
            ("RAY_SERVE_THROUGHPUT_OPTIMIZED", "1"),
            ("RAY_SERVE_ENABLE_HA_PROXY", "1"),
        ),
    ),
)

SYSTEMS: dict[str, System] = {system.cell: system for system in (*CALLED, *SERVED)}

REFERENCE = {IN_PROCESS: f"trtasync/{IN_PROCESS}", HTTP: f"trtasync-best/{HTTP}"}
"""What each table's ratios are formed over."""
