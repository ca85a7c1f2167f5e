"""Right answers whatever a model file says of itself: every row of it as if it were alone."""

import gc
import logging
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.helpers import Array, same
from trtasync import (
    Cut,
    Engine,
    InferenceError,
    InvalidInput,
    Pad,
    TrtasyncError,
    open_engine,
)
from trtasync.requests.reader import MAX_SHARED_BYTES
from trtasync.rows import Verdict

pytestmark = pytest.mark.anyio

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a model of nodes, inputs and outputs (name -> axes, or (axes, type)) to a file."""

    def write(
        nodes: Sequence[Any],
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any],
        weights: Mapping[str, Array] | None = None,
    ) -> Path:
        graph = helper.make_graph(
            list(nodes),
            "model",
            [_info(name, what) for name, what in inputs.items()],
            [_info(name, what) for name, what in outputs.items()],
            [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(model)
        path = tmp_path / "model.onnx"
        onnx.save(model, path)
        return path

    return write


def _info(name: str, what: Any) -> Any:
    axes, kind = what if isinstance(what, tuple) else (what, FLOAT)
    return helper.make_tensor_value_info(name, kind, axes)


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> Any:
    return helper.make_node(kind, inputs, outputs, **attributes)


def constant(name: str, value: Any) -> Any:
    array = np.asarray(value)
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array))


def alone(path: Path, *inputs: Array) -> list[Array]:
    """What ONNX Runtime says to this request by itself."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return [np.asarray(each) for each in session.run(None, dict(zip(names, inputs, strict=True)))]


async def at_once(engine: Engine, requests: Sequence[Any]) -> list[Any]:
    """All requests together; their answers in order."""
    answers: list[Any] = [None] * len(requests)

    async def ask(index: int) -> None:
        answers[index] = await engine.infer(requests[index])

    async with anyio.create_task_group() as tasks:
        for index in range(len(requests)):
            tasks.start_soon(ask, index)
    return answers


def floats(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# -- rows that influence each other run alone -----------------------------------------------------


@pytest.fixture
def cumulated(make: Make) -> Path:
    return make(
        [constant("axis", 0), node("CumSum", ["x", "axis"], ["y"])],
        {"x": ["T", 4]},
        {"y": ["T", 4]},
    )


@pytest.mark.parametrize("options", [{}, {"max_batch_size": 1}, {"max_batch_size": 64}])
async def test_a_sum_over_the_first_axis_is_one_run(
    cumulated: Path, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "trtasync"):
        async with open_engine(cumulated, **options) as engine:
            requests = [floats(20, 4), floats(3, 4), floats(20, 4, seed=1), floats(1, 4)]
            for answer, x in zip(await at_once(engine, requests), requests, strict=True):
                assert same(answer, alone(cumulated, x)[0])
            assert not engine.batching.batched
            (finding,) = engine.batching.findings
            assert (finding.output, finding.verdict) == ("y", Verdict.COUPLED)
    (warning,) = caplog.messages
    for words in ("model: ", "'y'", "coupled", "batching=True", "batching=False", "batch_axes"):
        assert words in warning


async def test_a_row_alone_keeps_its_form(cumulated: Path) -> None:
    """The request's form does not hang on what was found of the rows."""
    async with open_engine(cumulated) as engine:
        x = floats(4)
        assert same(await engine.infer(x), x)
        answer = await engine.infer({"x": x})
        assert same(answer["y"], x)


async def test_sorted_boxes_are_nobody_else_s(make: Make) -> None:
    path = make(
        [
            constant("zero", np.array([0])),
            constant("column", np.array([4])),
            constant("one", np.array([1])),
            node("Shape", ["boxes"], ["shape"]),
            node("Gather", ["shape", "zero"], ["rows"]),
            node("Gather", ["boxes", "column"], ["scores"], axis=1),
            node("Squeeze", ["scores", "one"], ["flat"]),
            node("TopK", ["flat", "rows"], ["values", "order"], axis=0),
            node("Gather", ["boxes", "order"], ["sorted"]),
        ],
        {"boxes": ["N", 5]},
        {"sorted": ["N", 5]},
    )
    requests = [floats(7, 5, seed=seed) for seed in range(4)]
    async with open_engine(path) as engine:
        for answer, x in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer, alone(path, x)[0])


