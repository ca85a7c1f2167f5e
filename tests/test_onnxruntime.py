"""The embedded backend: real models, the same bits batched as alone, and what it must refuse."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from examples.digit_lines import lines
from support.helpers import MODELS, Array, check_at_rest, same
from trtasync import (
    BackendUnavailable,
    Cut,
    Engine,
    InferenceError,
    InvalidInput,
    Pad,
    PlanError,
    TrtasyncError,
    open_engine,
)
from trtasync.runtimes.onnxruntime import _spec, load

ROOT = Path(__file__).parents[1]
FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING


class Alone:
    """What onnxruntime by itself says to one row."""

    def __init__(self, model: str):
        self._session = load(MODELS / model, 1)._session
        self._names = [node.name for node in self._session.get_inputs()]

    def __call__(self, *inputs: Array) -> Array:
        batch = [array[np.newaxis] for array in inputs]
        answer: Array = self._session.run(None, dict(zip(self._names, batch, strict=True)))[0][0]
        return answer


async def infer_all(engine: Engine, requests: Sequence[Any]) -> list[Any]:
    """All at once; the answers in the order of the requests."""
    answers: list[Any] = [None] * len(requests)

    async def ask(index: int) -> None:
        answers[index] = await engine.infer(requests[index])

    async with anyio.create_task_group() as tasks:
        for index in range(len(requests)):
            tasks.start_soon(ask, index)
    return answers


def images(count: int) -> list[Array]:
    return [line.image for line in lines(count, seed=1)]


# -- batched is the same as alone, bit by bit -----------------------------------------------------

ROUNDING = 3e-7
"""digits_pair is the exception: onnxruntime's own sums differ with the size of the batch."""


@pytest.mark.anyio
@pytest.mark.parametrize("loop_budget", [0.0, 0.05])
@pytest.mark.parametrize("streams", [1, 2, 3])
async def test_pairs_batched_are_pairs_alone_up_to_rounding(
    streams: int, loop_budget: float
) -> None:
    rng = np.random.default_rng(0)
    pairs = [tuple(rng.random((2, 64), np.float32)) for _ in range(100)]
    single = Alone("digits_pair.onnx")
    async with open_engine(
        MODELS / "digits_pair.onnx", streams=streams, max_batch_size=16, loop_budget=loop_budget
    ) as engine:
        for _ in range(2):
            answers = await infer_all(engine, pairs)
            for answer, pair in zip(answers, pairs, strict=True):
                assert list(answer) == ["same_probability"]
                assert answer["same_probability"].dtype == np.float32
                np.testing.assert_allclose(
                    answer["same_probability"], single(*pair), rtol=ROUNDING, atol=ROUNDING
                )
        statistics = check_at_rest(engine)
        assert statistics.rows == 200
        assert statistics.batches < 200  # some were batched, or this test shows nothing


@pytest.mark.anyio
async def test_lookups_batched_are_the_bits_of_lookups_alone() -> None:
    single = Alone("gather.onnx")
    indices = [np.array(index) for index in (*range(16), *range(-16, 0))]
    async with open_engine(MODELS / "gather.onnx", max_batch_size=32) as engine:
        for answer, index in zip(await infer_all(engine, indices), indices, strict=True):
            assert same(answer, single(index))


@pytest.mark.anyio
async def test_lines_of_every_width_batched_are_the_bits_of_lines_alone() -> None:
    single = Alone("digits_line.onnx")
    requests = images(30) * 3
    async with open_engine(MODELS / "digits_line.onnx", max_batch_size=8) as engine:
        for answer, image in zip(await infer_all(engine, requests), requests, strict=True):
            assert same(answer, single(image))
        assert check_at_rest(engine).batches < len(requests)


