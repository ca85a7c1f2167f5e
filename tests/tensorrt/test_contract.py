"""The TensorRT backend keeps the promises of the seam, with graphs and without."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import doubles
from support.doubles import models
from support.helpers import Array, row
from tests.runtimes.backend_contract import PROMISES, Case
from tests.tensorrt.support import double, tensor, write
from trtasync.runtimes.plan_files import PlanFile
from trtasync.runtimes.tensorrt import TensorRTBackend, TensorRTOptions, load


def _wide() -> models.Model:
    """Rows of 48 KiB, in and out: too large to be copied inside a graph."""
    return models.elementwise(double, width=6 * 1024, name="wide")


def _pair() -> models.Model:
    ranges = ((1, 3), (4, 3), (8, 3))
    inputs = [tensor("a", (-1, 3), ranges), tensor("b", (-1, 3), ranges)]
    outputs = [tensor("sum", (-1, 3)), tensor("difference", (-1, 3))]
    return models.Model("pair", inputs, outputs, models.host_kernel(lambda a, b: (a + b, a - b)))


def _pair_row(number: int) -> tuple[Array, Array]:
    return np.full(3, number, np.float32), np.arange(3, dtype=np.float32)


MODELS: dict[str, tuple[Callable[[], models.Model], Callable[..., Any], Callable[..., Any]]] = {
    "narrow": (lambda: models.elementwise(double), lambda n: (row(n),), lambda x: [double(x)]),
    "wide": (_wide, lambda n: (row(n, 6 * 1024),), lambda x: [double(x)]),
    "pair": (_pair, _pair_row, lambda a, b: [a + b, a - b]),
    "not-capturable": (
        lambda: models.elementwise(double, name="plain", capturable=False),
        lambda n: (row(n),),
        lambda x: [double(x)],
    ),
}


def _load(path: Path, graphs: bool) -> TensorRTBackend:
    return load(PlanFile(path), TensorRTOptions(padding={}, graphs=graphs))


@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.parametrize("graphs", [True, False], ids=["graphs", "no-graphs"])
@pytest.mark.parametrize("name", MODELS)
def test_the_backend_keeps_its_promises(
    tmp_path: Path, name: str, graphs: bool, promise: Callable[[Case], None]
) -> None:
    make, one_row, expected = MODELS[name]
    with doubles.install():
        path = write(tmp_path, make())
        promise(Case(partial(_load, path, graphs), one_row, expected))
