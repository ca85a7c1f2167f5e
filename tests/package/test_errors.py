"""Errors as values: one line, fields, pickle and copy; over the whole tree and every raise."""

import ast
import copy
import inspect
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trtasync
from support.doubles import cuda_runtime
from support.helpers import opened, row, rows, same
from tests.tensorrt.support import engine_on
from trtasync.core.exceptions import own_error
from trtasync.errors import (
    CudaError,
    DeviceLost,
    InferenceError,
    InvalidInput,
    QueueFull,
    RequestTooLarge,
    TrtasyncError,
)
from trtasync.runtimes.cuda.calls import failure
from trtasync.runtimes.tensorrt.engines import PlanRefused
from trtasync.testing import ScriptedBackend
from trtasync.words import one_line

PACKAGE = Path(trtasync.__file__).parent


def tree(kind: type[TrtasyncError] = TrtasyncError) -> Iterator[type[TrtasyncError]]:
    """A class and all below it, those of backends too."""
    yield kind
    for each in kind.__subclasses__():
        if each.__module__.startswith("trtasync."):
            yield from tree(each)


def fields(kind: type[BaseException]) -> dict[str, object]:
    """The attributes that a class declares, and their defaults."""
    return {
        name: getattr(kind, name, None)
        for base in kind.__mro__
        if issubclass(base, TrtasyncError)
        for name in vars(base).get("__annotations__", {})
    }


KINDS = list(tree())


def test_the_tree_is_whole() -> None:
    assert PlanRefused in KINDS
    assert {kind.__name__ for kind in KINDS} >= set(trtasync.errors.__all__)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_survives_pickle_and_copy(kind: type[TrtasyncError]) -> None:
    given: dict[str, Any] = {name: f"its {name}" for name in fields(kind)}
    error = kind("7 of 'x' are\nnot 8", **given)
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error)), own_error(error)):
        assert type(again) is kind
        assert again is not error
        assert again.args == error.args == ("7 of 'x' are not 8",)
        assert str(again) == str(error)
        assert {name: getattr(again, name) for name in fields(kind)} == given


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_field_has_a_default_and_is_documented(kind: type[TrtasyncError]) -> None:
    error = kind("why")
    for name in vars(kind).get("__annotations__", {}):
        assert hasattr(error, name)
        assert f"\n    {name}: " in (inspect.getdoc(kind) or "")


@given(st.text())
def test_a_message_is_one_line_whatever_it_quotes(text: str) -> None:
    error = InferenceError(f"the runtime said: {text}")
    assert str(error).isprintable()
    assert one_line(str(error)) == str(error)
    if text.isprintable():
        assert "".join(str(error).split()) == "".join(f"the runtime said: {text}".split())


def raises() -> Iterator[tuple[str, str, set[str]]]:
    """(where, class, keywords) of every error that the package makes."""
    names = {kind.__name__ for kind in KINDS}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id in names:
                keywords = {each.arg or "**" for each in node.keywords}
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node.func.id, keywords


def test_every_raise_gives_fields_that_its_class_declares() -> None:
    by_name = {kind.__name__: fields(kind) for kind in KINDS}
    found = list(raises())
    assert len(found) > 150
    assert [each for each in found if each[2] - {*by_name[each[1]]}] == []


def said() -> Iterator[tuple[str, str]]:
    """(where, text) of what the package's errors and log lines say."""
    names = {kind.__name__ for kind in KINDS}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            function = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if function in names or function.startswith("log."):
                for part in ast.walk(node):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield f"{path.relative_to(PACKAGE)}:{part.lineno}", part.value


def test_users_read_of_streams_which_only_the_code_calls_lanes() -> None:
    found = list(said())
    assert any("stream %d is dead" in text for _, text in found)
    assert [each for each in found if re.search(r"\blanes?\b", each[1])] == []


class Odd(DeviceLost):
    """A backend's own class, whose args are not those it is made from."""

    def __init__(self, stream: int, text: str):
        super().__init__(f"{stream}: {text}", stream=stream)


def test_the_error_of_a_caller_keeps_what_a_class_of_its_own_said() -> None:
    cause = Odd(3, "gone")
    error = own_error(cause)
    assert type(error) is DeviceLost
    assert (str(error), error.stream) == ("3: gone", 3)
    assert error.__cause__ is cause