@pytest.mark.anyio
@pytest.mark.parametrize("rule", [{"multiple_of": 32}, {"sizes": (64, 128)}])
async def test_padded_lines_cut_back_are_the_bits_of_lines_alone(rule: dict[str, Any]) -> None:
    single = Alone("digits_line.onnx")
    requests = images(40)
    pad = Pad(axis=-1, outputs={"probs": Cut(axis=1, length=lambda width: width - 7)}, **rule)
    async with open_engine(
        MODELS / "digits_line.onnx", max_batch_size=16, padding={"image": pad}
    ) as engine:
        for answer, image in zip(await infer_all(engine, requests), requests, strict=True):
            assert same(answer, single(image))
        assert check_at_rest(engine).batches < 20  # widths share batches


@pytest.mark.anyio
async def test_padded_lines_with_their_width_are_the_bits_of_lines_alone() -> None:
    single = Alone("digits_line.onnx")
    requests = images(40)
    pad = Pad(
        axis=-1,
        multiple_of=128,
        value=0.5,  # ink: what tells the reader to ignore it is the width
        outputs={"probs": Cut(axis=1, length=lambda width: width - 7)},
    )
    async with open_engine(
        MODELS / "digits_linew.onnx", max_batch_size=32, padding={"image": pad}
    ) as engine:
        inputs = [
            {"width": np.array(image.shape[-1], np.int64), "image": image} for image in requests
        ]
        for answer, image in zip(await infer_all(engine, inputs), requests, strict=True):
            assert same(answer["probs"], single(image))
        assert check_at_rest(engine).batches < 10


@pytest.mark.anyio
async def test_padded_batch_sizes_are_the_bits_of_rows_alone() -> None:
    single = Alone("gather.onnx")
    async with open_engine(MODELS / "gather.onnx", batch_sizes=(4, 8)) as engine:
        three = await engine.infer(np.array([1, 2, 3]))
        assert same(three, np.stack([single(np.array(index)) for index in (1, 2, 3)]))
        statistics = check_at_rest(engine)
        assert (statistics.rows, statistics.padded_rows) == (3, 1)


@pytest.mark.anyio
async def test_answers_are_the_caller_s_own() -> None:
    async with open_engine(MODELS / "gather.onnx", max_batch_size=4) as engine:
        first = await engine.infer(np.array(3))
        kept = first.copy()
        await infer_all(engine, [np.array(index) for index in range(8)])
        assert same(first, kept)
        assert first.flags.writeable
        one, two = await infer_all(engine, [np.array(5), np.array(5)])
        one[:] = -1
        assert two.tolist() == [20, 21, 22, 23]


# -- models made for one purpose ------------------------------------------------------------------


