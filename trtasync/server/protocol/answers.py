"""From the outputs of a model to the body of an answer."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from trtasync.model.arrays import Array, Shape
from trtasync.server.protocol.classes import bytes_to_binary, classify
from trtasync.server.protocol.datatypes import BYTES
from trtasync.server.protocol.numbers import LARGE_ARRAY
from trtasync.server.protocol.refusals import JSON
from trtasync.server.protocol.requests import Plan, Wanted
from trtasync.server.protocol.tensors import Bytes, check_output, to_binary, to_json

OCTETS = "application/octet-stream"
JSON_LENGTH = "inference-header-content-length"

FORMS = 16
"""Most forms of answers that are kept with a plan; outputs of other shapes make another form."""

Form = tuple[tuple[Shape, int | None], ...]
"""Per output of an answer its shape, and its size in bytes unless it goes as JSON."""

Texts = tuple[bytes, ...]
"""The JSON of all answers of a form, cut where data goes in; without the first brace, behind which
the request's id goes."""


class Answer(NamedTuple):
    """The body of an answer.

    Attributes:
        parts: the JSON, and the tensors behind it.
        json_size: bytes of the JSON; None if nothing follows it.
    """

    parts: Sequence[Bytes]
    json_size: int | None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that describe the body, apart from its length."""
        if self.json_size is None:
            return {"content-type": JSON}
        return {"content-type": OCTETS, JSON_LENGTH: str(self.json_size)}


def write_answer(
    model: str, version: str, plan: Plan, id: bytes, outputs: Mapping[str, Array]
) -> Answer:
    """The answer to the request of `plan`.

    Args:
        model: its name, to be told.
        version: likewise.
        plan: of the request; keeps the texts of its answers.
        id: of the request, as JSON; empty for none.
        outputs: of the model, by name.

    Raises:
        Refusal: an output is wanted as JSON, which cannot carry it.
        TrtasyncError: an output is not what the model declares.
    """
    form: list[tuple[Shape, int | None]] = []
    data, tensors = [], []
    for wanted in plan.wanted:
        shape, content = content_of(wanted, outputs[wanted.tensor.name])
        if wanted.binary:
            form.append((shape, len(content)))
            tensors.append(content)
        else:
            form.append((shape, None))
            data.append(content)
    key = tuple(form)
    texts = plan.texts.get(key)
    if texts is None:
        if len(plan.texts) >= FORMS:
            plan.texts.clear()
        texts = plan.texts[key] = _texts(model, version, plan.wanted, key)
    front = b'{"id":' + id + b"," if id else b"{"
    if data:
        pieces = [piece for pair in zip(texts[:-1], data, strict=True) for piece in pair]
        json = b"".join((front, *pieces, texts[-1]))
    else:
        json = front + texts[-1]
    follow = any(map(len, tensors))
    return Answer([json, *tensors], len(json) if follow else None)


def is_large(plan: Plan, outputs: Mapping[str, Array]) -> bool:
    """Whether the answer takes too long to write as JSON on an event loop."""
    return sum([outputs[name].size for name in plan.in_json]) > LARGE_ARRAY


def content_of(wanted: Wanted, array: Array) -> tuple[Shape, Bytes]:
    """The shape and the bytes of an output in the form that was asked for.

    Raises:
        Refusal: it has no such form.
        TrtasyncError: the array is not what the model declares.
    """
    tensor, binary, classes = wanted
    if array.dtype is not tensor.dtype:
        check_output(tensor, array)
    if classes:
        shape, elements = classify(tensor, array, classes)
        if binary:
            return shape, bytes_to_binary(elements)
        return shape, msgspec.json.encode([each.decode() for each in elements])
    return array.shape, to_binary(array) if binary else to_json(tensor, array)


def _texts(model: str, version: str, wanted: Sequence[Wanted], form: Form) -> Texts:
    front = msgspec.json.encode({"model_name": model, "model_version": version})[1:-1]
    texts, text = [], front + b',"outputs":['
    for index, (each, (shape, size)) in enumerate(zip(wanted, form, strict=True)):
        datatype = BYTES if each.classes else each.tensor.datatype
        about = {"name": each.tensor.name, "datatype": datatype, "shape": shape}
        text += (b"," if index else b"") + msgspec.json.encode(about)[:-1]
        if size is None:
            texts.append(text + b',"data":')
            text = b"}"
        else:
            text += b',"parameters":{"binary_data_size":%d}}' % size
    return (*texts, text + b"]}")