@pytest.fixture
def detector(make: Make) -> Path:
    """Rows whose first number is positive: how many there are depends on the values."""
    return make(
        [
            constant("zero", np.float32(0)),
            constant("first", np.array(0)),
            node("Gather", ["x", "first"], ["scores"], axis=1),
            node("Greater", ["scores", "zero"], ["kept"]),
            node("Compress", ["x", "kept"], ["y"], axis=0),
        ],
        {"x": ["batch", 6]},
        {"y": ["num_dets", 6]},
    )


async def test_any_number_of_rows_may_come_of_a_request(detector: Path) -> None:
    requests = [floats(9, 6, seed=seed) for seed in range(4)]
    requests.append(-np.abs(requests[0]))
    async with open_engine(detector) as engine:
        answers = await at_once(engine, requests)
        for answer, x in zip(answers, requests, strict=True):
            assert same(answer, alone(detector, x)[0])
        assert len(answers[-1]) == 0


async def test_a_waveform_is_one_request(make: Make) -> None:
    path = make(
        [
            constant("rows", np.array([-1, 8])),
            node("Reshape", ["samples", "rows"], ["frames"]),
        ],
        {"samples": ["samples"]},
        {"frames": ["frames", 8]},
    )
    async with open_engine(path, max_queue_size=10) as engine:
        x = floats(16000)
        assert same(await engine.infer(x), x.reshape(-1, 8))


async def test_a_square_matrix_has_no_batch_axis(make: Make) -> None:
    path = make([node("Softmax", ["x"], ["y"], axis=0)], {"x": ["N", "N"]}, {"y": ["N", "N"]})
    requests = [floats(12, 12), floats(12, 12, seed=1), floats(3, 3)]
    async with open_engine(path) as engine:
        for answer, x in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer, alone(path, x)[0])


async def test_a_floor_by_the_loudest_of_the_batch_is_found(make: Make) -> None:
    path = make(
        [
            constant("range", np.float32(8)),
            constant("tiny", np.float32(1e-6)),
            node("Abs", ["x"], ["size"]),
            node("Max", ["size", "tiny"], ["least"]),
            node("Log", ["least"], ["loudness"]),
            node("ReduceMax", ["loudness"], ["loudest"], keepdims=0),
            node("Sub", ["loudest", "range"], ["floor"]),
            node("Max", ["loudness", "floor"], ["y"]),
        ],
        {"x": ["N", 16]},
        {"y": ["N", 16]},
    )
    requests = [floats(16, seed=seed) * 10.0 ** (seed - 2) for seed in range(5)]
    requests = [x.astype(np.float32) for x in requests]
    async with open_engine(path) as engine:
        assert not engine.batching.batched
        for answer, x in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer, alone(path, x[np.newaxis])[0][0])


@pytest.fixture
def quantized(make: Make) -> Path:
    rng = np.random.default_rng(0)
    return make(
        [
            node("DynamicQuantizeLinear", ["x"], ["xq", "scale", "zero"]),
            node("MatMulInteger", ["xq", "w", "zero", "wz"], ["sums"]),
            node("Cast", ["sums"], ["wide"], to=FLOAT),
            node("Mul", ["scale", "ws"], ["factor"]),
            node("Mul", ["wide", "factor"], ["y"]),
        ],
        {"x": ["N", 8]},
        {"y": ["N", 4]},
        {
            "w": rng.integers(-100, 100, (8, 4)).astype(np.int8),
            "wz": np.int8(0),
            "ws": np.float32(0.01),
        },
    )


async def test_rows_that_are_quantized_together_run_alone_unless_told(
    quantized: Path, caplog: pytest.LogCaptureFixture
) -> None:
    quiet, loud = floats(8), floats(8, seed=1) * np.float32(1000)
    with caplog.at_level(logging.WARNING, "trtasync"):
        async with open_engine(quantized) as engine:
            for answer, x in zip(await at_once(engine, [quiet, loud]), [quiet, loud], strict=True):
                assert same(answer, alone(quantized, x[np.newaxis])[0][0])
    assert "DynamicQuantizeLinear" in caplog.messages[0]
    async with open_engine(quantized, batching=True) as engine:
        assert engine.batching.batched
        first, _ = await at_once(engine, [quiet, loud])
        assert not same(first, alone(quantized, quiet[np.newaxis])[0][0])