def value(name: str, kind: int, shape: Sequence[int | str | None] | None) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a model of the given nodes, inputs, outputs and constants."""

    def write(
        nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], **constants: Array
    ) -> Path:
        tensors = [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()]
        graph = helper.make_graph(nodes, "test", inputs, outputs, tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return write


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> Any:
    return helper.make_node(kind, inputs, outputs, **attributes)


@pytest.mark.anyio
@pytest.mark.parametrize("fixed", [1, 4])
async def test_a_fixed_batch_axis(make: Make, fixed: int) -> None:
    path = make(
        [node("Neg", ["x"], ["y"])],
        [value("x", FLOAT, [fixed, 2])],
        [value("y", FLOAT, [fixed, 2])],
    )
    async with open_engine(path) as engine:
        sample = np.array([1, 2], np.float32)
        assert same(await engine.infer(sample), -sample)
        many = np.arange(14, dtype=np.float32).reshape(7, 2)
        assert same(await engine.infer(many), -many)
        answers = await infer_all(engine, list(many))
        assert same(np.stack(answers), -many)
        statistics = check_at_rest(engine)
        assert max(statistics.batch_sizes) <= fixed
        assert statistics.rows == 15
        assert (statistics.rows + statistics.padded_rows) == statistics.batches * fixed
    with pytest.raises(InvalidInput, match=f"fixed at {fixed}"):
        async with open_engine(path, max_batch_size=fixed + 1):
            pass


@pytest.mark.anyio
async def test_numbers_that_numpy_has_not_are_refused_by_what_is_missing(make: Make) -> None:
    path = make(
        [node("Cast", ["x"], ["y"], to=FLOAT)],
        [value("x", onnx.TensorProto.BFLOAT16, ["N", 2])],
        [value("y", FLOAT, ["N", 2])],
    )
    with pytest.raises(PlanError, match=r"'x' is a tensor.bfloat16.*Cast it") as caught:
        async with open_engine(path):
            pass
    assert "numeric" not in str(caught.value)


@pytest.mark.anyio
async def test_without_batch_axis_every_request_runs_alone(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    path = make(
        [node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)],
        [value("x", FLOAT, ["N", 2])],
        [value("y", FLOAT, [2])],
        axes=np.array([0], np.int64),
    )
    async with open_engine(path, max_batch_size=8) as engine:
        assert "every request runs alone" in caplog.text
        requests = [np.full((count, 2), count, np.float32) for count in (1, 2, 3, 2)]
        answers = await infer_all(engine, requests)
        assert [answer.tolist() for answer in answers] == [[1, 1], [4, 4], [9, 9], [4, 4]]
        assert dict(check_at_rest(engine).batch_sizes) == {1: 4}


@pytest.mark.anyio
async def test_requests_with_different_scalars_do_not_share_a_batch(make: Make) -> None:
    path = make(
        [node("Mul", ["x", "factor"], ["y"])],
        [value("x", FLOAT, ["N", 2]), value("factor", FLOAT, [])],
        [value("y", FLOAT, ["N", 2])],
    )
    async with open_engine(path) as engine:
        x = np.ones((3, 2), np.float32)
        two, three = await infer_all(engine, [(x, np.float32(2)), (x, np.float32(3))])
        assert same(two["y"], x * np.float32(2))
        assert same(three["y"], x * np.float32(3))
        with pytest.raises(InvalidInput, match="only a scalar"):
            await engine.infer((x, np.ones(2, np.float32)))


@pytest.mark.anyio
async def test_an_input_of_unknown_rank_takes_scalars_and_says_why(make: Make) -> None:
    path = make([node("Neg", ["x"], ["y"])], [value("x", FLOAT, None)], [value("y", FLOAT, None)])
    async with open_engine(path) as engine:
        assert same(await engine.infer(np.float32(2)), np.float32(-2))
        with pytest.raises(InvalidInput, match="declares no rank"):
            await engine.infer(np.ones(3, np.float32))


@pytest.mark.anyio
@pytest.mark.parametrize("declared", [["N", 2], None])
async def test_an_output_without_batch_axis_is_never_cut_up(
    make: Make, declared: list[int | str] | None
) -> None:
    """The shape is a secret until the run: the graph reads it from a second input."""
    path = make(
        [node("Slice", ["x", "first", "last"], ["y"])],
        [value("x", FLOAT, ["N", 2]), value("last", INT64, ["N"])],
        [value("y", FLOAT, declared)],
        first=np.array([0], np.int64),
    )
    x = np.ones((1, 2), np.float32)
    async with open_engine(path, max_batch_size=4) as engine:
        for rows in (1, 0, 1):
            answer = await engine.infer((x, np.array([rows])))
            assert same(answer["y"], x[:rows])


@pytest.mark.anyio
async def test_an_output_of_unknown_rank_is_checked_when_it_comes(make: Make) -> None:
    path = make(
        [node("Reshape", ["x", "shape"], ["y"])],
        [value("x", FLOAT, ["N", 2]), value("shape", INT64, ["N"])],
        [value("y", FLOAT, None)],
    )
    for batching in ("auto", True):
        async with open_engine(path, max_batch_size=1, batching=batching) as engine:
            answer = await engine.infer((np.ones((1, 2), np.float32), np.array([-1])))
            assert same(answer["y"], np.ones(2, np.float32))
            with pytest.raises(InferenceError, match=r"batch axis|told apart"):
                await engine.infer((np.ones(2, np.float32), np.array(-1)))


@pytest.mark.anyio
async def test_several_outputs_and_every_numeric_type(make: Make) -> None:
    kinds = {
        "f16": (TensorProto.FLOAT16, np.float16),
        "f64": (TensorProto.DOUBLE, np.float64),
        "i8": (TensorProto.INT8, np.int8),
        "u8": (TensorProto.UINT8, np.uint8),
        "i16": (TensorProto.INT16, np.int16),
        "u16": (TensorProto.UINT16, np.uint16),
        "i32": (TensorProto.INT32, np.int32),
        "u32": (TensorProto.UINT32, np.uint32),
        "i64": (TensorProto.INT64, np.int64),
        "u64": (TensorProto.UINT64, np.uint64),
        "bool": (TensorProto.BOOL, np.bool_),
    }
    path = make(
        [node("Identity", [name], [f"{name}_out"]) for name in kinds],
        [value(name, kind, ["N", 2]) for name, (kind, _) in kinds.items()],
        [value(f"{name}_out", kind, ["N", 2]) for name, (kind, _) in kinds.items()],
    )
    async with open_engine(path) as engine:
        inputs: dict[str, Array] = {
            name: np.array([[0, 1], [1, 0]]).astype(dtype) for name, (_, dtype) in kinds.items()
        }
        answer = await engine.infer(inputs)
        assert list(answer) == [f"{name}_out" for name in kinds]
        for name, array in inputs.items():
            assert same(answer[f"{name}_out"], array)


def sequence_output() -> Any:
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, None))
    return helper.make_value_info("y", kind)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("nodes", "outputs"),
    [
        ([node("Cast", ["x"], ["y"], to=STRING)], [value("y", STRING, ["N", 2])]),
        ([node("SplitToSequence", ["x"], ["y"])], [sequence_output()]),
    ],
    ids=["string", "sequence"],
)
async def test_outputs_that_are_no_numbers_are_refused(
    make: Make, nodes: list[Any], outputs: list[Any]
) -> None:
    path = make(nodes, [value("x", FLOAT, ["N", 2])], outputs)
    with pytest.raises(PlanError, match="output 'y' is a"):
        async with open_engine(path):
            pass


@pytest.mark.anyio
async def test_string_inputs_are_refused(make: Make) -> None:
    path = make(
        [node("Cast", ["x"], ["y"], to=FLOAT)],
        [value("x", STRING, ["N"])],
        [value("y", FLOAT, ["N"])],
    )
    with pytest.raises(PlanError, match="input 'x' is a tensor"):
        async with open_engine(path):
            pass


@pytest.mark.anyio
async def test_a_failing_row_names_the_runtime_s_own_error() -> None:
    async with open_engine(MODELS / "gather.onnx") as engine:
        with pytest.raises(InferenceError, match="ONNX Runtime failed") as caught:
            await engine.infer(np.array(99))
        assert "out of data bounds" in str(caught.value.__cause__)
        assert not isinstance(caught.value.__cause__, TrtasyncError)
        assert (await engine.infer(np.array(0))).tolist() == [0, 1, 2, 3]


# -- files that are no models ---------------------------------------------------------------------


def _truncated(path: Path) -> None:
    path.write_bytes((MODELS / "digits_pair.onnx").read_bytes()[:1000])


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: None, "no file"),
        (lambda path: path.mkdir(), "no file"),
        (lambda path: path.write_bytes(b""), "cannot read"),
        (lambda path: path.write_bytes(b"\x00garbage" * 100), "cannot read"),
        (_truncated, "cannot read"),
    ],
    ids=["missing", "directory", "empty", "garbage", "truncated"],
)
async def test_what_is_no_model_is_refused(
    tmp_path: Path, damage: Callable[[Path], None], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.onnx"
    damage(path)
    with pytest.raises(PlanError, match=says) as caught:
        async with open_engine(path):
            pass
    assert "broken.onnx" in str(caught.value)
    assert capfd.readouterr().err == ""  # one report is enough


@pytest.mark.anyio
async def test_plans_and_devices_are_refused_with_a_reason(tmp_path: Path) -> None:
    plan = tmp_path / "model.plan"
    with pytest.raises(BackendUnavailable, match="TensorRT"):
        async with open_engine(plan):
            pass
    with pytest.raises(PlanError, match="TensorRT plan"):
        async with open_engine(plan, backend="onnxruntime"):
            pass
    with pytest.raises(InvalidInput, match="no devices"):
        async with open_engine(MODELS / "gather.onnx", devices=[0]):
            pass


@pytest.mark.anyio
@pytest.mark.parametrize(
    "options",
    [
        {"streams": 0},
        {"streams": True},
        {"threads": -1},
        {"max_batch_size": 0},
        {"max_batch_size": 2.0},
        {"batch_sizes": [0, 4]},
        {"batch_sizes": [1, 4], "max_batch_size": 8},
        {"max_queue_size": 0},
        {"max_queue_delay": -1},
        {"max_queue_delay": float("nan")},
        {"loop_budget": "1"},
        {"preferred_batch_size": [4]},
        {"preferred_batch_size": [0], "max_queue_delay": 1},
        {"padding": {"index": 8}},
        {"padding": {"index": Pad(axis=1, multiple_of=2)}},
        {"padding": {"nobody": Pad(axis=1, multiple_of=2)}},
        {"backend": "cpu"},
    ],
)
async def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        async with open_engine(MODELS / "gather.onnx", **options):
            pass


# -- telemetry ------------------------------------------------------------------------------------

TELEMETRY = """
import os, sys
from pathlib import Path
from trtasync.runtimes.onnxruntime import _spec, load

