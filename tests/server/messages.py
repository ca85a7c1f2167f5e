"""Requests of the protocol and their answers, as bytes, put together by hand."""

import json
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from support.helpers import Array, tensor
from trtasync import TensorSpec
from trtasync.model.tensors import ModelSpec
from trtasync.server.protocol.codec import Codec
from trtasync.server.protocol.tensors import Interface

NUMPY = {"FP16": "f2", "FP32": "f4", "FP64": "f8", "BOOL": "?", "INT64": "i8", "UINT8": "u1"}


def codec(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> Codec:
    """Of a model "m", its batch axes where declared shapes suggest them."""
    spec = ModelSpec.from_tensors(inputs, outputs)
    return Codec("m", "1", Interface(spec.inputs, spec.outputs))


def simple(dtype: Any = np.float32) -> Codec:
    """A model of one input x [N, 4] and one output y [N, 4]."""
    return codec([tensor("x", "N", 4, dtype=dtype)], [tensor("y", "N", 4, dtype=dtype)])


def given(name: str, shape: Sequence[float], datatype: str, **more: Any) -> dict[str, Any]:
    """One input."""
    return {"name": name, "shape": list(shape), "datatype": datatype, **more}


def binary(name: str, shape: Sequence[int], datatype: str, **parameters: Any) -> dict[str, Any]:
    """One input that comes behind the JSON, of as many bytes as it should have."""
    size = math.prod(shape) * np.dtype(NUMPY[datatype]).itemsize
    return given(name, shape, datatype, parameters={"binary_data_size": size, **parameters})


def body(request: Mapping[str, Any], *tensors: Array | bytes) -> tuple[bytes, str]:
    """The body of a request with binary data, and the length of its JSON for the header."""
    header = json.dumps(request).encode()
    contents = [each if isinstance(each, bytes) else each.tobytes() for each in tensors]
    return b"".join([header, *contents]), str(len(header))


def parsed(content: bytes, json_length: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON of an answer, and its outputs by name, as a strict client reads them."""
    size = len(content) if json_length is None else int(json_length)
    told = json.loads(content[:size])
    rest = content[size:]
    outputs: dict[str, Any] = {}
    for each in told["outputs"]:
        count, shape, datatype = math.prod(each["shape"]), each["shape"], each["datatype"]
        data: Any = each.get("data")
        if data is None:
            length = each["parameters"]["binary_data_size"]
            piece, rest = rest[:length], rest[length:]
            data = strings(piece) if datatype == "BYTES" else np.frombuffer(piece, NUMPY[datatype])
        assert len(data) == count
        if datatype == "BYTES":
            outputs[each["name"]] = [s.encode() if isinstance(s, str) else s for s in data]
        else:
            outputs[each["name"]] = np.asarray(data, NUMPY[datatype]).reshape(shape)
    assert rest == b""
    return told, outputs


def strings(content: bytes) -> list[bytes]:
    """The elements of a BYTES tensor."""
    found = []
    while content:
        (length,) = struct.unpack_from("<I", content)
        found.append(content[4 : 4 + length])
        content = content[4 + length :]
    return found
