"""What type checkers are told of `infer`: checked by them (`make check`) and by what comes."""

from pathlib import Path
from typing import Any, Literal, assert_type

import numpy as np
import numpy.typing as npt
import pytest

from support.helpers import row, rows, tensor
from tests.tensorrt.support import engine_on
from trtasync import open_engine
from trtasync.requests.answers import LentAnswer
from trtasync.requests.array_types import ArrayOnDevice, HasArray
from trtasync.runtimes.cuda import DeviceArray
from trtasync.testing import FunctionBackend, ScriptedBackend

pytestmark = pytest.mark.anyio

Array = npt.NDArray[Any]


async def test_one_array_gives_an_array() -> None:
    async with open_engine(ScriptedBackend()) as engine:
        assert_type(await engine.infer(row(1)), Array | Any)
        answer = await engine.infer(rows([1, 2]))
        assert isinstance(answer, np.ndarray)


async def test_one_array_for_several_outputs_gives_a_dict() -> None:
    backend = FunctionBackend(
        lambda x: (x, -x), inputs=[tensor("x", "N", 4)], outputs=[tensor(n, "N", 4) for n in "yz"]
    )
    async with open_engine(backend) as engine:
        answer = await engine.infer(row(1))
        assert isinstance(answer, dict)
        assert answer.keys() == {"y", "z"}


async def test_arrays_by_name_or_in_order_give_a_dict() -> None:
    async with open_engine(ScriptedBackend()) as engine:
        named = await engine.infer({"x": row(1)})
        assert_type(named, dict[str, Array])
        listed = await engine.infer([row(1)], outputs="host", copy=True)
        assert_type(listed, dict[str, Array])
        tupled = await engine.infer((row(1),), priority=1)
        assert_type(tupled, dict[str, Array])
        for answer in (named, listed, tupled):
            assert isinstance(answer, dict)
            assert isinstance(answer["y"], np.ndarray)


async def test_lent_answers_are_contexts() -> None:
    async with open_engine(ScriptedBackend()) as engine:
        one = await engine.infer(row(1), copy=False)
        assert_type(one, LentAnswer[Array | Any])
        with one as array:
            assert_type(array, Array | Any)
            assert isinstance(array, np.ndarray)
        with await engine.infer({"x": row(1)}, copy=False) as named:
            assert_type(named, dict[str, Array])
            assert isinstance(named, dict)


@pytest.mark.parametrize("copy", [True, False])
async def test_answers_on_the_device_are_never_contexts(tmp_path: Path, copy: bool) -> None:
    async with engine_on(tmp_path) as (engine, _):
        one = await engine.infer(row(1), outputs="device", copy=copy)
        assert_type(one, ArrayOnDevice | Any)
        assert isinstance(one, DeviceArray)
        named = await engine.infer({"x": row(1)}, outputs="device")
        assert_type(named, dict[str, ArrayOnDevice])
        assert isinstance(named["y"], DeviceArray)
        del one, named  # memory of the engine's GPU


@pytest.mark.parametrize("copy", [True, False])
async def test_who_decides_at_run_time_asks_at_run_time(copy: bool) -> None:
    async with open_engine(ScriptedBackend()) as engine:
        answer = await engine.infer(row(1), copy=copy)
        assert_type(answer, Any)
        assert isinstance(answer, LentAnswer) is not copy
        if isinstance(answer, LentAnswer):
            answer.release()


async def test_what_is_no_array_is_refused_by_checkers_too() -> None:
    where: Literal["gpu"] = "gpu"
    async with open_engine(ScriptedBackend()) as engine:
        with pytest.raises(ValueError, match="give a numpy array"):
            await engine.infer("row")  # type: ignore[call-overload]
        with pytest.raises(ValueError, match="'host' or 'device'"):
            await engine.infer(row(1), outputs=where)  # type: ignore[call-overload]


async def test_scalars_and_foreign_arrays_are_arrays() -> None:
    class Foreign:
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
            return row(1)

    foreign: HasArray = Foreign()
    async with open_engine(ScriptedBackend()) as engine:
        assert (await engine.infer(foreign)).tolist() == [1, 1, 1, 1]
    single = FunctionBackend(np.negative, inputs=[tensor("x", "N")], outputs=[tensor("y", "N")])
    async with open_engine(single) as engine:
        assert await engine.infer(np.float32(2)) == -2


def takes(_: ArrayOnDevice) -> None:
    """Held against the class that answers are of."""


def test_answers_on_the_device_are_what_the_types_say() -> None:
    takes(DeviceArray(0, (1, 4), np.dtype("float32"), 0, None))
