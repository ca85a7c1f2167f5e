"""Every rule of the TensorRT double bites."""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from support import doubles
from support.doubles import Installed, models
from support.doubles import tensorrt as trt
from support.doubles.kernels import view
from support.doubles.models import Model, Tensor
from support.helpers import PATIENCE
from tests.doubles.calling import CUDA, THREAD_LOCAL, ok

OWN = trt.ExecutionContextAllocationStrategy.USER_MANAGED
F32 = np.float32


class Log(trt.ILogger):
    """Keeps what it is told."""

    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self.lines: list[str] = []

    def log(self, severity: Any, msg: str) -> None:
        self.lines.append(f"{severity.name} {msg}")


class Bench:
    """A GPU with a stream, and what makes contexts on it.

    Attributes:
        log: of the runtime.
        arena: address of 1024 bytes.
    """

    def __init__(self, gpu: Installed):
        self.gpu = gpu
        self.log = Log()
        ok(CUDA.cudaSetDevice(0))
        self.stream: int = ok(CUDA.cudaStreamCreateWithFlags(1))
        self.arena = self.memory(1024)

    def memory(self, size: int) -> int:
        return int(ok(CUDA.cudaMalloc(size)))

    def engine(self, model: Model) -> trt.ICudaEngine:
        engine = trt.Runtime(self.log).deserialize_cuda_engine(models.plan(model))
        assert isinstance(engine, trt.ICudaEngine)
        return engine

    def context(self, model: Model, shape: tuple[int, ...] = (2, 4)) -> trt.IExecutionContext:
        """Ready to run."""
        context = self.engine(model).create_execution_context(OWN)
        context.set_device_memory(self.arena, 1024)
        for tensor in (*model.inputs, *model.outputs):
            if not tensor.data_dependent:
                context.set_tensor_address(tensor.name, self.memory(256))
        assert context.set_input_shape("x", shape)
        return context

    def array(self, context: trt.IExecutionContext, name: str, dtype: Any = F32) -> Any:
        """What lies at a tensor's address."""
        return view(context._addresses[name], context.get_tensor_shape(name), dtype)

    def wait(self, stream: int | None = None) -> None:
        ok(CUDA.cudaStreamSynchronize(self.stream if stream is None else stream))


@pytest.fixture
def bench() -> Iterator[Bench]:
    with doubles.install(clean=False) as gpu:
        yield Bench(gpu)


DOUBLE = models.elementwise(lambda x: x * 2)


def test_an_enqueue_runs_later_with_what_the_inputs_are_then(bench: Bench) -> None:
    context = bench.context(DOUBLE)
    x, y = bench.array(context, "x"), bench.array(context, "y")
    x[:] = 1
    with bench.gpu.world.held():
        assert context.execute_async_v3(bench.stream)
        assert not (y == 2).any()
        x[:] = 3
    bench.wait()
    assert (y == 6).all()
    assert bench.gpu.violations == []


@pytest.mark.parametrize("shared", [False, True])
def test_a_shared_arena_spoils_what_runs_at_the_same_time(bench: Bench, shared: bool) -> None:
    other: int = ok(CUDA.cudaStreamCreateWithFlags(1))
    first, second = bench.context(DOUBLE), bench.context(DOUBLE)
    if not shared:
        second.set_device_memory(bench.memory(1024), 1024)
    for context in (first, second):
        bench.array(context, "x")[:] = 1
    with bench.gpu.world.held():
        assert first.execute_async_v3(bench.stream)
        assert second.execute_async_v3(other)
        for stream in (bench.stream, other, bench.stream):
            bench.gpu.world.step(1, stream)
    bench.wait(other)
    assert (bench.array(first, "y") == 2).all() == (not shared)
    assert (bench.array(second, "y") == 2).all()


def test_nothing_runs_that_is_not_set_up(bench: Bench) -> None:
    context = bench.engine(DOUBLE).create_execution_context(OWN)

    def refused(words: str) -> bool:
        return not context.execute_async_v3(bench.stream) and words in bench.log.lines[-1]

    assert context.infer_shapes() == ["x"]
    assert context.get_max_output_size("y") == -1
    assert refused("shape of input 'x'")
    assert context.set_input_shape("x", (2, 4))
    assert refused("address of 'x'")
    assert context.set_tensor_address("x", bench.memory(32))
    assert context.set_tensor_address("y", bench.memory(32))
    assert refused("activation memory")
    context.set_device_memory(bench.arena, 1023)
    assert refused("1023 bytes")
    context.set_device_memory(bench.arena, 1024)
    assert context.execute_async_v3(bench.stream)
    context.set_device_memory(bench.arena, 512)
    assert refused("512 bytes")  # it is checked again after every change
    assert bench.gpu.violations == []


