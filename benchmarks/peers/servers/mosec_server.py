"""mosec: raw bytes in and out; HTTP and batches are made in Rust. `... PORT SETTINGS [images]`."""

import sys

import mosec
import numpy as np

from benchmarks.peers.servers import port_and_best
from benchmarks.systems import first_columns
from benchmarks.works import work
from benchmarks.yardsticks import Array


class Rows(mosec.Worker):  # type: ignore[misc]
    """The model as a mosec worker."""

    def deserialize(self, data: bytes) -> Array:
        """One row from its bytes."""
        return np.frombuffer(data, np.float32)

    def forward(self, rows: list[Array]) -> list[Array]:
        """The model."""
        return list(work().model(np.stack(rows)))

    def serialize(self, row: Array) -> bytes:
        """One answer's bytes."""
        return row.tobytes()


class Images(Rows):
    """Rows of `IMAGE` columns."""

    def forward(self, rows: list[Array]) -> list[Array]:
        """The model for them."""
        return list(first_columns(np.stack(rows)))


def main() -> None:
    """Serve; at its best with the shortest wait that there is (1 ms instead of 10).

    An answer may take half a minute, so that a loaded machine is no failure.
    """
    port, best = port_and_best()
    worker = Images if "images" in sys.argv else Rows
    sys.argv[1:] = ["--port", str(port), "--address", "127.0.0.1", "--timeout", "30000"]
    server = mosec.Server()
    size = work().max_batch_size
    if best:
        sys.argv += ["--log-level", "warning"]
        server.append_worker(worker, num=1, max_batch_size=size, max_wait_time=1)
    else:
        server.append_worker(worker, num=1, max_batch_size=size)
    server.run()


if __name__ == "__main__":
    main()