def test_a_cause_goes_along() -> None:
    cause = InferenceError("no")
    cause.__cause__ = root = LookupError("why")
    assert own_error(cause).__cause__ is root


def test_too_large_for_ever_is_another_kind_than_full_for_now() -> None:
    assert issubclass(RequestTooLarge, InvalidInput)
    assert not issubclass(RequestTooLarge, QueueFull)


def test_cuda_s_number_is_a_field() -> None:
    lost, refused = (failure(cuda_runtime, code, "cudaMalloc") for code in (700, 2))
    assert isinstance(lost, DeviceLost)
    assert isinstance(refused, CudaError)
    assert (lost.code, refused.code) == (700, 2)


@pytest.mark.anyio
async def test_a_queue_says_its_numbers() -> None:
    backend = ScriptedBackend()
    async with opened(backend, max_queue_size=3) as engine:
        with pytest.raises(RequestTooLarge, match="never fits max_queue_size=3") as large:
            await engine.infer(rows(range(4)))
        assert (large.value.limit, large.value.rows) == (3, 4)
        assert engine.statistics().rejected == 0  # it would be refused on an idle engine too
        engine._core.policy._rows.taken += 2
        with pytest.raises(QueueFull, match="retry later") as full:
            await engine.infer(rows(range(2)))
        engine._core.policy._rows.taken -= 2
        assert (full.value.limit, full.value.rows, full.value.queued) == (3, 2, 2)
        assert engine.statistics().rejected == 1
        await engine.infer(row(1))


# -- what requests get ---------------------------------------------------------------------------


class Liar:
    """An object that lies on a device, and fails when it is asked on which."""

    def __dlpack_device__(self) -> tuple[int, int]:
        raise LookupError("the device\nis gone")


class HalfAnInterface:
    """An object whose description of its memory lacks the address."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        raise LookupError("the device\nis gone")


X2 = np.zeros((2, 4), np.float32)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(X2[:, :3], {"name": "x", "axis": 1, "expected": 4, "got": 3}, id="axis"),
        pytest.param(X2[0, :3], {"name": "x", "axis": 1, "expected": 4, "got": 3}, id="sample"),
        pytest.param(X2[None], {"name": "x", "expected": ("N", 4), "got": (1, 2, 4)}, id="rank"),
        pytest.param(
            X2.astype("f8"), {"name": "x", "expected": "float32", "got": "float64"}, id="dtype"
        ),
        pytest.param(3, {"name": "x", "expected": "float32", "got": "int"}, id="no array"),
        pytest.param({"z": X2}, {"expected": ["x"], "got": ["z"]}, id="name"),
        pytest.param([X2, X2], {"expected": 1, "got": 2}, id="count"),
        pytest.param(X2[:0], {"got": [0]}, id="no rows"),
        pytest.param(Liar(), {"name": "x", "got": "Liar"}, id="dlpack"),
        pytest.param(HalfAnInterface(), {"name": "x", "got": "HalfAnInterface"}, id="cuda"),
    ],
)
@pytest.mark.anyio
async def test_a_bad_request_says_what_is_wrong_in_fields(
    value: Any, expected: dict[str, object]
) -> None:
    async with opened(ScriptedBackend()) as engine:
        with pytest.raises(InvalidInput) as caught:
            await engine.infer(value)
    error = pickle.loads(pickle.dumps(caught.value))
    assert len(str(error).splitlines()) == 1
    found = {name: getattr(error, name) for name in fields(InvalidInput)}
    assert found == dict.fromkeys(found) | expected


@pytest.mark.parametrize("value", [Liar(), HalfAnInterface()])
@pytest.mark.anyio
async def test_an_object_that_cannot_say_where_it_lies_on_a_gpu(value: Any, tmp_path: Path) -> None:
    async with engine_on(tmp_path) as (engine, _):
        with pytest.raises(
            InvalidInput, match=r"whose device cannot be determined: .*device"
        ) as caught:
            await engine.infer(value)
        assert caught.value.name == "x"
        assert same(await engine.infer(row(1)), row(3))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"streams": 0}, "streams"),
        ({"batch_sizes": [0]}, "batch_sizes"),
        ({"loop_budget": -1}, "loop_budget"),
        ({"backend": "torch"}, "backend"),
        ({"name": ""}, "name"),
    ],
)
def test_a_bad_option_is_named(options: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        trtasync.open_engine("model.onnx", **options)
    assert caught.value.name == name
