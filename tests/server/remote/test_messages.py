"""The protocol as its clients write and read it."""

from typing import Any

import msgspec
import numpy as np
import pytest

from support.helpers import rows, tensor
from trtasync.errors import (
    BackendUnavailable,
    InferenceError,
    InvalidInput,
    QueueFull,
    TrtasyncError,
)
from trtasync.server.remote.messages import (
    check,
    check_outputs,
    infer,
    read,
)
from trtasync.server.remote.offers import Metadata, ToldTensor, arrays_of, specs_of
from trtasync.server.remote.places import Place
from trtasync.server.remote.wire import Answer

HERE = Place("http", "server", 8000, "/prefix")


def refused(status: int, body: bytes = b'{"error": "it is so"}') -> Answer:
    """An answer of this status."""
    return Answer(status, {}, body)


def outputs(*sizes: int | None, more: int = 0, length: str | None = None) -> Answer:
    """An answer with binary outputs of these sizes, and some bytes more; None is one in JSON."""
    told = [
        {"name": "y", "data": [1]}
        if size is None
        else {"name": "y", "parameters": {"binary_data_size": size}}
        for size in sizes
    ]
    json = msgspec.json.encode({"model_name": "m", "outputs": told})
    size = sum(filter(None, sizes)) + more
    headers = {"inference-header-content-length": length or str(len(json))}
    return Answer(200, headers if size or length else {}, json + bytes(size))


def test_a_request() -> None:
    flags = np.array([[True], [False]])
    request = infer(HERE, "v2/models/m", {"x": rows([1, 2]), "flags": flags})
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first == "POST /prefix/v2/models/m/infer HTTP/1.1"
    headers = dict(line.lower().split(": ") for line in lines)
    assert headers["host"] == "server:8000"
    assert int(headers["content-length"]) == len(body)
    length = int(headers["inference-header-content-length"])
    assert body[length:] == rows([1, 2]).tobytes() + b"\1\0"
    told = msgspec.json.decode(body[:length])
    assert told["parameters"] == {"binary_data_output": True}
    x, second = told["inputs"]
    assert (x["name"], x["shape"], x["datatype"]) == ("x", [2, 4], "FP32")
    assert x["parameters"] == {"binary_data_size": 32}
    assert (second["datatype"], second["parameters"]) == ("BOOL", {"binary_data_size": 2})


def test_inputs_from_metadata() -> None:
    told = ToldTensor("x", "FP16", (-1, 3, -1)), ToldTensor("i", "INT64", (-1,))
    x, i = specs_of(Metadata("m", told), takes_batches=True)
    assert (x.dtype, x.shape, x.batch_axis) == (np.dtype("float16"), (None, 3, None), 0)
    assert (i.dtype, i.shape, i.batch_axis) == (np.dtype("int64"), (None,), 0)
    alone, _ = specs_of(Metadata("m", told), takes_batches=False)
    assert alone.batch_axis is None


@pytest.mark.parametrize("datatype", ["BYTES", "BF16", "FP8"])
def test_inputs_that_cannot_be_made(datatype: str) -> None:
    with pytest.raises(InvalidInput, match=datatype):
        specs_of(Metadata("m", (ToldTensor("x", datatype, (-1,)),)), takes_batches=True)


@pytest.mark.parametrize(
    ("request_", "shapes"),
    [
        (rows([1])[0], {"x": (1, 4)}),
        (rows([1, 2]), {"x": (2, 4)}),
        ({"x": rows([1])[0], "n": np.zeros(3)}, {"x": (1, 4), "n": (3,)}),
    ],
)
def test_a_row_gets_its_axis(request_: Any, shapes: dict[str, Any]) -> None:
    specs = [tensor("x", None, 4), tensor("n", 3)][: len(shapes)]
    batched = [_batched(specs[0]), *specs[1:]]
    found = arrays_of(batched, request_)
    assert {name: array.shape for name, array in found.items()} == shapes


def _batched(spec: Any) -> Any:
    return type(spec)(spec.name, spec.dtype, spec.shape, batch_axis=0)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, QueueFull),
        (503, QueueFull),
        (504, TimeoutError),
        (500, InferenceError),
        (400, InvalidInput),
        (404, InvalidInput),
    ],
)
def test_refusals(status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=f"{status}: it is so") as caught:
        check(refused(status))
    assert type(caught.value) is kind


ODD = [b"\xff", b'{"\xff": 1}', b'{"name": "\xff", "inputs": []}', b'{"x": ' + 100_000 * b"["]
"""JSON only at a first look."""


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"detail": 1}', *ODD])
def test_refusals_of_others(body: bytes) -> None:
    with pytest.raises(InferenceError, match=f"{len(body)} bytes"):
        check(refused(500, body))


@pytest.mark.parametrize("body", ODD)
def test_what_is_no_json_of_the_protocol(body: bytes) -> None:
    with pytest.raises(BackendUnavailable, match="does not speak the Open Inference Protocol"):
        read(Answer(200, {}, body), Metadata)
    with pytest.raises(TrtasyncError, match="does not hold the outputs"):
        check_outputs(Answer(200, {}, body))


def test_a_server_of_another_protocol() -> None:
    for body in (b"hello", b'{"inputs": []}', b'{"name": "m", "inputs": 1}'):
        with pytest.raises(BackendUnavailable, match="Open Inference Protocol"):
            read(Answer(200, {}, body), Metadata)


@pytest.mark.parametrize("answer", [outputs(16), outputs(16, None, 0), outputs(None), outputs(0)])
def test_answers(answer: Answer) -> None:
    check_outputs(answer)


@pytest.mark.parametrize(
    "answer",
    [
        outputs(16, more=1),
        outputs(16, more=-1),
        outputs(),
        outputs(16, length="3"),
        outputs(16, length="x"),
        Answer(200, {}, b"{}"),
        Answer(200, {}, b"[]"),
        Answer(200, {}, b""),
        Answer(200, {}, b'{"outputs": [1]}'),
    ],
)
def test_answers_that_are_none(answer: Answer) -> None:
    with pytest.raises(TrtasyncError, match="does not hold"):
        check_outputs(answer)
