"""Model files made hostile: by their bytes, and by the fields of their messages."""

from collections.abc import Callable, Iterator
from functools import cache
from random import Random
from typing import Any

from onnx import AttributeProto, ModelProto, NodeProto, TensorProto
from onnx.helper import make_node

from support.helpers import MODELS
from tests.fuzz.values import BYTES, NUMBERS, TEXTS
from tests.onnx_backend.cases import all_cases, spread

Message = Any
"""Of protobuf."""

LARGEST = 40_000
"""Bytes of a model that is taken: more take time, and no other path."""

DEEP = 2000
"""Nodes in a chain: more than Python's stack would hold."""

MANY_AXES = 101


@cache
def corpus() -> tuple[bytes, ...]:
    """Models to begin with: the examples', and one of every family of ONNX's own tests."""
    examples = [path.read_bytes() for path in sorted(MODELS.glob("*.onnx"))]
    cases = [case.model.SerializeToString() for case in spread(all_cases(), 1)]
    return tuple(data for data in (*examples, *cases) if len(data) <= LARGEST)


def by_bytes(chance: Random) -> bytes:
    """A model with some of its bytes changed, cut out, doubled or lost at the end."""
    data = bytearray(chance.choice(corpus()))
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(data) + 1)
        length = min(len(data) - at, chance.choice((1, 1, 1, 4, 64)))
        match chance.randrange(5):
            case 0:
                data[at : at + length] = chance.randbytes(length)
            case 1:
                data[at : at + length] = chance.choice(BYTES)[:length]
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = data[at : at + length]
            case _ if not chance.randrange(8):
                del data[at:]
    return bytes(data)


def by_structure(chance: Random) -> bytes:
    """A model with some of its fields changed; its encoding is whole."""
    model = ModelProto.FromString(chance.choice(corpus()))
    for _ in range(chance.choice((1, 1, 2, 4))):
        if chance.randrange(3):
            messages = list(_messages(model))
            _change(chance, chance.choice(messages))
        else:
            chance.choice(SURGERY)(chance, model)
    data: bytes = model.SerializeToString()
    return data


def by_text(chance: Random) -> bytes:
    """A model with a name that is no UTF-8, in a whole encoding."""
    data: bytes = chance.choice(corpus())
    names = [text.encode() for text in _texts(ModelProto.FromString(data)) if text]
    name = chance.choice(names)
    wrong = bytes(chance.choice((0xFF, 0xC0, 0x80, byte)) for byte in name[:-1]) + b"\xff"
    return data.replace(name, wrong, chance.choice((1, -1)))