def test_what_the_setters_refuse(bench: Bench) -> None:
    context = bench.context(DOUBLE)
    lines = len(bench.log.lines)
    assert not context.set_tensor_address("x", 0)
    assert not context.set_tensor_address("x", bench.arena + 128)
    assert not context.set_tensor_address("z", bench.arena)
    assert not context.set_input_shape("x", (9, 4))
    assert not context.set_input_shape("x", (2, 4, 1))
    assert not context.set_input_shape("y", (2, 4))
    assert not context.set_output_allocator("x", None)
    context.set_device_memory(bench.arena + 1, 1000)
    with pytest.raises(RuntimeError):
        context.set_optimization_profile_async(1, bench.stream)
    assert len(bench.log.lines) == lines + 9
    assert all(line.startswith("ERROR ") for line in bench.log.lines)


def test_output_shapes_follow_the_inputs(bench: Bench) -> None:
    context = bench.context(DOUBLE)
    assert context.get_tensor_shape("y") == (2, 4)
    assert context.set_input_shape("x", (5, 4))
    assert context.get_tensor_shape("y") == (5, 4)
    assert context.get_max_output_size("y") == 80
    assert context.set_optimization_profile_async(0, bench.stream)
    assert context.get_tensor_shape("y") == (-1, 4)
    assert context.infer_shapes() == ["x"]


def _sized(low: int = 0) -> Model:
    x = Tensor("x", F32, (-1, 4), [((1, 4), (2, 4), (4, 4))])
    n = Tensor("n", np.int32, (1,), [((low,), (2,), (4,))], host=True)
    y = Tensor("y", F32, (-1, 4), infer=lambda known: (known["n"][0], 4))
    kernel = models.host_kernel(lambda x, n: np.full((int(n[0]), 4), n[0], F32))
    return Model("sized", [x, n], [y], kernel)


def test_shape_tensors_are_read_when_asked_and_when_enqueued(bench: Bench) -> None:
    context = bench.context(_sized())
    values = np.array([3], np.int32)
    assert context.set_tensor_address("n", values.ctypes.data)
    assert context.infer_shapes() == []
    assert context.get_tensor_shape("y") == (3, 4)
    values[0] = 1
    with bench.gpu.world.held():
        assert context.execute_async_v3(bench.stream)
        assert context._shapes["y"] == (1, 4)
        values[0] = 2
        assert context.execute_async_v3(bench.stream)
        assert context._shapes["y"] == (2, 4)
        bench.gpu.world.step(2)
        assert (bench.array(context, "y")[:1] == 1).all()
    bench.wait()
    values[0] = 5
    with pytest.raises(RuntimeError):
        context.infer_shapes()
    assert not context.execute_async_v3(bench.stream)


def test_profile_values_come_in_the_swapped_order(bench: Bench) -> None:
    engine = bench.engine(_sized())
    assert engine.get_tensor_profile_values(0, "n") == [[0], [2], [4]]
    assert engine.get_tensor_profile_shape("n", 0) == [(1,)] * 3
    assert engine.get_tensor_profile_shape("y", 0) == []


def test_aliases_must_share_their_memory(bench: Bench) -> None:
    x = Tensor("x", F32, (2, 4))
    y = Tensor("y", F32, (2, 4), alias_of="x")
    context = bench.context(Model("alias", [x], [y], models.host_kernel(lambda x: x + 1)))
    assert not context.execute_async_v3(bench.stream)
    assert "share the memory" in bench.log.lines[-1]
    context.set_tensor_address("y", context._addresses["x"])
    array = bench.array(context, "x")
    array[:] = 1
    assert context.execute_async_v3(bench.stream)
    bench.wait()
    assert (array == 2).all()


class Grower(trt.IOutputAllocator):
    """Answers with one address."""

    def __init__(self, answer: Any):
        trt.IOutputAllocator.__init__(self)
        self.answer = answer
        self.heard: list[Any] = []

    def reallocate_output_async(
        self, tensor_name: str, memory: int, size: int, alignment: int, stream: int
    ) -> int | None:
        self.heard.append(size)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]

    def notify_shape(self, tensor_name: str, shape: Any) -> None:
        self.heard.append(shape)


def test_outputs_that_depend_on_data_ask_for_memory(bench: Bench) -> None:
    y = Tensor("y", F32, (-1,), data_dependent=True)
    kernel = models.host_kernel(lambda x: x[x > 0])
    context = bench.context(Model("nonzero", DOUBLE.inputs, [y], kernel))
    bench.array(context, "x")[:] = [[0, 1, 2, 3]] * 2
    assert context.get_tensor_shape("y") == (-1,)
    assert not context.execute_async_v3(bench.stream)
    address = bench.memory(64)
    outcomes = [(None, [24]), (ValueError(), [24]), (1, [24]), (address, [24, (6,)])]
    for number, (answer, heard) in enumerate(outcomes, 1):
        grower = Grower(answer)
        assert context.set_output_allocator("y", grower)
        assert context.execute_async_v3(bench.stream) == (answer == address)
        assert grower.heard == heard
        assert len(context._allocators["y"]) == number  # all of them are kept
    bench.wait()
    assert view(address, (6,), F32).tolist() == [1, 2, 3, 1, 2, 3]


