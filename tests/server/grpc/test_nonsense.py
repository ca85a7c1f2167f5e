"""Requests of any bytes: they are read or refused, and nothing else becomes of them."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from support.helpers import tensor
from tests.server.grpc.clients import parameters
from tests.server.messages import codec
from trtasync.server.grpc.messages import INFERENCE
from trtasync.server.grpc.requests import read_request
from trtasync.server.protocol.refusals import Refusal

X = np.ones((2, 4), np.float32)
MODEL = codec(
    [tensor("x", "N", 4), tensor("flag", "N", "W", dtype=bool)],
    [tensor("y", "N", 4), tensor("z", "N", dtype=np.int64)],
)
INPUTS: list[dict[str, Any]] = [
    {"name": "x", "datatype": "FP32", "shape": [2, 4]},
    {"name": "flag", "datatype": "BOOL", "shape": [2, 1], "parameters": parameters(own="free")},
]
FIELDS = [
    *("bool_contents", "int_contents", "int64_contents", "uint_contents", "uint64_contents"),
    *("fp32_contents", "fp64_contents", "bytes_contents"),
]
WHOLE = [
    INFERENCE.make(
        "ModelInferRequest",
        model_name="m",
        id="7",
        parameters=parameters(timeout=5, priority=1),
        inputs=inputs,
        outputs=[{"name": "y", "parameters": parameters(classification=2)}],
        raw_input_contents=raw,
    ).SerializeToString()
    for inputs, raw in (
        (INPUTS, [X.tobytes(), b"\1\0"]),
        (
            [
                {**INPUTS[0], "contents": {"fp32_contents": [1.0] * 8}},
                {**INPUTS[1], "contents": {"bool_contents": [True, False]}},
            ],
            [],
        ),
    )
]


def read_or_refused(content: bytes) -> None:
    """What is read are arrays of the model's inputs, each of the size that its shape says."""
    try:
        request = INFERENCE.parse("ModelInferRequest", content)
        plan, arrays = read_request(request, MODEL.interface)
    except Refusal:
        return
    assert {name: array.dtype for name, array in arrays.items()} == {
        "x": np.dtype("float32"),
        "flag": np.dtype("bool"),
    }
    assert [list(arrays[each.name].shape) for each in request.inputs] == [
        list(each.shape) for each in request.inputs
    ]
    assert {wanted.tensor.name for wanted in plan.wanted} <= {"y", "z"}


def test_what_is_spoiled_here_is_good_before() -> None:
    for content in WHOLE:
        request = INFERENCE.parse("ModelInferRequest", content)
        assert read_request(request, MODEL.interface)[1]["x"].tobytes() == X.tobytes()


@settings(max_examples=1500)
@given(
    st.sampled_from(WHOLE),
    st.lists(
        st.tuples(st.integers(0, 250), st.sampled_from(["change", "cut", "insert"]), st.binary()),
        min_size=1,
        max_size=4,
    ),
)
def test_spoiled_bytes(content: bytes, spoils: list[tuple[int, str, bytes]]) -> None:
    for at, how, piece in spoils:
        rest = at if how == "insert" else at + len(piece) + (how == "cut")
        content = content[:at] + (b"" if how == "cut" else piece) + content[rest:]
    read_or_refused(content)


names = st.sampled_from(["x", "flag", "y", ""])
sizes = st.sampled_from([0, 1, 2, 4, -1, 1 << 40, (1 << 63) - 1])


@st.composite
def tensors(draw: st.DrawFn) -> dict[str, Any]:
    """An input that is near one of the model's."""
    made: dict[str, Any] = {
        "name": draw(names),
        "datatype": draw(st.sampled_from(["FP32", "BOOL", "FP16", "BYTES", "UINT8", "INT64", "?"])),
        "shape": draw(st.lists(sizes, max_size=3)),
    }
    field = draw(st.sampled_from([None, *FIELDS]))
    if field is not None:
        element: Any = b"x" if field == "bytes_contents" else 1
        made["contents"] = {field: [element] * draw(st.integers(0, 8))}
    return made


@settings(max_examples=500)
@given(
    st.lists(tensors(), max_size=3),
    st.lists(st.sampled_from([b"", b"\1\0", b"\2\2", X.tobytes()]), max_size=3),
    st.lists(names, max_size=2),
)
def test_requests_that_are_near_good_ones(
    inputs: list[dict[str, Any]], raw: list[bytes], outputs: list[str]
) -> None:
    request = INFERENCE.make(
        "ModelInferRequest",
        inputs=inputs,
        raw_input_contents=raw,
        outputs=[{"name": name} for name in outputs],
    )
    read_or_refused(request.SerializeToString())
