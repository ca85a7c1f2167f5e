"""mosec: raw bytes in and out; HTTP and batches are made in Rust. `... PORT SETTINGS [images]`."""

import sys

import mosec
import numpy as np

from benchmarks.peers.servers import port_and_best
from benchmarks.systems import MAX_BATCH_SIZE, first_columns, model
from benchmarks.yardsticks import Array


class Rows(mosec.Worker):  # type: ignore[misc]
    """The model as a mosec worker."""

    def deserialize(self, data: bytes) -> Array:
        """One row from its bytes."""
        return np.frombuffer(data, np.float32)

    def forward(self, rows: list[Array]) -> list[Array]:
        """The model."""
        return list(model(np.stack(rows)))

    def serialize(self, row: Array) -> bytes:
        """One answer's bytes."""
        return row.tobytes()


class Images(Rows):
    """Rows of `IMAGE` columns."""

    def forward(self, rows: list[Array]) -> list[Array]:
        """The model for them."""
        return list(first_columns(np.stack(rows)))


def main() -> None:
    """Serve; at its best with the shortest wait that there is (1 ms instead of 10)."""
    port, best = port_and_best()
    worker = Images if "images" in sys.argv else Rows
    sys.argv[1:] = ["--port", str(port), "--address", "127.0.0.1"]
    server = mosec.Server()
    if best:
        sys.argv += ["--log-level", "warning"]
        server.append_worker(worker, num=1, max_batch_size=MAX_BATCH_SIZE, max_wait_time=1)
    else:
        server.append_worker(worker, num=1, max_batch_size=MAX_BATCH_SIZE)
    server.run()


if __name__ == "__main__":
    main()
