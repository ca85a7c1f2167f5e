"""What the tests of building share: models, builds on the doubles, what lies in a cache."""

import hashlib
import json
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import onnxruntime  # noqa: TID253 - what answers are held against
from anyio import to_thread
from onnx import TensorProto, helper, numpy_helper, save_model

from support.doubles import Installed
from support.helpers import MODELS, PATIENCE, Array
from tests.genuine.machines import Machine
from trtasync import BuilderConfig, open_engine
from trtasync.plans import Phases

ELEVEN, TEN = "11.4.0.106", "10.16.1.11"
VERSIONS = (ELEVEN, TEN)

GATHER = MODELS / "gather.onnx"
TABLE = np.arange(64, dtype=np.float32).reshape(16, 4)
"""What gather.onnx looks rows up in."""

PROFILES = {
    "digits_line": "image:1x1x8x8/2x1x8x16/4x1x8x64",
    "digits_linew": "image:1x1x8x8/2x1x8x16/4x1x8x64",
    "digits_page": None,
    "digits_pair": None,
    "gather": None,
    "texts": "trigrams:1x1/8x16/32x64",
    "voice": None,
}
"""Of every example model; None where the derived one will do."""


# -- models ---------------------------------------------------------------------------------------


def write_matmul(
    path: Path, weight: Array, *, external: str = "", name: str = "matmul", batch: Any = "N"
) -> Path:
    """An ONNX file: x[N, rows] @ weight -> y. `external` names the file that holds the weight."""
    rows, columns = weight.shape
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, rows])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, columns])],
        [numpy_helper.from_array(weight, "w")],
    )
    return save(path, graph, external)


def write_branches(path: Path, weight: Array, external: str) -> Path:
    """An ONNX file whose only weights lie in the two branches of an If, outside of the file."""
    rows, columns = weight.shape

    def branch(factor: float) -> Any:
        return helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["z"])],
            "branch",
            [],
            [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", columns])],
            [numpy_helper.from_array(weight * np.float32(factor), "w")],
        )

    branches = {"then_branch": branch(1), "else_branch": branch(-1)}
    graph = helper.make_graph(
        [helper.make_node("If", ["c"], ["y"], **branches)],
        "branches",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", rows])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", columns])],
        [numpy_helper.from_array(np.array(True), "c")],
    )
    return save(path, graph, external)


def save(path: Path, graph: Any, external: str = "") -> Path:
    """Write a graph as an ONNX file."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options: dict[str, Any] = {"save_as_external_data": bool(external)}
    if external:
        options |= {"all_tensors_to_one_file": True, "location": external, "size_threshold": 0}
    save_model(model, str(path), **options)
    return path


def matrix(seed: int = 0, rows: int = 4, columns: int = 3) -> Array:
    """Whole numbers, so that products of them are exact."""
    return np.random.default_rng(seed).integers(-8, 8, (rows, columns)).astype(np.float32)


def on_cpu(path: Path, **inputs: Array) -> list[Array]:
    """What ONNX Runtime answers."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return [np.asarray(answer) for answer in session.run(None, inputs)]


def scaled(trt: Any, factor: float = 2.0) -> Callable[[Any], object]:
    """A network function: x[N, 4] * factor -> y. Nobody but what it returns holds its weights."""

    def define(network: Any) -> object:
        weights = np.full((1, 4), factor, np.float32)
        x = network.add_input("x", trt.DataType.FLOAT, (-1, 4))
        constant = network.add_constant((1, 4), weights)
        product = trt.ElementWiseOperation.PROD
        layer = network.add_elementwise(x, constant.get_output(0), product)
        mark(network, layer)
        return weights

    return define


def identity(trt: Any, shape: Sequence[int] = (-1, 4), dtype: str = "FLOAT") -> Callable[..., None]:
    """A network function: x -> y, the same."""

    def define(network: Any) -> None:
        x = network.add_input("x", getattr(trt.DataType, dtype), shape)
        mark(network, network.add_identity(x))

    return define


def mark(network: Any, layer: Any, name: str = "y") -> None:
    """Make a layer's output the network's."""
    tensor = layer.get_output(0)
    tensor.name = name
    network.mark_output(tensor)


# -- running them ---------------------------------------------------------------------------------