def test_a_base_class_must_be_initialised(bench: Bench) -> None:
    class Hasty(trt.ILogger):
        def __init__(self) -> None: ...

    with pytest.raises(TypeError):
        trt.Runtime(Hasty())


def _capture(bench: Bench, context: trt.IExecutionContext) -> tuple[bool, Any]:
    ok(CUDA.cudaStreamBeginCapture(bench.stream, THREAD_LOCAL))
    accepted = context.execute_async_v3(bench.stream)
    return accepted, ok(CUDA.cudaStreamEndCapture(bench.stream))


def test_a_capture_needs_a_run_before_and_a_network_that_can(bench: Bench) -> None:
    context, world = bench.context(DOUBLE), bench.gpu.world
    accepted, graph = _capture(bench, context)
    assert (accepted, world.graphs[graph]) == (False, [])  # and replays old results for ever
    assert context.execute_async_v3(bench.stream)
    assert _capture(bench, context)[0]
    assert context.set_input_shape("x", (2, 4))  # the same
    assert _capture(bench, context)[0]
    assert context.set_input_shape("x", (3, 4))
    assert not _capture(bench, context)[0]
    plain = bench.context(models.elementwise(lambda x: x, name="plain", capturable=False))
    assert plain.execute_async_v3(bench.stream)
    assert not _capture(bench, plain)[0]


def test_a_graph_keeps_its_addresses_and_shapes(bench: Bench) -> None:
    context = bench.context(DOUBLE)
    x, y = bench.array(context, "x"), bench.array(context, "y")
    assert context.execute_async_v3(bench.stream)
    graph = ok(CUDA.cudaGraphInstantiate(_capture(bench, context)[1], 0))
    context.set_tensor_address("y", bench.memory(256))
    assert context.set_input_shape("x", (1, 4))
    x[:] = 5
    ok(CUDA.cudaGraphLaunch(graph, bench.stream))
    bench.wait()
    assert (y == 10).all()


def test_two_threads_in_one_context_are_noticed(bench: Bench) -> None:
    inside, go = threading.Event(), threading.Event()

    def kernel(context: Any, stream: int) -> bool:
        inside.set()
        return go.wait(PATIENCE)

    context = bench.context(models.elementwise(lambda x: x, name="slow", kernel=kernel))
    first = threading.Thread(target=context.execute_async_v3, args=(bench.stream,))
    first.start()
    assert inside.wait(PATIENCE)
    second = threading.Thread(target=context.get_tensor_shape, args=("y",))
    second.start()
    while not bench.gpu.violations:
        second.join(0.001)
    go.set()
    first.join(PATIENCE)
    second.join(PATIENCE)
    assert bench.gpu.violations == ["two threads at once in one context (get_tensor_shape)"]


def test_plans_that_are_none(bench: Bench) -> None:
    good = models.plan(DOUBLE)
    bad = {
        b"": "Magic tag",
        b"garbage": "Magic tag",
        good[:-1]: "Magic tag",
        models.MAGIC + b"[]\n" + bytes(64): "Magic tag",
        models.plan(models.elementwise(abs, name="old", version="10.16.1")): "got 10.16.1",
        models.plan(models.elementwise(abs, name="sm80", capability="8.0")): "compute 8.0",
    }
    for data, words in bad.items():
        assert trt.Runtime(bench.log).deserialize_cuda_engine(data) is None
        assert words in bench.log.lines[-1]
    assert trt.Runtime(bench.log).deserialize_cuda_engine(memoryview(good)) is not None


def test_a_runtime_before_cuda_is_a_crash() -> None:
    with doubles.install(clean=False) as gpu:
        CUDA.cudaDriverGetVersion()
        trt.Runtime(Log())
        assert "segfault" in gpu.violations[0]


def test_what_an_engine_says_of_itself(bench: Bench) -> None:
    layout = "Channel major FP16 format where C % 8 == 0 (kHWC8)"
    x = Tensor("x", np.float16, (-1, 4), [((1, 4),) * 3, ((2, 4),) * 3], format=layout)
    y = Tensor("y", F32, (-1, 4))
    model = Model("said", [x], [y], lambda *_: True, activation_bytes=lambda i: 256 * (i + 1))
    engine = bench.engine(model)
    assert engine.get_tensor_format_desc("x") == layout
    assert engine.get_tensor_format_desc("y") == "Row major linear FP32 format (kLINEAR)"
    assert engine.num_optimization_profiles == 2
    assert engine.device_memory_size_v2 == 512
    assert engine.get_device_memory_size_for_profile_v2(0) == 256


def test_a_lost_device_refuses_to_enqueue(bench: Bench) -> None:
    context = bench.context(DOUBLE)
    bench.gpu.world.break_device()
    assert not context.execute_async_v3(bench.stream)


def test_calls_are_counted(bench: Bench) -> None:
    context = bench.context(DOUBLE)
    bench.gpu.context_calls.clear()
    for _ in range(3):
        assert context.execute_async_v3(bench.stream)
    assert bench.gpu.context_calls == {"execute_async_v3": 3}
