"""What is proved, put to the test with ONNX Runtime: neighbours, places and numbers of rows."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime  # noqa: TID253 - what proofs are held against
import pytest

from tests.rows.onnx_graphs import Array, axes_of, model
from tests.rows.operator_cases import MAKERS, Case
from trtasync.rows.proof import prove

CASES = 25
"""Of each maker."""
FREE = {"T": 4}


@pytest.mark.parametrize("maker", list(MAKERS))
def test_what_is_proved_does_not_depend_on_neighbours(maker: str) -> None:
    chance = random.Random(f"{maker} 1")
    seen = Counter(_judge(MAKERS[maker](chance), chance.randrange(2**32)) for _ in range(CASES))
    assert seen["runs"], f"no case of {maker} could be run: {seen}"


def _judge(case: Case, seed: int) -> str:
    made = model(case.nodes, case.inputs, case.outputs, case.constants, case.opset)
    axes = axes_of(case.inputs)
    found = prove(made, axes)
    try:
        session = _session(made)
    except Exception:
        return "refused"
    proved = {name: proof.axis for name, proof in found.items() if proof.axis is not None}
    data = np.random.default_rng(seed)
    verdicts = [
        _run_pair(session, case, axes, proved, data, rows, kept)
        for rows, kept in ((3, 0), (3, 2), (2, 1), (4, 1), (1, 0))
    ]
    return "runs" if any(verdicts) else "fails"


def _session(made: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(made.SerializeToString(), options)


def _run_pair(
    session: Any,
    case: Case,
    axes: Mapping[str, int | None],
    proved: Mapping[str, int],
    data: np.random.Generator,
    rows: int,
    kept: int,
) -> bool:
    """A batch, the same with other neighbours, and its row `kept` in a batch of another size."""
    feeds = {name: _drawn(data, *case.inputs[name], rows) for name in case.inputs}
    base = _outputs(session, feeds)
    if base is None:
        return False
    for name, axis in proved.items():
        assert base[name].shape[axis] == rows, f"{name} of {_told(case)} has other rows"
    for factor in (1.0, 1e6, np.nan):
        others = {
            name: _beside(data, feeds[name], axes[name], kept, factor, case.inputs[name][0])
            for name in feeds
        }
        result = _outputs(session, others)
        if result is None:
            continue
        for name, axis in proved.items():
            one, two = (np.take(each[name], kept, axis) for each in (base, result))
            same = one.shape == two.shape and one.tobytes() == two.tobytes()
            assert same, f"{name} of {_told(case)} changes beside times {factor}"
    # the row alone, and at another place: values may differ in their last bits
    for order in ([kept], [kept, *range(rows)], [*reversed(range(rows)), kept]):
        moved = {
            name: array if axes[name] is None else np.take(array, order, axes[name])
            for name, array in feeds.items()
        }
        result = _outputs(session, moved)
        if result is None:
            continue
        at = order.index(kept)
        for name, axis in proved.items():
            one, two = np.take(base[name], kept, axis), np.take(result[name], at, axis)
            close = one.shape == two.shape and np.allclose(
                one.astype(float), two.astype(float), rtol=1e-3, atol=1e-4, equal_nan=True
            )
            assert close, f"{name} of {_told(case)} depends on size or place"
    return True


def _told(case: Case) -> str:
    nodes = " ".join(str(node).replace("\n", " ") for node in case.nodes)
    constants = {name: array.tolist() for name, array in case.constants.items()}
    return f"{nodes} with {dict(case.inputs)} and {constants}"


def _outputs(session: Any, feeds: Mapping[str, Array]) -> dict[str, Array] | None:
    names = [output.name for output in session.get_outputs()]
    used = {each.name for each in session.get_inputs()}
    try:
        given = {name: array for name, array in feeds.items() if name in used}
        return dict(zip(names, session.run(names, given), strict=True))
    except Exception:
        return None  # the runtime refuses these shapes or indices


def _drawn(data: np.random.Generator, letter: str, shape: Sequence[Any], rows: int) -> Array:
    sizes = [rows if size == "N" else FREE.get(size, size) for size in shape]
    if letter == "f":
        return np.asarray(data.normal(size=sizes), np.float32)
    if letter == "b":
        return np.asarray(data.random(sizes) < 0.5)
    return np.asarray(data.integers(0, 2, sizes))


def _beside(
    data: np.random.Generator,
    array: Array,
    axis: int | None,
    kept: int,
    factor: float,
    letter: str,
) -> Array:
    """Other rows, except the one that is kept."""
    if axis is None:
        return array
    other = _drawn(data, letter, array.shape, 0)
    if letter == "f":
        other = other * np.float32(factor)
    index = [slice(None)] * array.ndim
    index[axis] = slice(kept, kept + 1)
    other[tuple(index)] = array[tuple(index)]
    return other
