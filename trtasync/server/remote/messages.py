"""The protocol as its clients write and read it."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from trtasync.errors import (
    BackendUnavailable,
    InferenceError,
    InvalidInput,
    QueueFull,
    TrtasyncError,
)
from trtasync.model.tensors import TensorSpec
from trtasync.server.protocol.answers import JSON_LENGTH, OCTETS
from trtasync.server.protocol.datatypes import DATATYPES
from trtasync.server.protocol.tensors import Array, to_binary
from trtasync.server.remote.wire import Answer, Place
from trtasync.words import one_line


class ToldTensor(Struct, frozen=True):
    """As the metadata of a model tell it."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class Metadata(Struct, frozen=True):
    """GET v2/models/M."""

    name: str
    inputs: tuple[ToldTensor, ...]
    platform: str = ""


class Config(Struct, frozen=True):
    """GET .../config, of Triton and those who follow it."""

    max_batch_size: int = 0


class Server(Struct, frozen=True):
    """GET v2."""

    name: str
    version: str = ""


def get(place: Place, path: str) -> bytes:
    """A request for `path`, which begins with v2."""
    return f"GET {place.path}/{path} HTTP/1.1\r\nHost: {place.authority}\r\n\r\n".encode()


def infer(place: Place, path: str, inputs: Mapping[str, Array]) -> bytes:
    """A request to a model: all tensors binary, those that are asked for as well.

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
    head = (
        f"POST {place.path}/{path}/infer HTTP/1.1\r\nHost: {place.authority}\r\n"
        f"Content-Type: {OCTETS}\r\n{JSON_LENGTH}: {len(json)}\r\n"
        f"Content-Length: {len(json) + sum(map(len, tensors))}\r\n\r\n"
    )
    return b"".join([head.encode(), json, *tensors])


def specs_of(metadata: Metadata, takes_batches: bool) -> list[TensorSpec]:
    """A model's inputs.

    Args:
        metadata: of the model.
        takes_batches: the first axis of each is that of the rows.

    Raises:
        InvalidInput: no array holds what one of them is.
    """
    axis = 0 if takes_batches else None
    return [
        TensorSpec(
            told.name,
            _dtype(told),
            tuple(None if length < 0 else length for length in told.shape),
            batch_axis=axis,
        )
        for told in metadata.inputs
    ]


def _dtype(told: ToldTensor) -> np.dtype[Any]:
    for name, datatype in DATATYPES.items():
        if datatype == told.datatype and name != "bfloat16":  # which numpy has not by itself
            return np.dtype(name)
    raise InvalidInput(
        f"input '{told.name}' is {told.datatype}, of which no requests are made here."
    )


def arrays_of(specs: Sequence[TensorSpec], request: Any) -> dict[str, Array]:
    """The arrays of a request as the protocol has them, with all axes.

    Args:
        specs: of the model's inputs.
        request: as `measure.Inputs` makes it: an array, or arrays by name; one row needs no axis.
    """
    given = request if isinstance(request, dict) else {specs[0].name: request}
    return {spec.name: _whole(spec, given[spec.name]) for spec in specs}


def _whole(spec: TensorSpec, array: Array) -> Array:
    if spec.batch_axis is not None and array.ndim < len(spec.shape):
        return np.expand_dims(array, spec.batch_axis)
    return array


def check(answer: Answer) -> bytes:
    """The body of an answer.

    Raises:
        QueueFull: the server has too much to do (429, 503).
        TimeoutError: the request came too late (504).
        InferenceError: it failed (500).
        InvalidInput: the server takes no such request (another status).
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
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError):
        return f"{len(body)} bytes that are not of the protocol"


def read(answer: Answer, kind: Any) -> Any:
    """What an answer tells, of this kind.

    Raises:
        TrtasyncError: the server refuses, or says something else.
    """
    try:
        return msgspec.json.decode(check(answer), type=kind)
    except msgspec.MsgspecError as error:
        raise BackendUnavailable(
            f"the server does not speak the Open Inference Protocol: {error}."
        ) from None


def check_outputs(answer: Answer) -> None:
    """An answer to `infer` holds what its JSON says.

    Raises:
        TrtasyncError: it does not, or is none.
    """
    body = check(answer)
    length = answer.headers.get(JSON_LENGTH, str(len(body)))
    json = body[: int(length)] if length.isdecimal() else b""
    try:
        outputs = msgspec.json.decode(json)["outputs"]
        sizes = [(each.get("parameters") or {}).get("binary_data_size", 0) for each in outputs]
        is_whole = bool(outputs) and len(json) + sum(sizes) == len(body)
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError):
        is_whole = False
    if not is_whole:
        raise TrtasyncError("the server's answer does not hold the outputs that it tells of.")