async def test_an_axis_that_requests_bring_along_decides_nothing_unseen(make: Make) -> None:
    path = make(
        [node("CumSum", ["x", "axis"], ["y"])],
        {"x": ["batch", 3], "axis": ([], INT64)},
        {"y": ["batch", 3]},
    )
    requests = [(floats(2, 3, seed=seed), np.array(seed % 2)) for seed in range(8)]
    async with open_engine(path) as engine:
        for answer, request in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer["y"], alone(path, *request)[0])


# -- rows that do not, are batched ----------------------------------------------------------------


async def test_names_that_an_exporter_made_up_stand_in_nobody_s_way(make: Make) -> None:
    path = make(
        [node("Add", ["a", "b"], ["y"])],
        {"a": ["unk__1", 4], "b": ["unk__2", 4]},
        {"y": ["unk__3", 4]},
    )
    pairs = [(floats(4, seed=seed), floats(4, seed=seed + 9)) for seed in range(8)]
    async with open_engine(path) as engine:
        assert engine.batching.batched
        for answer, (a, b) in zip(await at_once(engine, pairs), pairs, strict=True):
            assert same(answer["y"], a + b)
        assert engine.statistics().batches < len(pairs)


RECURRENT_INPUTS = {"x": ["batch", 3], "state": [2, "batch", 5], "rate": []}
RECURRENT_OUTPUTS = {"y": ["batch", 5], "states": [2, "batch", 5]}


@pytest.fixture
def recurrent(make: Make) -> Path:
    """The new state is the old one, scaled by a number that all share, and a function of x."""
    return make(
        [
            node("MatMul", ["x", "w"], ["seen"]),
            node("Mul", ["state", "rate"], ["faded"]),
            node("Add", ["faded", "seen"], ["sum"]),
            node("Tanh", ["sum"], ["states"]),
            constant("last", np.array(1)),
            node("Gather", ["states", "last"], ["y"], axis=0),
        ],
        RECURRENT_INPUTS,
        RECURRENT_OUTPUTS,
        {"w": floats(3, 5)},
    )


@pytest.mark.parametrize("batching", ["auto", True])
async def test_each_tensor_has_its_own_batch_axis(recurrent: Path, batching: Any) -> None:
    def one(seed: int, rate: float) -> tuple[Array, Array, Array]:
        return floats(3, seed=seed), floats(2, 5, seed=seed + 100), np.asarray(rate, np.float32)

    requests = [one(seed, 0.5 if seed % 2 else 0.25) for seed in range(8)]
    async with open_engine(recurrent, batching=batching) as engine:
        assert engine.batching.batched
        assert [spec.batch_axis for spec in engine.inputs] == [0, 1, None]
        assert [spec.batch_axis for spec in engine.outputs] == [0, 1]
        for answer, (x, state, rate) in zip(await at_once(engine, requests), requests, strict=True):
            y, states = alone(recurrent, x[np.newaxis], state[:, np.newaxis], rate)
            np.testing.assert_allclose(answer["y"], y[0], rtol=1e-6)
            np.testing.assert_allclose(answer["states"], states[:, 0], rtol=1e-6)
        assert engine.statistics().batches < len(requests)


async def test_rows_along_another_axis_come_back_along_it(recurrent: Path) -> None:
    x, state, rate = floats(20, 3), floats(2, 20, 5), np.asarray(0.5, np.float32)
    async with open_engine(recurrent, max_batch_size=8) as engine:
        answer = await engine.infer({"x": x, "state": state, "rate": rate})
        y, states = alone(recurrent, x, state, rate)
        assert answer["states"].shape == (2, 20, 5)
        assert answer["states"].flags.c_contiguous
        np.testing.assert_allclose(answer["y"], y, rtol=1e-6)
        np.testing.assert_allclose(answer["states"], states, rtol=1e-6)
        with await engine.infer({"x": x, "state": state, "rate": rate}, copy=False) as lent:
            np.testing.assert_allclose(lent["states"], states, rtol=1e-6)
        empty = engine.empty_input(4, name="state")
        assert empty.shape == (2, 4, 5)
        assert engine.statistics().batches >= 3  # split over batches of 8


