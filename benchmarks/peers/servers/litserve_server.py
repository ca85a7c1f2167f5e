"""LitServe: raw bytes in and out; the batch is made in its worker process."""

from typing import Annotated, Any

import litserve
import numpy as np
from fastapi import Body, Response

from benchmarks.peers.servers import port_and_best
from benchmarks.works import work
from benchmarks.yardsticks import Array

Raw = Annotated[bytes, Body(media_type="application/octet-stream")]


class Rows(litserve.LitAPI):  # type: ignore[misc]
    """The model as a LitAPI."""

    def setup(self, device: str) -> None:
        """Nothing to load."""

    def decode_request(self, request: Raw) -> Array:
        """One row from its bytes."""
        return np.frombuffer(request, np.float32)

    def batch(self, inputs: list[Array]) -> Array:
        """Rows to a batch."""
        return np.stack(inputs)

    def predict(self, x: Array) -> Array:
        """The model."""
        return work().model(x)

    def unbatch(self, output: Array) -> list[Array]:
        """A batch to rows."""
        return list(output)

    def encode_response(self, output: Array) -> Any:
        """One answer's bytes."""
        return Response(output.tobytes(), media_type="application/octet-stream")


def main() -> None:
    """Serve; at its best with the ZeroMQ queue and without an access log."""
    port, best = port_and_best()
    server = litserve.LitServer(
        Rows(max_batch_size=work().max_batch_size), accelerator="cpu", fast_queue=best
    )
    server.run(
        host="127.0.0.1",
        port=port,
        generate_client_file=False,
        log_level="warning" if best else "info",
    )


if __name__ == "__main__":
    main()