def threads():
    return len(os.listdir("/proc/self/task"))

before = threads()
backend = load(Path(sys.argv[1]), threads=1)
print(threads() - before, os.environ.get("ORT_DISABLE_TELEMETRY"))
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads in /proc")
@pytest.mark.parametrize("setting", [None, "0"])
def test_telemetry_stays_off_and_the_environment_as_it_was(
    tmp_path: Path, setting: str | None
) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    if setting is not None:
        environment["ORT_DISABLE_TELEMETRY"] = setting
    done = subprocess.run(
        [sys.executable, "-c", TELEMETRY, str(MODELS / "gather.onnx")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", str(setting)]
    assert list(tmp_path.rglob("*")) == []


def test_a_name_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    """ONNX Runtime loads such a model, and fails when it is asked for its inputs."""
    data = (MODELS / "gather.onnx").read_bytes()
    path = tmp_path / "m.onnx"
    path.write_bytes(data.replace(b"index", b"inde\xff"))
    with pytest.raises(PlanError, match=r"ONNX Runtime cannot read .*m\.onnx: 'utf-8'"):
        load(path, 1)


def test_more_threads_than_any_machine_has_are_refused() -> None:
    with pytest.raises(InvalidInput, match="threads must be 4096 at most") as caught:
        load(MODELS / "gather.onnx", 2**40)
    assert (caught.value.name, caught.value.got) == ("threads", 2**40)


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["n" * 5000, "a\0b", "m.onnx/m.onnx"])
async def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "m.onnx").write_bytes(b"")
    with pytest.raises(PlanError, match="is no file"):
        async with open_engine(str(tmp_path / name), backend="onnxruntime"):
            pass


@pytest.mark.anyio
async def test_slots_for_which_there_is_no_memory_are_refused(tmp_path: Path) -> None:
    values = [helper.make_tensor_value_info(n, FLOAT, ["N", 2**40]) for n in ("x", "y")]
    node = helper.make_node("Relu", ["x"], ["y"])
    path = tmp_path / "m.onnx"
    model = helper.make_model(
        helper.make_graph([node], "g", values[:1], values[1:]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    path.write_bytes(model.SerializeToString())
    with pytest.raises(PlanError, match="no memory for batches of 64 rows"):
        async with open_engine(path, backend="onnxruntime", max_batch_size=64, batching=True):
            pass


def test_a_length_that_is_inferred_as_negative_is_not_known() -> None:
    node = SimpleNamespace(name="y", type="tensor(float)", shape=["N", -65531, 0, 4, "", None])
    assert _spec(node, "output").shape == ("N", None, None, 4, None, None)