async def test_requests_that_differ_in_a_shared_input_get_their_own_answers(make: Make) -> None:
    path = make(
        [node("Mul", ["x", "table"], ["y"])], {"x": ["N", 4], "table": [4]}, {"y": ["N", 4]}
    )
    table = np.ones(4, np.float32)
    async with open_engine(path) as engine:
        assert engine.batching.batched
        answers = await at_once(engine, [(floats(4), table * k) for k in (1, 2, 2, 3)])
        for answer, factor in zip(answers, (1, 2, 2, 3), strict=True):
            assert same(answer["y"], floats(4) * np.float32(factor))


# -- what runs alone gives the runtime's own outputs ----------------------------------------------


@pytest.mark.parametrize("batching", ["auto", False])
async def test_a_scalar_stays_a_scalar(make: Make, batching: Any) -> None:
    path = make(
        [node("ReduceSum", ["x"], ["total"], keepdims=0), node("Neg", ["x"], ["y"])],
        {"x": ["N", 4]},
        {"total": [], "y": ["N", 4]},
    )
    requests = [{"x": floats(5, 4, seed=seed)} for seed in range(3)]
    async with open_engine(path, batching=batching) as engine:
        for answer, request in zip(await at_once(engine, requests), requests, strict=True):
            total, y = alone(path, request["x"])
            assert answer["total"].shape == ()
            assert same(answer["total"], total)
            assert same(answer["y"], y)


async def test_a_squeezed_output_is_the_same_alone_and_in_company(make: Make) -> None:
    """Squeezed of every axis of length 1, the batch axis of a lone row among them."""
    path = make([node("Squeeze", ["x"], ["y"])], {"x": ["N", 4]}, {"y": ["N", 4]})
    async with open_engine(path) as engine:
        for rows in (1, 2, 5):
            answers = await at_once(engine, [floats(rows, 4, seed=seed) for seed in range(3)])
            for seed, answer in enumerate(answers):
                assert same(answer, alone(path, floats(rows, 4, seed=seed))[0])


@pytest.mark.parametrize("batching", ["auto", True, False])
async def test_a_wrong_declaration_is_no_error(make: Make, batching: Any) -> None:
    path = make(
        [constant("reps", np.array([1, 4])), node("Tile", ["x", "reps"], ["y"])],
        {"x": ["N", 25]},
        {"y": ["N", 100]},
    )
    model = onnx.load(path)
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 7
    onnx.save(model, path)
    async with open_engine(path, batching=batching) as engine:
        requests = [floats(rows, 25, seed=rows) for rows in (1, 2, 3)] * 2
        for answer, x in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer, np.tile(x, (1, 4)))


async def test_a_fixed_batch_that_is_coupled_takes_whole_batches_only(make: Make) -> None:
    path = make([node("Softmax", ["x"], ["y"], axis=0)], {"x": [8, 4]}, {"y": [8, 4]})
    async with open_engine(path) as engine:
        requests = [floats(8, 4, seed=seed) for seed in range(3)]
        for answer, x in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer, alone(path, x)[0])
        for wrong in (floats(3, 4), floats(4)):
            with pytest.raises(InvalidInput, match="must be 8"):
                await engine.infer(wrong)


# -- what ran by itself needs no rows to be told apart --------------------------------------------


@pytest.fixture
def reshaped(make: Make) -> Path:
    """Any shape that the request asks for: as many rows as came, where the check looks."""
    return make(
        [node("Expand", ["x", "shape"], ["y"])],
        {"x": ["batch", 1], "shape": ([2], INT64)},
        {"y": ["rows", "columns"]},
    )


async def test_a_request_by_itself_gets_what_came(reshaped: Path) -> None:
    """Also where the check has seen rows, with other values than are asked."""
    x = floats(1, 1)
    async with open_engine(reshaped, batching=True) as engine:
        for shape in ([3, 4], [1, 2], [5, 1]):
            answer = await engine.infer({"x": x, "shape": np.array(shape)})
            assert same(answer["y"], np.broadcast_to(x, shape))
        with await engine.infer({"x": x, "shape": np.array([3, 4])}, copy=False) as lent:
            assert lent["y"].shape == (3, 4)
        statistics = engine.statistics()
        assert (statistics.answered, statistics.failed) == (4, 0)


