"""One cluster and all systems in it: `python -m benchmarks.ray_serve.cluster '<plan as JSON>'`.

Prints, in its last line, the samples of each round by system. Ray's variables set its mode.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.load import Sample, closed_loop, rows
from benchmarks.peers.generator import Order
from benchmarks.peers.processes import cpu_below
from benchmarks.systems import CLASSES, COLUMNS, MAX_BATCH_SIZE, model
from benchmarks.yardsticks import Array
from trtasync import TensorSpec
from trtasync.integrations.ray_serve import Client, deployment
from trtasync.measure.runs import on_loop
from trtasync.testing import FunctionBackend

MODEL_SECONDS = 0.02
ADMITTED = 256
"""Requests at a time of a replica of Ray's own, as in `benchmarks.peers`."""

PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a cluster does.

    Attributes:
        port: the HTTP port.
        folder: for all its files.
        callers: concurrent callers.
        rounds: each samples every system once.
        seconds: length of a sample.
        warm_up: seconds of the same load before it.
    """

    port: int
    folder: str
    callers: int
    rounds: int
    seconds: float
    warm_up: float


def slow_model(x: Array) -> Array:
    """The model of all benchmarks, slowed down to a fixed time per batch."""
    time.sleep(MODEL_SECONDS)
    return model(x)


class Batched:
    """Ray's own batching, with its default wait."""

    # Ray has no types here
    @serve.batch(max_batch_size=MAX_BATCH_SIZE)  # type: ignore[untyped-decorator]
    async def infer(self, given: list[Array]) -> list[Array]:
        """The model."""
        return list(slow_model(np.stack(given)))

    async def __call__(self, request: Request) -> Response:
        """One row from its bytes, one answer's bytes."""
        answer: Array = await self.infer(np.frombuffer(await request.body(), np.float32))
        return Response(answer.tobytes(), media_type="application/octet-stream")


def ours() -> Any:
    """Our deployment, with its default options."""
    backend = FunctionBackend(
        slow_model,
        inputs=[TensorSpec("x", np.dtype("float32"), ("N", COLUMNS))],
        outputs=[TensorSpec("y", np.dtype("float32"), ("N", CLASSES))],
    )
    return deployment(backend, name="rows", num_gpus=0, max_batch_size=MAX_BATCH_SIZE)


async def measure(plan: Plan) -> list[dict[str, Sample]]:
    """All rounds."""
    quiet = {"logging_config": {"enable_access_log": False}}
    batched = serve.deployment(max_ongoing_requests=ADMITTED, **quiet)(Batched)
    own = serve.run(ours().options(**quiet).bind(), name="ours", route_prefix="/")
    five = serve.run(
        ours().options(max_ongoing_requests=5, **quiet).bind(), name="five", route_prefix="/five"
    )
    rays = serve.run(batched.bind(), name="batch", route_prefix="/infer")
    asked = rows(plan.callers)

    def by_handle(infer: Callable[[Array], Awaitable[Any]]) -> Callable[[], Awaitable[Sample]]:
        def others() -> float:
            return cpu_below(os.getpid())

        return lambda: closed_loop(infer, asked, plan.seconds, plan.warm_up, others=others)

    systems: dict[str, Callable[[], Awaitable[Sample]]] = {
        "trtasync, handle": by_handle(Client(own).infer),
        "trtasync with 5 ongoing, handle": by_handle(Client(five).infer),
        "@serve.batch, handle": by_handle(lambda row: _ask(rays, row)),
        "trtasync, HTTP": lambda: _over_http(plan, "KServe v2, binary"),
        "@serve.batch, HTTP": lambda: _over_http(plan, "raw"),
    }
    order, taken = random.Random(1), []
    for _ in range(plan.rounds):
        found = {}
        for name in order.sample(sorted(systems), len(systems)):
            found[name] = await systems[name]()
            print(name, found[name]["requests_per_second"], file=sys.stderr, flush=True)
        taken.append(found)
    return taken


async def _ask(handle: Any, row: Array) -> Any:
    return await handle.infer.remote(row)


async def _over_http(plan: Plan, body: str) -> Sample:
    """Measure with the load generator of all servers, in a process of its own."""
    order = Order(plan.port, body, {plan.callers: plan.seconds}, plan.warm_up, PATIENCE)
    command = [sys.executable, "-m", "benchmarks.peers.generator", json.dumps(asdict(order))]
    done = await anyio.run_process(command, stderr=None)
    sample: Sample = json.loads(done.stdout)[str(plan.callers)]
    return sample


def main() -> None:
    """Do what the plan on the command line says."""
    plan = Plan(**json.loads(sys.argv[1]))
    ray.init(
        address="local",
        include_dashboard=False,
        num_cpus=8,
        _temp_dir=plan.folder,
        object_store_memory=100 << 20,
        log_to_driver=False,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": plan.port})
    print(json.dumps(on_loop("uvloop", lambda: measure(plan))))
    sys.stdout.flush()
    os._exit(0)  # the caller ends what is left of the cluster


def taken(plan: Plan, variables: dict[str, str]) -> list[dict[str, Sample]]:
    """The rounds of a cluster in a process of its own.

    Args:
        plan: what it does.
        variables: of Ray, for its mode.
    """
    haproxy = Path(plan.folder, "haproxy")
    places = {
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(haproxy / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(haproxy / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(haproxy / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(haproxy),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(haproxy / "server-state"),
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    command = [sys.executable, "-m", "benchmarks.ray_serve.cluster", json.dumps(asdict(plan))]
    done = subprocess.run(
        command, env={**os.environ, **places, **variables}, stdout=subprocess.PIPE, check=True
    )
    found: list[dict[str, Sample]] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
