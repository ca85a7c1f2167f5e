"""The recogniser as all systems run it: one session of ONNX Runtime with one thread.

Its file is named by the variable `RECOGNISER`. This runs in environments of peers, which have
onnxruntime and numpy, but not what made the file (`making`).
"""

import os
from contextlib import AbstractAsyncContextManager
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.systems import Work
from benchmarks.yardsticks import Array

if TYPE_CHECKING:
    from trtasync import Engine

VARIABLE = "RECOGNISER"
PICTURE = (3, 48, 320)
COLUMNS = int(np.prod(PICTURE))
STEPS = 40
"""Places of characters in a line."""
MAX_BATCH_SIZE = 8


@cache
def session() -> Any:
    """The session of this process, with the options that engines of ours have."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        os.environ[VARIABLE], options, providers=["CPUExecutionProvider"]
    )


def read(rows: Array) -> Array:
    """Pictures of lines to characters and how sure each is: float32[n, 46080] -> float32[n, 80]."""
    answers: Array = session().run(None, {"x": rows})[0]
    return answers


def engine() -> "AbstractAsyncContextManager[Engine]":
    """An engine with the same file and one thread."""
    from trtasync import open_engine

    return open_engine(os.environ[VARIABLE], max_batch_size=MAX_BATCH_SIZE, threads=1)


RECOGNISER = Work("recogniser", read, COLUMNS, MAX_BATCH_SIZE, engine)