async def test_requests_whose_rows_cannot_be_told_apart_are_run_one_by_one(
    detector: Path, caplog: pytest.LogCaptureFixture
) -> None:
    requests = [floats(3, 6, seed=seed) for seed in range(6)]
    with caplog.at_level(logging.WARNING, "trtasync"):
        async with open_engine(
            detector, batching=True, max_batch_size=9, max_queue_delay=0.2
        ) as engine:
            for _ in range(2):
                answers = await at_once(engine, requests)
                for answer, x in zip(answers, requests, strict=True):
                    assert same(answer, alone(detector, x)[0])
            statistics = engine.statistics()
            assert (statistics.answered, statistics.failed) == (12, 0)
            assert statistics.retried >= 1
    (warning,) = caplog.messages
    assert "'y'" in warning
    assert "batching=False" in warning


async def test_padded_rows_are_nobody_s(detector: Path) -> None:
    """What the rows that fill a batch up have added cannot be taken out again."""
    async with open_engine(detector, batching=True, batch_sizes=[4], max_batch_size=4) as engine:
        with pytest.raises(InferenceError, match="cannot be told apart") as caught:
            await engine.infer(floats(3, 6))
        assert type(caught.value) is InferenceError
        with pytest.raises(InferenceError, match="cannot be told apart"):
            await engine.infer(floats(6, 6))  # split over two batches
        assert engine.statistics().failed == 2


async def test_one_row_at_a_time_may_give_any_number(make: Make) -> None:
    """A fixed batch of 1, and a declaration that is not true."""
    path = make(
        [
            constant("zero", np.float32(0)),
            constant("shape", np.array([-1])),
            node("Greater", ["x", "zero"], ["kept"]),
            node("Reshape", ["kept", "shape"], ["flat"]),
            node("Compress", ["x", "flat"], ["some"]),
            constant("column", np.array([-1, 1])),
            node("Reshape", ["some", "column"], ["y"]),
        ],
        {"x": [1, 8]},
        {"y": [1, 1]},
    )
    requests = [floats(1, 8, seed=seed) for seed in range(4)]
    async with open_engine(path) as engine:
        for answer, x in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer, alone(path, x)[0])
        with pytest.raises(InferenceError, match="told apart"):
            await engine.infer(np.ones(8, np.float32))  # one row, and eight that could answer it


async def test_one_batch_fits_the_queue_in_any_case(make: Make) -> None:
    path = make([node("Relu", ["x"], ["y"])], {"x": [10000]}, {"y": [10000]})
    async with open_engine(path) as engine:
        assert same(await engine.infer(floats(10000)), np.maximum(floats(10000), 0))


@pytest.mark.parametrize("batching", ["auto", True, False])
async def test_an_input_that_is_an_output_comes_back_as_it_was(make: Make, batching: Any) -> None:
    path = make([node("Relu", ["x"], ["y"])], {"x": ["N", 3]}, {"y": ["N", 3], "x": ["N", 3]})
    requests = [floats(2, 3, seed=seed) for seed in range(4)]
    async with open_engine(path, batching=batching) as engine:
        for answer, x in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer["x"], x)
            assert same(answer["y"], np.maximum(x, 0))


@pytest.fixture
def some_columns(make: Make) -> Path:
    """The columns that are positive in the one row: their number depends on the values."""
    return make(
        [
            constant("zero", np.float32(0)),
            constant("first", np.array([0])),
            node("Greater", ["x", "zero"], ["positive"]),
            node("Squeeze", ["positive", "first"], ["flat"]),
            node("Compress", ["x", "flat"], ["y"], axis=1),
        ],
        {"x": [1, 6]},
        {"y": [1, "n"]},
    )


async def test_parts_of_a_request_that_do_not_fit_together_fail_it_alone(
    some_columns: Path,
) -> None:
    x = np.stack([np.ones(6, np.float32), -np.ones(6, np.float32)])
    async with open_engine(some_columns) as engine:
        with pytest.raises(InferenceError, match="max_batch_size rows at a time"):
            await engine.infer(x)
        assert same(await engine.infer(x[:1]), x[:1])
        assert same(await engine.infer(x[0]), x[0])


async def test_a_row_without_its_axis_has_one_form_whatever_is_known(detector: Path) -> None:
    model = onnx.load(detector)
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.save(model, detector)
    hit, miss = np.ones(6, np.float32), -np.ones(6, np.float32)
    for options in ({}, {"check_seconds": 0}, {"batching": False}, {"batching": True}):
        async with open_engine(detector, **options) as engine:
            assert same(await engine.infer(hit), hit)
            with pytest.raises(InferenceError, match=r"batch axis|told apart"):
                await engine.infer(miss)
            assert same(await engine.infer(miss[np.newaxis]), np.empty((0, 6), np.float32))


