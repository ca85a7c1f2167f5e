"""Plans for the double of TensorRT whose kernels are real, and engines opened on them.

Only this module knows how the double declares a model.
"""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from support.gpu import bert, resnet
from support.gpu.hardware import load
from support.gpu.kernels import CLASSES, COLUMNS, Kernel
from trtasync import open_engine

LARGEST = 64
BUCKETS = (1, 2, 4, 8, 16, 32, 64)

_serial = count(1)

Shape = tuple[int, ...]
Range = tuple[Shape, Shape, Shape]


def double() -> Any:
    """The module that stands for `tensorrt`."""
    return load("support.doubles.tensorrt")


def use_double() -> None:
    """Let `import tensorrt` give the double, for the rest of this process."""
    sys.modules["tensorrt"] = double()


def make_plan(
    name: str,
    source: tuple[Any, Shape, Sequence[Range]],
    target: tuple[Any, Shape],
    kernel: Kernel,
    **more: Any,
) -> bytes:
    """A plan of one input "x" and one output "y".

    Args:
        name: of the model.
        source: dtype, shape (-1 where dynamic) and profiles (min, opt, max).
        target: dtype and shape.
        kernel: what an enqueue does.
        more: further arguments of the double's `Model`, such as `activation_bytes`.
    """
    return _plan(name, {"x": source}, {"y": target}, kernel, **more)


def _plan(
    name: str,
    sources: dict[str, tuple[Any, Shape, Sequence[Range]]],
    targets: dict[str, tuple[Any, Shape]],
    kernel: Kernel,
    **more: Any,
) -> bytes:
    models = load("support.doubles.models")
    inputs = [
        models.Tensor(tensor, np.dtype(dtype), shape, profiles=list(profiles))
        for tensor, (dtype, shape, profiles) in sources.items()
    ]
    outputs = [
        models.Tensor(tensor, np.dtype(dtype), shape) for tensor, (dtype, shape) in targets.items()
    ]
    name = f"{name}-{next(_serial)}"  # the double finds a plan's model by this name alone
    return bytes(models.plan(models.Model(name, inputs, outputs, kernel, **more)))


def batches_of(row: Shape, largest: int = LARGEST) -> list[Range]:
    """One profile: 1 to `largest` rows of one shape, tuned for the largest."""
    return [((1, *row), (largest, *row), (largest, *row))]


def rows_plan(kernel: Kernel, columns: int = 96, dtype: Any = np.int32, **more: Any) -> bytes:
    """[n, columns] -> [n, columns]."""
    source = (dtype, (-1, columns), batches_of((columns,)))
    return make_plan("rows", source, (dtype, (-1, columns)), kernel, **more)


def wide_plan(kernel: Kernel, best: int, most: int, dtype: Any = np.int32) -> bytes:
    """[n, m] -> [n, m] with both axes dynamic: 1 to `most` columns, tuned for `best`."""
    profile = ((1, 1), (LARGEST, best), (LARGEST, most))
    return make_plan("wide", (dtype, (-1, -1), [profile]), (dtype, (-1, -1)), kernel)


def tiny_plan(kernel: Kernel, **more: Any) -> bytes:
    """float32 [n, 3072] -> float32 [n, 10]."""
    source = (np.float32, (-1, COLUMNS), batches_of((COLUMNS,)))
    return make_plan("tiny", source, (np.float32, (-1, CLASSES)), kernel, **more)


def resnet_plan(kernel: Kernel, dtype: str, largest: int = LARGEST) -> bytes:
    """[n, 3, 224, 224] -> float32 [n, 1000]."""
    source = (dtype, (-1, *resnet.IMAGE), batches_of(resnet.IMAGE, largest))
    return make_plan("resnet50", source, (np.float32, (-1, resnet.CLASSES)), kernel)


def bert_plan(kernel: Kernel, size: bert.Size = bert.BASE) -> bytes:
    """int64 ids and mask [n, tokens] -> float32 [n, hidden]; 1 to `size.longest` tokens."""
    profile = ((1, 1), (LARGEST, size.longest // 4), (LARGEST, size.longest))
    source = (bert.DTYPE, (-1, -1), [profile])
    target = (np.float32, (-1, size.hidden))
    return _plan("bert", {bert.IDS: source, bert.MASK: source}, {bert.ANSWER: target}, kernel)


@asynccontextmanager
async def opened(plan: bytes, folder: Path, **options: Any) -> AsyncIterator[Any]:
    """An engine opened as a user would open it, from a file in `folder`.

    `Any`, because some tests use argument names of newer engines.
    """
    path = folder / "model.plan"
    path.write_bytes(plan)
    # rows are known to be independent here, and a torch model takes long to make its first graphs
    options = {"max_batch_size": LARGEST, "batching": True, **options}
    async with open_engine(path, backend="tensorrt", **options) as engine:
        yield engine
