"""The model tests of the `onnx` package as requests: one from the test, three varied ones."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, numpy_helper

from tests.judging.oracles import RANDOM_OPERATORS, Feed, Oracle, Traits, has_axes

KINDS = ("simple", "pytorch-operator", "pytorch-converted", "light")
"""Kinds of which the package carries the files; those called "node" it makes when asked."""

LOUD = 1000.0
BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Case:
    """One model test.

    Attributes:
        name: the test's, unique over all kinds.
        model: to be serialized.
        inputs: of the test's first data set, by name.
    """

    name: str
    model: ModelProto
    inputs: Feed

    @property
    def family(self) -> str:
        """What the test is about, roughly: the first word of its name."""
        return self.name.split("_")[1]

    @property
    def traits(self) -> Traits:
        nodes = list(_nodes(self.model.graph.node))
        nodes += [node for body in self.model.functions for node in _nodes(body.node)]
        operators = {node.op_type for node in nodes}
        training = any(node.op_type == "Dropout" and len(node.input) > 2 for node in nodes)
        return Traits(
            random=training or bool(operators & RANDOM_OPERATORS),
            quantized=any("Quant" in name or "Integer" in name for name in operators),
        )


def _nodes(nodes: Sequence[Any]) -> Iterator[Any]:
    """These nodes and those of all graphs inside them."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _nodes(graph.node)


@cache
def all_cases() -> tuple[Case, ...]:
    """Every model test of the installed `onnx`, by name. Making them takes some seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tests' own expected values overflow on purpose
        from onnx.backend.test.loader import load_model_tests

        found = [_made(test) for test in load_model_tests(kind="node")]
        found += [
            _read(Path(test.model_dir), test.name)
            for kind in KINDS[:-1]
            for test in load_model_tests(kind=kind)
        ]
    light = Path(onnx.__file__).parent / "backend" / "test" / "data" / KINDS[-1]
    found += [_light(path) for path in sorted(light.glob("*.onnx"))]
    return tuple(sorted(found, key=lambda case: case.name))


def spread(cases: Sequence[Case], each: int) -> list[Case]:
    """The first `each` of every family."""
    taken: dict[str, list[Case]] = {}
    for case in cases:
        taken.setdefault(case.family, []).append(case)
    return [case for family in taken.values() for case in family[:each]]


def _made(test: Any) -> Case:
    return Case(test.name, test.model, _named(test.model, test.data_sets[0][0]))


def _read(folder: Path, name: str) -> Case:
    model = onnx.load(str(folder / "model.onnx"))
    files = sorted((folder / "test_data_set_0").glob("input_*.pb"), key=lambda path: len(path.name))
    values = [_value(info, path) for info, path in zip(model.graph.input, files, strict=False)]
    return Case(name, model, _named(model, values))


def _light(path: Path) -> Case:
    """A network whose weights are all made by a few operators; its input is an image."""
    model = onnx.load(str(path))
    known = {tensor.name for tensor in model.graph.initializer}
    [info] = [info for info in model.graph.input if info.name not in known]
    shape = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
    image = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return Case(f"test_{path.stem}", model, {info.name: image})


def _value(info: Any, path: Path) -> Any:
    data = path.read_bytes()
    kind = info.type.WhichOneof("value")
    if kind == "sequence_type":
        return numpy_helper.to_list(onnx.SequenceProto.FromString(data))
    if kind == "optional_type":
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(data))
    return numpy_helper.to_array(onnx.TensorProto.FromString(data))


def _named(model: ModelProto, values: Sequence[Any]) -> Feed:
    return {info.name: value for info, value in zip(model.graph.input, values, strict=False)}


# ------------------------------------------------------------------------------ varied requests


def requests(case: Case, oracle: Oracle, batched: Sequence[str] = ()) -> list[Feed]:
    """The test's own request and three more that ONNX Runtime takes; none if not even that.

    Args:
        case: the model test.
        oracle: of the model as it is asked.
        batched: inputs with a dynamic batch axis; with such, numbers of rows vary as well.
    """
    own = {name: value for name, value in case.inputs.items() if name in oracle.inputs}
    if oracle.answer(own) is None:
        return []

    def row(feed: Feed) -> Feed:
        return {name: value[:1] if name in batched else value for name, value in feed.items()}

    def twice(feed: Feed) -> Feed:
        return {
            name: np.concatenate([value, value]) if name in batched else value
            for name, value in feed.items()
        }

    ways: list[tuple[Callable[[Feed], Feed], Callable[[Any], Any]]] = [
        (dict, _loud),
        (row, _reversed),
        (twice, _quiet),
    ]
    found = [own]
    for resize, change in ways:
        first = next(iter(own), "")
        everything = {name: change(value) for name, value in own.items()}
        one = {name: change(value) if name == first else value for name, value in own.items()}
        choices = [resize(everything), everything, resize(one), one, own]
        found.append(next(feed for feed in choices if oracle.answer(feed) is not None))
    return found


def single_rows(case: Case, oracle: Oracle, batched: Sequence[str]) -> list[Feed]:
    """The first rows of the test's inputs, each as a request of its own; some if ONNX Runtime
    takes them all."""
    own = {name: value for name, value in case.inputs.items() if name in oracle.inputs}
    rows = len(own[batched[0]])
    found = [
        {name: value[row : row + 1] if name in batched else value for name, value in own.items()}
        for row in range(min(rows, 4))
    ]
    return found if all(oracle.answer(feed) is not None for feed in found) else []


def _reversed(value: Any) -> Any:
    if not has_axes(value):
        return value
    return np.ascontiguousarray(value.ravel()[::-1].reshape(value.shape))


def _scaled(value: Any, factor: float) -> Any:
    """Times a factor if these are data: a vector may hold sizes that memory is asked for by."""
    floats = isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.floating)
    with np.errstate(over="ignore"):
        return (value * value.dtype.type(factor)) if floats and value.ndim > 1 else value


def _loud(value: Any) -> Any:
    return _scaled(_reversed(value), LOUD)


def _quiet(value: Any) -> Any:
    return _scaled(value, -0.125)


# --------------------------------------------------------------------------- a dynamic batch axis


def with_batch_axis(model: ModelProto, feed: Feed) -> tuple[ModelProto, list[str]] | None:
    """The same model with the first axis of its tensors made one symbol.

    That is, of the first input that has axes, and of the tensors that are as long as it there:
    weights that are inputs among them, which must then be found out.

    Returns:
        the model and the names of the inputs changed, or None when there is nothing to change.
    """
    changed = ModelProto()
    changed.CopyFrom(model)
    del changed.graph.value_info[:]
    arrays = {name: value for name, value in feed.items() if has_axes(value)}
    if not arrays:
        return None
    length = len(next(iter(arrays.values())))
    known = {tensor.name for tensor in model.graph.initializer}
    inputs = [
        info
        for info in changed.graph.input
        if info.name in arrays and info.name not in known and _declared_length(info) == length
    ]
    outputs = [info for info in changed.graph.output if _declared_length(info) == length]
    for info in (*inputs, *outputs):
        info.type.tensor_type.shape.dim[0].dim_param = BATCH
    return (changed, [info.name for info in inputs]) if inputs else None


def _declared_length(info: Any) -> int | None:
    dims = info.type.tensor_type.shape.dim
    return dims[0].dim_value if len(dims) and dims[0].HasField("dim_value") else None