@pytest.mark.parametrize("most", [7, 1000])
async def test_what_the_graph_shows_to_mix_is_not_batched_for_lack_of_a_sign(
    make: Make, most: int
) -> None:
    path = make(
        [
            constant("from", np.array([0])),
            constant("to", np.array([most])),
            node("Slice", ["x", "from", "to"], ["y"]),
        ],
        {"x": ["N", 4]},
        {"y": ["M", 4]},
    )
    async with open_engine(path) as engine:
        (finding,) = engine.batching.findings
        assert "takes some of the rows" in finding.why
        x = floats(2 * most, 4)
        assert same(await engine.infer(x), x[:most])


async def test_what_counts_the_rows_is_not_batched(make: Make) -> None:
    path = make(
        [
            constant("six", np.array([6])),
            constant("zero", np.array([0])),
            node("Shape", ["x"], ["shape"]),
            node("Gather", ["shape", "zero"], ["rows"]),
            node("Greater", ["rows", "six"], ["many"]),
            node("Cast", ["many"], ["more"], to=FLOAT),
            node("Add", ["x", "more"], ["y"]),
        ],
        {"x": ["N", 3]},
        {"y": ["N", 3]},
    )
    requests = [floats(2, 3, seed=seed) for seed in range(5)]
    async with open_engine(path) as engine:
        for answer, x in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer, x)


async def test_large_shared_inputs_are_not_kept_without_end(make: Make) -> None:
    path = make(
        [node("MatMul", ["x", "w"], ["y"])], {"x": ["N", 256], "w": [256, 256]}, {"y": ["N", 256]}
    )
    kept: list[weakref.ref[Any]] = []
    async with open_engine(path) as engine:
        for value in range(600):  # 0.25 MiB each
            w = np.full((256, 256), value, np.float32)
            answer = await engine.infer({"x": np.ones((1, 256), np.float32), "w": w})
            assert answer["y"][0, 0] == 256 * value
            (group,) = list(engine._reader._groups.values())[-1:]
            kept.append(weakref.ref(group.layout.shared[0]))
        del group
        gc.collect()
        alive = sum(ref() is not None for ref in kept)
        assert alive * w.nbytes <= MAX_SHARED_BYTES + 4 * w.nbytes


# -- what the user says ---------------------------------------------------------------------------


async def test_batch_axes_are_the_user_s_to_name(make: Make) -> None:
    path = make(
        [constant("axis", 1), node("CumSum", ["x", "axis"], ["y"])],
        {"x": ["rows", "T"]},
        {"y": ["rows", "T"]},
    )
    async with open_engine(path, batch_axes={"x": 0}) as engine:
        assert engine.batching.batched
    async with open_engine(path, batch_axes={"x": 1}) as engine:
        assert not engine.batching.batched
        assert same(await engine.infer(floats(3, 5)), alone(path, floats(3, 5))[0])
    async with open_engine(path, batch_axes={"x": None, "y": None}) as engine:
        with pytest.raises(InvalidInput, match="rank 2"):
            await engine.infer(floats(5))


async def test_only_what_is_proved_is_batched_where_that_is_wanted(make: Make) -> None:
    path = make([node("Relu", ["x"], ["y"])], {"x": ["N", 4]}, {"y": ["N", 4]})
    async with open_engine(path, batching="proved") as engine:
        (finding,) = engine.batching.findings
        assert (engine.batching.batched, finding.verdict) == (True, Verdict.PROVED)


async def test_without_a_budget_only_a_proof_counts(make: Make) -> None:
    path = make([node("Relu", ["x"], ["y"])], {"x": ["N", 4]}, {"y": ["N", 4]})
    async with open_engine(path, check_seconds=0) as engine:
        assert engine.batching.batched


async def test_batching_without_an_axis_is_refused(make: Make) -> None:
    path = make([node("Relu", ["x"], ["y"])], {"x": ["N", "N"]}, {"y": ["N", "N"]})
    with pytest.raises(InvalidInput, match="batch_axes"):
        async with open_engine(path, batching=True):
            pass


