"""What is no valid request is refused with the same words on every backend, and harms nobody."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.doubles import models
from support.helpers import check_at_rest, row, rows, same
from support.helpers import tensor as spec
from tests.tensorrt.devices import Dlpack
from tests.tensorrt.support import double, engine_on, lines
from trtasync import Engine, InvalidInput, open_engine
from trtasync.testing import FunctionBackend

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def _on_tensorrt(folder: Path, graphs: bool) -> AsyncIterator[Engine]:
    async with engine_on(folder, models.elementwise(double), graphs=graphs) as (engine, _):
        yield engine


@asynccontextmanager
async def _on_a_function(folder: Path) -> AsyncIterator[Engine]:
    backend = FunctionBackend(double, inputs=[spec("x", "N", 4)], outputs=[spec("y", "N", 4)])
    async with open_engine(backend) as engine:
        yield engine


BACKENDS: dict[str, Callable[[Path], Any]] = {
    "tensorrt": lambda folder: _on_tensorrt(folder, True),
    "tensorrt-no-graphs": lambda folder: _on_tensorrt(folder, False),
    "function": _on_a_function,
}
EVERYWHERE = pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS.keys())


class _Tensor:
    """Something on another GPU that is no numpy array."""

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 1

    def __dlpack__(self, **_: Any) -> Any:
        raise AssertionError("it must not be taken over")


REFUSED: dict[str, tuple[Any, list[str]]] = {
    "unknown-name": ({"z": row(1)}, ["['x']", "['z']", "unknown"]),
    "one-name-too-many": ({"x": row(1), "z": row(1)}, ["unknown: ['z']"]),
    "no-name": ({}, ["Missing: ['x']"]),
    "too-many-inputs": ([row(1), row(1)], ["1 inputs", "got 2 values"]),
    "no-inputs": ([], ["got 0 values"]),
    "double-precision": (row(1).astype(np.float64), ["float64", "astype('float32')"]),
    "integers": (np.ones(4, np.int32), ["int32", "float32"]),
    "objects": (np.array([None] * 4), ["object", "float32"]),
    "text": (np.array(["a"] * 4), ["<U1", "float32"]),
    "half-precision": (np.ones((2, 4), np.float16), ["float16", "float32"]),
    "no-array": (3.5, ["float", "numpy array"]),
    "nothing": (None, ["NoneType", "numpy array"]),
    "scalar": (np.float32(1), ["shape ()", "rank 2"]),
    "rank-3": (np.ones((1, 1, 4), np.float32), ["(1, 1, 4)", "rank 2"]),
    "too-wide": (row(1, 5), ["(5,)", "must be 4, not 5"]),
    "too-wide-rows": (rows([1, 2], 3), ["(3,)", "must be 4, not 3"]),
    "empty": (np.ones((0, 4), np.float32), ["at least 1", "(0, 4)"]),
    "empty-row": (np.ones((0,), np.float32), ["must be 4, not 0"]),
    "another-device": (_Tensor(), ["x: float32", "GPU"]),
}


@EVERYWHERE
@pytest.mark.parametrize("case", REFUSED)
async def test_a_bad_request_is_refused_and_the_next_is_answered(
    tmp_path: Path, backend: Callable[[Path], Any], case: str
) -> None:
    value, words = REFUSED[case]
    async with backend(tmp_path) as engine:
        with pytest.raises(InvalidInput) as caught:
            await engine.infer(value)
        for part in words:
            assert part in str(caught.value)
        assert same(await engine.infer(row(1)), row(3))
        assert check_at_rest(engine).requests == 1


def _read_only() -> Any:
    array = rows([1, 2])
    array.flags.writeable = False
    return array


def _unaligned() -> Any:
    raw = np.zeros(2 * 16 + 1, np.uint8)
    array = raw[1:].view(np.float32).reshape(2, 4)
    array[...] = rows([1, 2])
    return array


class _Subclass(np.ndarray[Any, Any]):
    pass


CONVERTED: dict[str, Callable[[], Any]] = {
    "transposed": lambda: np.asfortranarray(rows([1, 2])),
    "strided": lambda: np.repeat(rows([1, 2]), 2, axis=1)[:, ::2],
    "backwards": lambda: rows([2, 1])[::-1],
    "broadcast": lambda: np.broadcast_to(rows([1, 2], 1), (2, 4)),
    "read-only": _read_only,
    "byte-swapped": lambda: rows([1, 2]).astype(">f4"),
    "unaligned": _unaligned,
    "subclass": lambda: rows([1, 2]).view(_Subclass),
    "masked-nothing": lambda: np.ma.array(rows([1, 2])),
}


@EVERYWHERE
@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("case", CONVERTED)
async def test_unusual_arrays_are_read_as_what_they_hold(
    tmp_path: Path, backend: Callable[[Path], Any], case: str, rank: int
) -> None:
    async with backend(tmp_path) as engine:
        for _ in range(3):
            value = CONVERTED[case]()
            if rank == 1:
                assert same(await engine.infer(value[1]), row(5))
            else:
                assert same(await engine.infer(value), rows([3, 5]))


@EVERYWHERE
async def test_nan_and_infinity_pass(tmp_path: Path, backend: Callable[[Path], Any]) -> None:
    async with backend(tmp_path) as engine:
        value = np.array([np.nan, np.inf, -np.inf, 0], np.float32)
        assert same(await engine.infer(value), double(value))
        assert same(await engine.infer(row(1)), row(3))


@pytest.mark.parametrize("shape", [(65,), (2, 65), (0,), (2, 0)])
async def test_a_dimension_outside_every_profile_is_refused_with_what_is_allowed(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    async with engine_on(tmp_path, lines()) as (engine, _):
        with pytest.raises(InvalidInput, match=r"\(1, 1\) to \(4, 64\)") as caught:
            await engine.infer(np.zeros(shape, np.float32))
        assert f"{shape[-1]})" in str(caught.value)
        assert same(await engine.infer(row(1)), row(3))


async def test_an_array_on_another_gpu_is_refused_with_both_numbers(tmp_path: Path) -> None:
    async with engine_on(tmp_path, gpus=2) as (engine, _):
        array = Dlpack(row(1), device=1)
        with pytest.raises(InvalidInput, match=r"GPU 1.*\[0\]"):
            await engine.infer(array)
        array.close()
        assert same(await engine.infer(row(1)), row(3))
