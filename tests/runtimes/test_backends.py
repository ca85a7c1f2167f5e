"""Every backend of this package, the fakes included, keeps the promises of the seam."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from support.helpers import MODELS, Array, row, tensor
from tests.runtimes.backend_contract import PROMISES, Case
from trtasync import DeviceLost, InferenceError
from trtasync.requests.signature import Layout
from trtasync.runtimes.onnxruntime import load
from trtasync.testing import FunctionBackend, ScriptedBackend

X, Y = tensor("x", "N", 4), tensor("y", "N", 4)


def _fussy(x: Array) -> Array:
    if (x < 0).any():
        raise ValueError("negative")
    return x * np.float32(2)


def _scripted(**options: Any) -> ScriptedBackend:
    backend = ScriptedBackend(lambda x: x * np.float32(2), **options)
    backend.bad = lambda values: bool(values[0] < 0)
    return backend


def _numbers(make: Callable[[], Any]) -> Case:
    return Case(
        make=make,
        row=lambda number: (row(number),),
        expected=lambda x: [x * np.float32(2)],
        bad=(row(-1),),
    )


def _image(number: int) -> tuple[Array]:
    rng = np.random.default_rng(number)
    return (rng.random((1, 8, 24), np.float32),)


def _alone(model: str, *inputs: Array) -> list[Array]:
    """What onnxruntime itself says to the whole batch."""
    backend = load(MODELS / model, 1)
    names = [spec.name for spec in backend.spec.inputs]
    results: list[Array] = backend._session.run(None, dict(zip(names, inputs, strict=True)))
    return results


CASES = {
    "function": _numbers(lambda: FunctionBackend(_fussy, inputs=[X], outputs=[Y])),
    "function-two-inputs": Case(
        make=lambda: FunctionBackend(
            lambda a, b: [a + b, a - b],
            inputs=[tensor("a", "N", 3), tensor("b", "N", 3)],
            outputs=[tensor("sum", "N", 3), tensor("difference", "N", 3)],
        ),
        row=lambda number: (np.full(3, number, np.float32), np.arange(3, dtype=np.float32)),
        expected=lambda a, b: [a + b, a - b],
    ),
    "function-returns-its-input": Case(
        make=lambda: FunctionBackend(lambda x: x, inputs=[X], outputs=[Y]),
        row=lambda number: (row(number),),
        expected=lambda x: [x],
    ),
    "scripted": _numbers(_scripted),
    "scripted-asynchronous": _numbers(partial(_scripted, asynchronous=True, depth=2)),
    "scripted-owned": _numbers(partial(_scripted, owned_slots=True)),
    "scripted-asynchronous-owned": _numbers(
        partial(_scripted, asynchronous=True, depth=2, owned_slots=True)
    ),
    "onnxruntime-bound": Case(
        make=lambda: load(MODELS / "gather.onnx", 1),
        row=lambda number: (np.array(number),),
        expected=lambda index: [np.arange(64, dtype=np.float32).reshape(16, 4)[index]],
        bad=(np.array(16),),
    ),
    "onnxruntime-two-inputs": Case(
        make=lambda: load(MODELS / "digits_pair.onnx", 1),
        row=lambda number: (row(number, 64), row(number + 1, 64)),
        expected=partial(_alone, "digits_pair.onnx"),
    ),
    "onnxruntime-fresh": Case(
        make=lambda: load(MODELS / "digits_line.onnx", 1),
        row=_image,
        expected=partial(_alone, "digits_line.onnx"),
    ),
}


@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_backend(case: Case, promise: Callable[[Case], None]) -> None:
    promise(case)


# -- what the fakes promise beyond the seam -------------------------------------------------------


def _lane(backend: ScriptedBackend) -> tuple[Any, Any]:
    (opened,) = backend.open(1, 4, ())
    slot = opened.slots[0]
    views = slot.bind(Layout(((4,),), (None,)))
    views.write(0, 1, row(1))
    views.write(1, 1, row(2))
    return opened.lane, slot


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_script_remembers_computed_rows_and_fails_bad_ones(asynchronous: bool) -> None:
    backend = _scripted(asynchronous=asynchronous)
    lane, slot = _lane(backend)
    lane.launch(slot, 2)
    lane.wait(slot)
    backend.bad = lambda values: bool(values[0] == 2)
    lane.launch(slot, 2)
    with pytest.raises(InferenceError, match="bad"):
        lane.wait(slot)
    lane.launch(slot, 1)
    lane.wait(slot)
    assert [batch[:, 0].tolist() for batch in backend.computed] == [[1, 2], [1, 2], [1]]
    lane.close()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_script_loses_the_lane(asynchronous: bool) -> None:
    backend = _scripted(asynchronous=asynchronous)
    lane, slot = _lane(backend)
    backend.lose = True
    lane.launch(slot, 2)
    with pytest.raises(DeviceLost):
        lane.wait(slot)
    assert backend.computed == []
    lane.close()


def test_the_gate_holds_batches_and_lets_as_many_through_as_told() -> None:
    backend = _scripted(asynchronous=True, depth=3)
    lane, slot = _lane(backend)
    backend.gate.shut()
    lane.launch(slot, 1)
    assert backend.gate.wait_arrived(1)
    assert not lane.ready(slot)
    assert not backend.gate.wait_arrived(2, timeout=0.0)
    backend.gate.let(1)
    lane.wait(slot)
    lane.launch(slot, 2)
    assert backend.gate.wait_arrived(2)
    assert not lane.ready(slot)
    backend.gate.let()
    lane.wait(slot)
    assert [len(batch) for batch in backend.computed] == [1, 2]
    lane.close()


def test_closing_is_counted() -> None:
    backend = _scripted()
    (opened,) = backend.open(1, 4, ())
    assert (backend.closed, backend.lanes[0].closed) == (0, 0)
    opened.lane.close()
    backend.close()
    assert (backend.closed, backend.lanes[0].closed) == (1, 1)


def test_a_failing_function_is_an_inference_error_with_its_cause() -> None:
    backend = FunctionBackend(_fussy, inputs=[X], outputs=[Y])
    (opened,) = backend.open(1, 2, ())
    slot = opened.slots[0]
    slot.bind(Layout(((4,),), (None,))).write(0, 1, row(-1))
    opened.lane.launch(slot, 1)
    with pytest.raises(InferenceError, match="negative") as caught:
        opened.lane.wait(slot)
    assert isinstance(caught.value.__cause__, ValueError)
