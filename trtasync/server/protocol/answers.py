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
"""Forms of answers that are kept with a plan: as many as there are shapes of its outputs."""

Form = tuple[tuple[Shape, int | None], ...]
"""Of each output of an answer its shape, and its bytes where it does not go as JSON."""

Texts = tuple[bytes, ...]
"""The JSON of all answers of a form, cut where data goes in; without the first brace, behind which
the request's id goes."""


class Answer(NamedTuple):
    """The body of an answer.

    Attributes:
        parts: the JSON, and the tensors behind it.
        json_size: of the JSON; None where nothing follows it.
    """

    parts: Sequence[Bytes]
    json_size: int | None

    @property
    def headers(self) -> dict[str, str]:
        """What the headers say of the body, its length apart."""
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
        plan: keeps the texts of its answers.
        id: of the request, as JSON; empty for none.
        outputs: of the model, by name.

    Raises:
        Refusal: what is asked for as JSON cannot go so.
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
    """The answer takes so long to write as JSON that it is not for an event loop."""
    return sum([outputs[name].size for name in plan.in_json]) > LARGE_ARRAY


def content_of(wanted: Wanted, array: Array) -> tuple[Shape, Bytes]:
    """The shape and the bytes of an output in the form that was asked for.

    Raises:
        Refusal: it cannot go so.
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
