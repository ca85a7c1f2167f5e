"""Ray Serve on a local cluster of one node: raw bytes in and out through `@serve.batch`."""

import os
import signal
from pathlib import Path

import numpy as np
import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.peers.servers import port_and_best
from benchmarks.works import work
from benchmarks.yardsticks import Array


class Rows:
    """The model as a deployment."""

    # Ray has no types here
    @serve.batch(max_batch_size=work().max_batch_size)  # type: ignore[untyped-decorator]
    async def batch(self, rows: list[Array]) -> list[Array]:
        """The model."""
        return list(work().model(np.stack(rows)))

    async def __call__(self, request: Request) -> Response:
        """One row from its bytes, one answer's bytes."""
        row = np.frombuffer(await request.body(), np.float32)
        answer: Array = await self.batch(row)
        return Response(answer.tobytes(), media_type="application/octet-stream")


def main() -> None:
    """Serve; at its best without an access log, and with all callers admitted at once."""
    port, best = port_and_best()
    here = Path.cwd()
    os.environ |= {  # of HAProxy, in places that do not outlive it; paths of sockets must be short
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(here / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(here / "admin"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(here / "metrics"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(here),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(here / "state"),
    }
    ray.init(
        address="local",
        include_dashboard=False,
        _temp_dir=str(here / "ray"),
        object_store_memory=100 << 20,
        log_to_driver=False,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    options = {"max_ongoing_requests": 256, "logging_config": {"enable_access_log": False}}
    deployment = serve.deployment(**(options if best else {}))(Rows)
    serve.run(deployment.bind(), route_prefix="/infer")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    os._exit(0)  # what is left of the cluster is the caller's to end


if __name__ == "__main__":
    main()
