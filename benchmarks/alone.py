"""A model by itself in a fresh process: `python -m benchmarks.alone '<plan as JSON>'`.

Prints the microseconds of CPU that a row takes. `benchmarks.models` asks for all of them.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.load import rows
from benchmarks.sharing.models import images, product
from benchmarks.systems import COLUMNS, IMAGE, first_columns, model
from trtasync.runtimes.onnxruntime.loading import import_runtime

FUNCTIONS = {COLUMNS: model, IMAGE: first_columns}
FILES = {COLUMNS: product, IMAGE: images}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run.

    Attributes:
        columns: of a row, which tell the model.
        by: "NumPy" or "ONNX Runtime".
        rows: of a batch.
        seconds: how long.
    """

    columns: int
    by: str
    rows: int
    seconds: float


def opened(plan: Plan) -> Callable[[Any], Any]:
    """The model, on one thread."""
    if plan.by == "NumPy":
        return FUNCTIONS[plan.columns]
    onnxruntime = import_runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        session = onnxruntime.InferenceSession(
            FILES[plan.columns](Path(folder)), options, providers=["CPUExecutionProvider"]
        )
    return lambda x: session.run(None, {"x": x})[0]


def microseconds(plan: Plan) -> float:
    """CPU time of a row."""
    run, batch = opened(plan), np.stack(rows(plan.rows, columns=plan.columns))
    np.testing.assert_allclose(run(batch), FUNCTIONS[plan.columns](batch), rtol=1e-3, atol=1e-3)
    count, began = 0, time.thread_time()
    while (took := time.thread_time() - began) < plan.seconds:
        run(batch)
        count += plan.rows
    return took / count * 1e6


def main() -> None:
    """Do what the plan on the command line says."""
    print(json.dumps({"us_per_row": microseconds(Plan(**json.loads(sys.argv[1])))}))


if __name__ == "__main__":
    main()