async def answer_of(model: Any, inputs: Any, **options: Any) -> Array:
    """One request to a model that is opened for it."""
    async with open_engine(model, **{"max_batch_size": 4, **options}) as engine:
        return only(await engine.infer(inputs))


def only(answer: Any) -> Array:
    """Of a model with one output; it comes by name where the inputs did."""
    if isinstance(answer, dict):
        (answer,) = answer.values()
    return np.asarray(answer)


async def looks_up(model: Any, **options: Any) -> bool:
    """Whether a model answers as gather.onnx does."""
    answer = await answer_of(model, np.array(3, np.int64), **options)
    return bool(np.array_equal(answer, TABLE[3]))


class Attempt:
    """A task that builds, and can be cancelled.

    Attributes:
        scope: cancels it.
        done: it has ended.
        result: what came of it.
        error: what it raised.
    """

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.done = anyio.Event()
        self.result: Any = None
        self.error: Exception | None = None

    async def run(self, work: Callable[[], Any]) -> None:
        """Await what `work` makes; keeps what it raises."""
        try:
            with self.scope:
                try:
                    self.result = await work()
                except Exception as error:
                    self.error = error
        finally:
            self.done.set()


@asynccontextmanager
async def at_the_gate(gpu: Installed, *works: Callable[[], Any]) -> AsyncIterator[list[Attempt]]:
    """Tasks that do their work meanwhile; one build stands at the gate. All end with the block."""
    attempts = [Attempt() for _ in works]
    async with anyio.create_task_group() as tasks:
        with gpu.builds.gate.held():
            for attempt, work in zip(attempts, works, strict=True):
                tasks.start_soon(attempt.run, work)
            await to_thread.run_sync(gpu.builds.gate.wait_for_build)
            yield attempts
    assert all(attempt.done.is_set() for attempt in attempts)


# -- configs ---------------------------------------------------------------------------------------


def target_of(config: BuilderConfig | None) -> tuple[Any, Any]:
    """(TensorRT's module, its config) on the installed doubles."""
    phases = Phases()
    return phases.trt, phases.config(phases.builder(), config)


def flag(name: str, on: bool = True) -> Any:
    """A look at a flag."""
    return lambda trt, target: target.get_flag(getattr(trt.BuilderFlag, name)) is on


# -- caches ---------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, locks aside: name -> content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def unfinished(folder: Path) -> list[str]:
    """Temporary files below a folder."""
    return [name for name in contents(folder) if name.endswith(".tmp")]


def note_of(plan: Path) -> dict[str, Any]:
    """What the cache has written down of a plan."""
    note: dict[str, Any] = json.loads(plan.with_suffix(".json").read_text())
    return note


def replace_plan(plan: Path, content: bytes) -> None:
    """Put something else into the cache in a plan's place, as if it had been built."""
    changed = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    plan.write_bytes(content)
    plan.with_suffix(".json").write_text(json.dumps({**note_of(plan), **changed}))


@dataclass(frozen=True)
class Counts:
    """What was built since the doubles were installed."""

    started: int
    finished: int
    failed: int


def counts(gpu: Machine) -> Counts:
    """Of a machine."""
    return Counts(gpu.builds.started, gpu.builds.finished, gpu.builds.failed)


@contextmanager
def elsewhere(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Another thread does `work` until the block ends; it sets the event when it has begun."""
    begun, error = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            work(begun)
        except BaseException as raised:
            error.append(raised)
            begun.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert begun.wait(PATIENCE)
        yield
    finally:
        thread.join()
    assert not error, error


def words(text: str, *wanted: str) -> None:
    """All of these stand in a message."""
    missing = [word for word in wanted if word not in text]
    assert not missing, f"{missing} not in: {text}"


def facts_changed(one: Mapping[str, Any], other: Mapping[str, Any]) -> set[str]:
    """Names of the facts in which two entries of a cache differ."""
    return {name for name in {*one, *other} if one.get(name) != other.get(name)}


def mountable(folder: Path) -> bool:
    """This user may mount a disk there, in a namespace of its own."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    try:
        return not subprocess.run(
            ["unshare", "-rm", *mount], capture_output=True, timeout=120, check=False
        ).returncode
    except OSError:
        return False
