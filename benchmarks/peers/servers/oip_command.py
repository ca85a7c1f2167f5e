"""`trtasync serve` as people use it, the model on ONNX Runtime: `... PORT WORKERS`."""

import os
import sys
from pathlib import Path

from benchmarks.sharing.models import product
from benchmarks.systems import MAX_BATCH_SIZE


def main() -> None:
    """Write the model into this folder, and become the server."""
    port, workers = sys.argv[1:3]
    model = product(Path.cwd()).rename("rows.onnx")
    command = [sys.executable, "-m", "trtasync", "serve", str(model), "--port", port]
    options = ["--workers", workers, "--max-batch-size", str(MAX_BATCH_SIZE), "--threads", "1"]
    os.execv(sys.executable, [*command, *options])


if __name__ == "__main__":
    main()
