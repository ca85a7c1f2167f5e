"""The protocol over HTTP as its clients write and read it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from trtasync.errors import (
    BackendUnavailable,
    InferenceError,
    InvalidInput,
    QueueFull,
    TrtasyncError,
)
from trtasync.model.arrays import Array
from trtasync.server.protocol.answers import JSON_LENGTH, OCTETS
from trtasync.server.protocol.datatypes import DATATYPES
from trtasync.server.protocol.schema import UNREADABLE
from trtasync.server.protocol.tensors import to_binary
from trtasync.server.remote.places import Place
from trtasync.server.remote.wire import Answer
from trtasync.words import one_line


def get(place: Place, path: str) -> bytes:
    """A request for `path`, which begins with v2."""
    return _head(place, f"GET {place.path}/{path}")


def infer(place: Place, path: str, inputs: Mapping[str, Array]) -> bytes:
    """A request to a model, with all inputs and outputs as binary data.

    Args:
        place: of the server.
        path: of the model, which begins with v2.
        inputs: by name.
    """
    told, tensors = [], []
    for name, array in inputs.items():
        content = to_binary(array)
        tensors.append(content)
        told.append(
            {
                "name": name,
                "shape": array.shape,
                "datatype": DATATYPES[array.dtype.name],
                "parameters": {"binary_data_size": len(content)},
            }
        )
    json = msgspec.json.encode({"inputs": told, "parameters": {"binary_data_output": True}})
    head = _head(
        place,
        f"POST {place.path}/{path}/infer",
        f"Content-Type: {OCTETS}",
        f"{JSON_LENGTH}: {len(json)}",
        f"Content-Length: {len(json) + sum(map(len, tensors))}",
    )
    return b"".join([head, json, *tensors])


def _head(place: Place, asked: str, *headers: str) -> bytes:
    lines = [f"{asked} HTTP/1.1", f"Host: {place.authority}", *headers]
    if place.token:
        lines.append(f"Authorization: {place.authorization}")
    return "\r\n".join([*lines, "", ""]).encode()


def check(answer: Answer) -> bytes:
    """The body of an answer.

    Raises:
        QueueFull: the server has too much to do (429, 503).
        TimeoutError: the request's time ran out (504).
        InferenceError: it failed (500).
        InvalidInput: the server refuses the request (any other status).
    """
    if answer.status == 200:
        return answer.body
    raise _error(answer.status, f"the server answers {answer.status}: {_reason(answer.body)}")


def _error(status: int, text: str) -> Exception:
    kinds: dict[int, type[Exception]] = {
        429: QueueFull,
        503: QueueFull,
        504: TimeoutError,
        500: InferenceError,
    }
    return kinds.get(status, InvalidInput)(text)


def _reason(body: bytes) -> str:
    try:
        return one_line(str(msgspec.json.decode(body)["error"]))
    except (*UNREADABLE, KeyError, TypeError):
        return f"{len(body)} bytes that are not of the protocol"


def read(answer: Answer, kind: Any) -> Any:
    """Decode the JSON of an answer as a value of this type.

    Raises:
        TrtasyncError: the server refuses, or its JSON is no such value.
        TimeoutError: see `check`.
    """
    try:
        return msgspec.json.decode(check(answer), type=kind)
    except UNREADABLE as error:
        raise BackendUnavailable(
            f"the server does not speak the Open Inference Protocol: {error}."
        ) from None


def check_outputs(answer: Answer) -> None:
    """Check that an answer to `infer` holds the outputs that its JSON tells of.

    Raises:
        TrtasyncError: it does not, or is a refusal.
        TimeoutError: see `check`.
    """
    body = check(answer)
    length = answer.headers.get(JSON_LENGTH, str(len(body)))
    json = body[: int(length)] if length.isdecimal() else b""
    try:
        outputs = msgspec.json.decode(json)["outputs"]
        sizes = [(each.get("parameters") or {}).get("binary_data_size", 0) for each in outputs]
        is_whole = bool(outputs) and len(json) + sum(sizes) == len(body)
    except (*UNREADABLE, KeyError, TypeError, AttributeError):
        is_whole = False
    if not is_whole:
        raise TrtasyncError("the server's answer does not hold the outputs that it tells of.")