def _messages(message: Message) -> Iterator[Message]:
    """A message and all within it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in _items(value):
                yield from _messages(each)


def _items(value: Any) -> list[Any]:
    """Of a field, repeated or not."""
    return list(value) if hasattr(value, "append") or hasattr(value, "add") else [value]


def _texts(message: Message) -> Iterator[str]:
    for each in _messages(message):
        for _, value in each.ListFields():
            yield from (item for item in _items(value) if isinstance(item, str))


def _change(chance: Random, message: Message) -> None:
    """One field of a message."""
    fields = list(message.DESCRIPTOR.fields)
    present = [field for field, _ in message.ListFields()]
    field = chance.choice(present if present and chance.randrange(4) else fields)
    value = getattr(message, field.name)
    repeated = hasattr(value, "append") or hasattr(value, "add")
    if not chance.randrange(6):
        message.ClearField(field.name)
    elif field.message_type is not None:
        _change_messages(chance, value, repeated)
    elif repeated:
        _change_list(chance, field, value)
    else:
        setattr(message, field.name, _scalar(chance, field))


def _change_messages(chance: Random, value: Any, repeated: bool) -> None:
    if not repeated:
        value.SetInParent()
    elif not value or not chance.randrange(4):
        value.add()
    elif chance.randrange(2):
        value.add().CopyFrom(chance.choice(value))
    else:
        del value[chance.randrange(len(value))]


def _change_list(chance: Random, field: Any, value: Any) -> None:
    if not value or not chance.randrange(3):
        value.extend([_scalar(chance, field)] * chance.choice((1, 1, 7, MANY_AXES)))
    elif chance.randrange(2):
        value[chance.randrange(len(value))] = _scalar(chance, field)
    else:
        del value[chance.randrange(len(value))]


def _scalar(chance: Random, field: Any) -> Any:
    if field.enum_type is not None:
        return chance.choice([each.number for each in field.enum_type.values])
    if field.cpp_type == field.CPPTYPE_STRING:
        if field.type == field.TYPE_BYTES:
            return chance.choice(BYTES)
        return chance.choice(TEXTS)
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return chance.choice((0.0, -1.0, 1e30, float("nan"), float("inf")))
    bits = 63 if field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64) else 31
    number = chance.choice([each for each in NUMBERS if abs(each) < 2**bits])
    unsigned = field.cpp_type in (field.CPPTYPE_UINT32, field.CPPTYPE_UINT64)
    return abs(number) if unsigned else number


# ---------------------------------------------------------------------------- what chance misses


def _value(chance: Random, model: ModelProto) -> Message:
    """An input or output."""
    return chance.choice([*model.graph.input, *model.graph.output] or [model.graph.input.add()])


def _many_axes(chance: Random, model: ModelProto) -> None:
    value = _value(chance, model)
    for _ in range(MANY_AXES):
        value.type.tensor_type.shape.dim.add().dim_value = 1


def _huge_axis(chance: Random, model: ModelProto) -> None:
    dims = _value(chance, model).type.tensor_type.shape.dim
    if dims:
        chance.choice(dims).dim_value = chance.choice(NUMBERS)


def _huge_weights(chance: Random, model: ModelProto) -> None:
    tensor = model.graph.initializer.add(name="w", data_type=TensorProto.FLOAT)
    tensor.dims.extend(chance.choices(NUMBERS, k=chance.choice((1, 2, 3, MANY_AXES))))


def _external(chance: Random, model: ModelProto) -> None:
    """Weights said to lie elsewhere."""
    tensors = list(model.graph.initializer) or [model.graph.initializer.add(name="w", dims=[1])]
    tensor = chance.choice(tensors)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    given = {
        "location": (*TEXTS, "model.onnx", "model.onnx", "..", "link", "/dev/zero"),
        "offset": (*map(str, NUMBERS), *TEXTS),
        "length": (*map(str, NUMBERS), *TEXTS),
        "checksum": TEXTS,
    }
    for key, values in given.items():
        if chance.randrange(4):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, chance.choice(values)


def _deep(chance: Random, model: ModelProto) -> None:
    """Graphs within graphs, as deep as protobuf reads them, and deeper."""
    node: NodeProto = make_node("Identity", ["x"], ["y"])
    for _ in range(chance.choice((10, 20, 30))):
        outer: NodeProto = make_node("If", ["x"], ["y"])
        graph = outer.attribute.add(name="then_branch", type=AttributeProto.GRAPH).g
        graph.name = "deep"
        graph.node.append(node)
        node = outer
    model.graph.node.append(node)


def _chained(chance: Random, model: ModelProto) -> None:
    """A function that calls itself, or a chain of many nodes."""
    if chance.randrange(2):
        model.functions.add(
            name="f",
            domain="own",
            input=["x"],
            output=["y"],
            node=[make_node("f", ["x"], ["y"], domain="own")],
        )
        model.opset_import.add(domain="own", version=1)
        model.graph.node.append(make_node("f", ["x"], ["y"], domain="own"))
    else:
        model.graph.node.extend(
            make_node("Identity", [f"c{step}"], [f"c{step + 1}"]) for step in range(DEEP)
        )


def _renamed(chance: Random, model: ModelProto) -> None:
    """Tensors that share a name, or a name nobody gives."""
    node = chance.choice(list(model.graph.node) or [model.graph.node.add()])
    names = list(node.input) + list(node.output) or [""]
    for field in (node.input, node.output):
        for index in range(len(field)):
            if not chance.randrange(3):
                field[index] = chance.choice(names)


SURGERY: tuple[Callable[[Random, ModelProto], None], ...] = (
    _many_axes,
    _huge_axis,
    _huge_weights,
    _external,
    _deep,
    _chained,
    _renamed,
)
