"""PyTriton: a Triton server with its dynamic batcher, the model in a Python process beside it.

`... PORT SETTINGS [GRPC_PORT]`
"""

import sys
from pathlib import Path

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from benchmarks.peers.servers import port_and_best
from benchmarks.systems import CLASSES, COLUMNS, MAX_BATCH_SIZE, model
from benchmarks.yardsticks import Array


# PyTriton's decorator has no types
@batch  # type: ignore[untyped-decorator]
def infer(x: Array) -> dict[str, Array]:
    """The model."""
    return {"y": model(x)}


def main() -> None:
    """Serve over HTTP, and over gRPC where a port for that is given."""
    port, _ = port_and_best()
    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=port,
        allow_grpc=len(sys.argv) > 3,
        grpc_address="127.0.0.1",
        grpc_port=int(sys.argv[3]) if len(sys.argv) > 3 else None,
        allow_metrics=False,
    )
    with Triton(config=config, workspace=str(Path("triton").resolve())) as triton:
        triton.bind(
            model_name="rows",
            infer_func=infer,
            inputs=[Tensor(name="x", dtype=np.float32, shape=(COLUMNS,))],
            outputs=[Tensor(name="y", dtype=np.float32, shape=(CLASSES,))],
            config=ModelConfig(max_batch_size=MAX_BATCH_SIZE, batcher=DynamicBatcher()),
        )
        triton.serve()


if __name__ == "__main__":
    main()
