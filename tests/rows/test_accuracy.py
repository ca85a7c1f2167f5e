"""Numbers of two runtimes compared."""

from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from trtasync.rows.accuracy import Agreement, Health, compare, compare_runs, health
from trtasync.rows.verdicts import Array
from trtasync.tensors import TensorSpec

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

    reference = Model(["a", "b"], np.float32, {"d": difference, "s": total})
    trial = Model(["b", "a"], np.float64, {"s": total, "d": difference})
    runs = [[row(1, 2), row(3, 5)], [row(4, 4), row(0, 1)]]
    assert compare_runs(trial, reference, runs) == (
        Agreement("d", (2,), (2,), 0, 0),
        Agreement("s", (2,), (2,), 0, 0),
    )
    assert set(trial.dtypes) == {np.dtype(np.float64)}


def test_the_worst_of_all_runs_is_told() -> None:
    reference = Model(["x"], F32, {"y": lambda x: x})
    trial = Model(["x"], F32, {"y": lambda x: np.where(x == 2, x + 1, x)})
    runs = [[row(1, 4)], [row(2, 4)], [row(3, 4)]]
    (found,) = compare_runs(trial, reference, runs)
    assert (found.absolute, found.relative) == (1, 0.25)
