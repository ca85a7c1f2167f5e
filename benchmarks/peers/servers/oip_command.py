"""`trtasync serve` as people use it, the model on ONNX Runtime: `... PORT WORKERS`.

The model is the product, or what the process was started for (`benchmarks.works`).
"""

import os
import sys
from pathlib import Path

from benchmarks.recogniser.model import VARIABLE
from benchmarks.sharing.models import product
from benchmarks.works import work


def main() -> None:
    """Put the model into this folder, and become the server."""
    port, workers = sys.argv[1:3]
    served = Path("rows.onnx")
    served.symlink_to(os.environ.get(VARIABLE) or product(Path.cwd()))
    size = work().max_batch_size
    command = [sys.executable, "-m", "trtasync", "serve", str(served), "--port", port]
    options = ["--workers", workers, "--max-batch-size", str(size), "--threads", "1"]
    os.execv(sys.executable, [*command, *options])


if __name__ == "__main__":
    main()