@pytest.mark.parametrize(
    "options",
    [{"batching": "yes"}, {"batching": 1.5}, {"batch_axes": ["x"]}, {"batch_axes": {"z": 0}},
     {"check_seconds": -1}],
)  # fmt: skip
async def test_nonsense_is_refused(cumulated: Path, options: dict[str, Any]) -> None:
    with pytest.raises(TrtasyncError, match=next(iter(options))):
        async with open_engine(cumulated, **options):
            pass


# -- padding --------------------------------------------------------------------------------------


@pytest.fixture
def convolution(make: Make) -> Path:
    """Each number and its two neighbours added up: two numbers fewer than came, whatever the
    declaration says."""
    return make(
        [node("Conv", ["x", "w"], ["y"])],
        {"x": ["N", 1, "len"]},
        {"y": ["N", 1, "len"]},
        {"w": np.ones((1, 1, 3), np.float32)},
    )


async def test_an_output_of_another_length_than_the_padding_is_not_cut_by_its_name(
    convolution: Path,
) -> None:
    x = np.full((1, 5), 2, np.float32)
    async with open_engine(convolution, padding={"x": Pad(axis=2, multiple_of=8)}) as engine:
        for request in (x, {"x": x[np.newaxis]}):
            with pytest.raises(InferenceError, match=r"padded to 8.*'y': Cut\("):
                await engine.infer(request)
            with pytest.raises(InferenceError, match=r"'y': Cut\("):
                await engine.infer(request, copy=False)
        exact = np.ones((1, 8), np.float32)
        assert same(await engine.infer(exact), np.full((1, 6), 3, np.float32))
        statistics = engine.statistics()
        assert (statistics.failed, statistics.answered) == (4, 1)


async def test_a_cut_says_how_long_the_true_part_is(convolution: Path) -> None:
    rule = Pad(axis=2, multiple_of=8, outputs={"y": Cut(axis=2, length=lambda n: n - 2)})
    requests = [np.full((1, n), n, np.float32) for n in (5, 3, 8, 9)]
    async with open_engine(convolution, padding={"x": rule}) as engine:
        for answer, x in zip(await at_once(engine, requests), requests, strict=True):
            assert same(answer, alone(convolution, x[np.newaxis])[0][0])


async def test_a_cut_that_is_no_number_fails_its_request_alone(convolution: Path) -> None:
    x = np.ones((1, 5), np.float32)
    lengths: list[Any] = [lambda n: n / 2, lambda n: "4", lambda n: 1 // 0]
    for length in lengths:
        rule = Pad(axis=2, multiple_of=8, outputs={"y": Cut(axis=2, length=length)})
        async with open_engine(convolution, padding={"x": rule}) as engine:
            with pytest.raises(InvalidInput, match="whole number"):
                await engine.infer(x)
            exact = np.ones((1, 8), np.float32)
            assert same(await engine.infer(exact), np.full((1, 6), 3, np.float32))


@pytest.mark.parametrize("rank", [2, None])
async def test_padding_that_no_name_tells_of_is_not_handed_out(
    make: Make, rank: int | None
) -> None:
    path = make([node("Relu", ["x"], ["y"])], {"x": ["n", "len"]}, {"y": ["n", "out_len"]})
    if rank is None:
        model = onnx.load(path)
        model.graph.output[0].type.tensor_type.ClearField("shape")
        onnx.save(model, path)
    x = np.ones(13, np.float32)
    async with open_engine(path, padding={"x": Pad(axis=1, multiple_of=16)}) as engine:
        if engine.outputs[0].shape == ("n", "len"):  # the runtime knows better
            assert same(await engine.infer(x), x)
        else:
            with pytest.raises(InferenceError, match=r"'y': Cut\("):
                await engine.infer(x)
        assert same(await engine.infer(np.ones(16, np.float32)), np.ones(16, np.float32))


async def test_what_runs_alone_is_padded_all_the_same(make: Make) -> None:
    path = make(
        [constant("axis", 0), node("CumSum", ["x", "axis"], ["y"])],
        {"x": ["T", "len"]},
        {"y": ["T", "len"]},
    )
    async with open_engine(path, padding={"x": Pad(axis=1, multiple_of=8)}) as engine:
        assert not engine.batching.batched
        for x in (floats(3, 5), floats(2, 8), floats(5)):
            answer = await engine.infer(x)
            assert same(answer, np.cumsum(x.reshape(-1, x.shape[-1]), axis=0).reshape(x.shape))
