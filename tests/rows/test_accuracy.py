"""Numbers of two runtimes compared."""

from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from trtasync.errors import InvalidInput
from trtasync.model.arrays import Array
from trtasync.model.tensors import TensorSpec
from trtasync.rows.accuracy import Agreement, Health, Numbers, compare, health, look_at

F32 = np.float32
NAN, INF = np.nan, np.inf


class Model:
    """Numpy functions of the inputs, by name of the output; a `Trial`."""

    def __init__(self, inputs: Sequence[str], dtype: Any, outputs: dict[str, Callable[..., Array]]):
        self.inputs = tuple(TensorSpec(name, np.dtype(dtype), (None,)) for name in inputs)
        self.outputs = tuple(TensorSpec(name, np.dtype(dtype), (None,)) for name in outputs)
        self._functions = list(outputs.values())
        self.dtypes: list[Any] = []

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        self.dtypes += [array.dtype for array in arrays]
        given = dict(zip((spec.name for spec in self.inputs), arrays, strict=True))
        return [function(**given) for function in self._functions]

    def stop(self) -> None:
        """It never takes long."""

    def close(self) -> None:
        """Nothing is held."""


def row(*values: float, dtype: Any = F32) -> Array:
    """An array."""
    return np.array(values, dtype)


@pytest.mark.parametrize(
    ("array", "reference", "absolute", "relative"),
    [
        (row(1, 2), row(1, 2), 0, 0),
        (row(1, 2.5), row(1, 2), 0.5, 0.25),
        (row(0.001, 100), row(0.002, 100), 0.001, 0.00001),  # small numbers beside large ones
        (row(0.25, 0), row(0, 0), 0.25, 0.25),  # nothing to be a share of
        (row(NAN, 1), row(NAN, 1), 0, 0),
        (row(NAN, 1), row(1, 1), INF, INF),
        (row(1, 1), row(NAN, 1), INF, INF),
        (row(INF, 1), row(INF, 1), 0, 0),
        (row(-INF, 1), row(INF, 1), INF, INF),
        (row(INF, 1), row(1e30, 1), INF, INF),
        (row(NAN, NAN), row(NAN, INF), INF, INF),
        (row(), row(), 0, 0),
        (row(5, 1, 3, 4, dtype=np.int64), row(5, 9, 3, 4, dtype=np.int64), 8, 0.25),
        (row(1, 0, dtype=np.bool_), row(1, 1, dtype=np.bool_), 1, 0.5),
        (row(1, 3, dtype=ml_dtypes.bfloat16), row(1, 4, dtype=ml_dtypes.bfloat16), 1, 0.25),
        (row(1, 3, dtype=np.complex64), row(1, 4, dtype=np.complex64), 1, 0.25),
        (row(60000, -60000, dtype=np.float16), row(-60000, -60000, dtype=np.float16), 120000, 2),
    ],
)
def test_differences(array: Array, reference: Array, absolute: float, relative: float) -> None:
    found = compare("y", array, reference)
    assert found.absolute == pytest.approx(absolute, rel=1e-2)
    assert found.relative == pytest.approx(relative, rel=1e-2)


def test_another_shape_is_no_agreement() -> None:
    found = compare("y", row(1, 1), np.ones((2, 1), F32))
    assert found == Agreement("y", (2,), (2, 1), INF, INF)


FLOATS = arrays.arrays(
    F32,
    arrays.array_shapes(max_dims=3),
    elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
)


@given(FLOATS)
def test_everything_agrees_with_itself(array: Array) -> None:
    assert compare("y", array, array.copy()).relative == 0


@given(FLOATS, st.data())
def test_a_changed_number_is_seen(array: Array, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, array.size - 1))
    changed = array.copy()
    changed.flat[place] = 2 if changed.flat[place] == 1 else 1
    found = compare("y", changed, array)
    assert found.absolute > 0
    assert found.relative > 0


def test_what_is_no_number_is_counted() -> None:
    found = health("y", row(NAN, 1, -INF, INF, NAN, NAN))
    assert found == Health("y", 6, 3, 2)
    assert found + health("y", row(1, NAN)) == Health("y", 8, 4, 2)
    assert health("y", row(1, 2, dtype=np.int8)) == Health("y", 2, 0, 0)
    assert health("y", row(NAN, 2, dtype=ml_dtypes.bfloat16)) == Health("y", 2, 1, 0)


def test_tensors_are_told_by_name_and_get_their_own_type() -> None:
    def difference(a: Array, b: Array) -> Array:
        return a - b

    def total(a: Array, b: Array) -> Array:
        return a + b

    trial = Model(["a", "b"], np.float64, {"d": difference, "s": total})
    reference = Model(["b", "a"], np.float32, {"s": total, "d": difference})
    runs = [[row(1, 2), row(3, 5)], [row(4, NAN), row(0, 1)]]
    found = look_at(trial, runs, reference)
    assert [numbers.health for numbers in found] == [Health("d", 4, 1), Health("s", 4, 1)]
    assert [numbers.agreement for numbers in found] == [
        Agreement("d", (2,), (2,), 0, 0),
        Agreement("s", (2,), (2,), 0, 0),
    ]
    assert set(reference.dtypes) == {np.dtype(np.float32)}


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2), (2, 3, 1)])
def test_the_worst_of_all_runs_is_told(order: tuple[int, ...]) -> None:
    reference = Model(["x"], F32, {"y": lambda x: x})
    trial = Model(["x"], F32, {"y": lambda x: np.where(x == 2, x + 1, x)})
    (found,) = look_at(trial, [[row(first, 4)] for first in order], reference)
    assert found.agreement is not None
    assert (found.agreement.absolute, found.agreement.relative) == (1, 0.25)


def test_a_model_without_reference_is_looked_at_alone() -> None:
    model = Model(["x"], F32, {"y": lambda x: x / 0})
    with np.errstate(all="ignore"):
        assert look_at(model, [[row(1, 0)]]) == (Numbers(Health("y", 2, 1, 1)),)


@pytest.mark.parametrize(
    ("inputs", "output", "words"),
    [(["z"], "y", r"inputs are \['x'\], but those .* \['z'\]"), (["x"], "w", "outputs are")],
)
def test_another_model_is_no_reference(inputs: list[str], output: str, words: str) -> None:
    model = Model(["x"], F32, {"y": lambda x: x})
    other = Model(inputs, F32, {output: lambda **_: row(1)})
    with pytest.raises(InvalidInput, match=words):
        look_at(model, [[row(1)]], other)
    assert model.dtypes == other.dtypes == []
