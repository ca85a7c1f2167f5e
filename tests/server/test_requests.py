"""Requests: what their JSON and their bytes may hold, and every trap in it."""

import json
import re
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from support.helpers import rows, tensor
from tests.server.messages import binary, body, codec, given, simple
from trtasync.errors import PlanError
from trtasync.server.protocol.refusals import Refusal
from trtasync.server.protocol.tensors import Interface

X = [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]


def read(request: Any, dtype: Any = np.float32) -> Any:
    """The arrays of a request that is all JSON."""
    plan, _, rest = simple(dtype).read(json.dumps(request).encode(), None)
    return plan.arrays(rest)["x"]


def refused(request: Any, *tensors: Any, dtype: Any = np.float32) -> Refusal:
    """Why a request is refused; with tensors it is one with binary data."""
    content, length = body(request, *tensors)

    def attempt() -> None:
        plan, _, rest = simple(dtype).read(content, length if tensors else None)
        plan.arrays(rest)

    with pytest.raises(Refusal) as raised:
        attempt()
    return raised.value


@pytest.mark.parametrize("data", [X, [*X[0], *X[1]]], ids=["nested", "flat"])
def test_json_data_is_nested_or_flat(data: Any) -> None:
    array = read({"inputs": [given("x", [2, 4], "FP32", data=data)]})
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, X)


@pytest.mark.parametrize(
    ("dtype", "datatype", "values"),
    [
        ("bool", "BOOL", [True, False, 1, 0]),
        ("uint8", "UINT8", [0, 1, 254, 255]),
        ("uint16", "UINT16", [0, 1, 2, 2**16 - 1]),
        ("uint32", "UINT32", [0, 1, 2, 2**32 - 1]),
        ("uint64", "UINT64", [0, 1, 2**63, 2**64 - 1]),
        ("int8", "INT8", [-128, 0, 1, 127]),
        ("int16", "INT16", [-(2**15), 0, 1, 2**15 - 1]),
        ("int32", "INT32", [-(2**31), 0, 1, 2**31 - 1]),
        ("int64", "INT64", [-(2**63), 0, 2**53 + 1, 2**63 - 1]),
        ("float32", "FP32", [1, -0.1, 3.4e38, 0]),
        ("float64", "FP64", [1, -0.1, 1e308, 0]),
    ],
)
def test_every_datatype_that_json_carries(dtype: str, datatype: str, values: Any) -> None:
    array = read({"inputs": [given("x", [1, 4], datatype, data=values)]}, dtype)
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, np.array([values], dtype))


@pytest.mark.parametrize(
    ("dtype", "datatype", "value"),
    [
        ("uint8", "UINT8", 256),
        ("uint8", "UINT8", -1),
        ("uint64", "UINT64", 2**64),
        ("int64", "INT64", 2**63),
        ("int32", "INT32", 1.5),
        ("int32", "INT32", True),
        ("float32", "FP32", True),
        ("float32", "FP32", "1"),
        ("float32", "FP32", None),
        ("float32", "FP32", 1e39),
        ("bool", "BOOL", 2),
        ("bool", "BOOL", 1.0),
    ],
)
def test_an_element_of_another_kind_or_range_is_refused(
    dtype: str, datatype: str, value: Any
) -> None:
    error = refused({"inputs": [given("x", [1, 4], datatype, data=[0, 0, 0, value])]}, dtype=dtype)
    assert error.status == 400
    assert "'x'" in str(error)
    assert datatype in str(error)


@pytest.mark.parametrize(
    ("shape", "data"),
    [
        ([1, 4], [1, 2, 3]),
        ([1, 4], []),
        ([2, 2], [[1, 2], [3]]),
        ([1, 4], [[1, 2], [3, 4]]),
        ([1, 4], [[[1, 2, 3, 4]]]),
        ([1, 4], [1, [2], 3, 4]),
        ([4], [[1, 2, 3, 4]]),
        ([1, 4], {"0": 1}),
        ([1, 4], 4),
    ],
)
def test_json_data_has_the_elements_that_its_shape_says(shape: Any, data: Any) -> None:
    """Triton answers 500 to some of these."""
    assert refused({"inputs": [given("x", shape, "FP32", data=data)]}).status == 400


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_json_number_is_refused_with_the_way_out(token: str) -> None:
    content = json.dumps({"inputs": [given("x", [1, 4], "FP32", data=["?", 1, 2, 3])]})
    with pytest.raises(Refusal, match="binary data"):
        simple().read(content.replace('"?"', token).encode(), None)


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16], ids=["FP16", "BF16"])
def test_sixteen_bit_floats_come_in_binary_only(dtype: Any) -> None:
    datatype = {2: "FP16", 3: "BF16"}[3 if dtype is ml_dtypes.bfloat16 else 2]
    as_json = {"inputs": [given("x", [1, 4], datatype, data=[1, 2, 3, 4])]}
    assert "binary data" in str(refused(as_json, dtype=dtype))
    wanted = np.array([X[0]], dtype)
    x = given("x", [1, 4], datatype, parameters={"binary_data_size": 8})
    request: dict[str, Any] = {"inputs": [x]}
    request["parameters"] = {"binary_data_output": True}
    content, length = body(request, wanted)
    plan, _, rest = simple(dtype).read(content, length)
    array = plan.arrays(rest)["x"]
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, wanted)
    del request["parameters"]
    assert "output 'y'" in str(refused(request, wanted, dtype=dtype))


def test_strings_are_no_input_of_any_model() -> None:
    error = refused({"inputs": [given("x", [1, 4], "BYTES", data=["a", "b", "c", "d"])]})
    assert str(error) == "input 'x' is FP32, not BYTES."
    with pytest.raises(PlanError, match="no datatype complex64"):
        Interface([tensor("x", 1, dtype="complex64")], [])


@pytest.mark.parametrize("byte", [2, 128, 255])
def test_truth_is_a_byte_of_0_or_1(byte: int) -> None:
    request = {"inputs": [binary("x", [1, 4], "BOOL")]}
    assert "0 or 1" in str(refused(request, bytes([1, 0, byte, 1]), dtype="bool"))


def test_binary_data_is_not_copied_wherever_it_lies() -> None:
    for spaces in range(4):  # of which three leave it without alignment
        request = json.dumps({"inputs": [binary("x", [2, 4], "FP32")]}).encode() + b" " * spaces
        content = request + np.array(X, np.float32).tobytes()
        plan, _, rest = simple().read(content, str(len(request)))
        array = plan.arrays(rest)["x"]
        np.testing.assert_array_equal(array, X)
        assert np.shares_memory(array, np.frombuffer(content, np.uint8))


def test_tensors_follow_in_the_order_of_the_inputs_that_say_so() -> None:
    model = codec(
        [tensor("a", "N", 2), tensor("b", "N", 1, dtype="int64"), tensor("c", "N", 2)],
        [tensor("y", "N", 2)],
    )
    inputs = [
        binary("c", [1, 2], "FP32"),
        given("b", [1, 1], "INT64", data=[7]),
        binary("a", [1, 2], "FP32"),
    ]
    content, length = body(
        {"inputs": inputs}, np.array([[5, 6]], np.float32), np.array([[1, 2]], np.float32)
    )
    plan, _, rest = model.read(content, length)
    arrays = plan.arrays(rest)
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "a": [[1, 2]],
        "b": [[7]],
        "c": [[5, 6]],
    }


@pytest.mark.parametrize("more", [-32, -1, 1, 4])
def test_left_over_and_missing_bytes_are_refused(more: int) -> None:
    content, length = body({"inputs": [binary("x", [2, 4], "FP32")]}, rows([1, 2]))
    content = content[:more] if more < 0 else content + b"\0" * more
    plan, _, rest = simple().read(content, length)
    with pytest.raises(Refusal, match=f"32 bytes .* and {32 + more} do"):
        plan.arrays(rest)


def test_an_empty_tensor_is_a_tensor() -> None:
    for shape in ([0, 4], [2, 0, 4]):
        content, length = body({"inputs": [binary("x", shape, "FP32")]})
        plan, _, rest = simple().read(content, length)
        assert plan.arrays(rest)["x"].shape == tuple(shape)
    assert read({"inputs": [given("x", [0, 4], "FP32", data=[])]}).shape == (0, 4)
    assert read({"inputs": [given("x", [2, 0], "FP32", data=[[], []])]}).shape == (2, 0)


@pytest.mark.parametrize("value", [2, 255])
def test_a_bool_is_a_byte_of_0_or_1(value: int) -> None:
    good = {"inputs": [binary("x", [1, 4], "BOOL")]}
    content, length = body(good, bytes([0, 1, 1, 0]))
    plan, _, rest = simple(np.bool_).read(content, length)
    assert plan.arrays(rest)["x"].tolist() == [[False, True, True, False]]
    assert "0 or 1" in str(refused(good, bytes([0, 1, value, 0]), dtype=np.bool_))


@pytest.mark.parametrize("size", [0, 15, 17, 2**70])
def test_binary_data_size_is_what_the_shape_needs(size: int) -> None:
    x = given("x", [1, 4], "FP32", parameters={"binary_data_size": size})
    assert "16 bytes" in str(refused({"inputs": [x]}, b"0" * 16))


@pytest.mark.parametrize(
    ("x", "why"),
    [
        (binary("x", [1, 4], "FP32") | {"data": [1, 2, 3, 4]}, "both"),
        (given("x", [1, 4], "FP32"), "neither"),
        (given("x", [1, 4], "FP32", data=None), "neither"),
        (given("x", [1, 4], "INT32", data=[1, 2, 3, 4]), "is FP32, not INT32"),
        (given("x", [1, 4], "fp32", data=[1, 2, 3, 4]), "is FP32, not fp32"),
        (given("z", [1, 4], "FP32", data=[1, 2, 3, 4]), r"no input 'z'; its inputs are \['x'\]"),
        (given("x", [-1, 4], "FP32", data=[1, 2, 3, 4]), ">= 0"),
        (given("x", [1.0, 4], "FP32", data=[1, 2, 3, 4]), "Expected `int`"),
        (given("x", [True, 4], "FP32", data=[1, 2, 3, 4]), "Expected `int`"),
        (given("x", [2**80, 4], "FP32", data=[1, 2, 3, 4]), "<="),
        (given("x", [2**45, 4], "FP32", data=[1, 2, 3, 4]), "more than any memory"),
        (given("x", [0, 2**46], "FP32", data=[]), "more than any memory"),
        (given("x", [1] * 33, "FP32", data=[1]), "length <= 32"),
        (given("x", [1, 4], "FP32", data=[1, 2, 3, 4], parameters=[]), "Expected `object`"),
        ({"name": "x", "datatype": "FP32", "data": [1]}, "missing required field `shape`"),
        ({"name": 1, "shape": [1], "datatype": "FP32"}, "Expected `str`"),
    ],
)
def test_an_input_that_makes_no_sense_is_refused(x: Any, why: str) -> None:
    error = refused({"inputs": [x]})
    assert error.status == 400
    assert re.search(why, str(error)), str(error)


def test_every_input_comes_once() -> None:
    x = given("x", [1, 4], "FP32", data=X[0])
    assert "names an input twice" in str(refused({"inputs": [x, x]}))
    assert "lacks the inputs ['x']" in str(refused({"inputs": []}))


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b"{}", b"{", b'{"inputs": 1}', b"\xff", b'"\xff"', b"\0" * 9]
)
def test_what_is_no_request_is_refused(content: bytes) -> None:
    with pytest.raises(Refusal, match="the JSON of the request"):
        simple().read(content, None)


def test_json_that_is_too_deep_is_refused() -> None:
    for deep in (b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000):
        with pytest.raises(Refusal, match="the JSON of the request"):
            simple().read(b'{"inputs": ' + deep + b"}", None)


@pytest.mark.parametrize(
    "length", ["-1", "+3", "1e2", "0x10", "", "12 3", "9" * 30, "99", "\u0663"]
)
def test_a_json_length_that_is_none_is_refused(length: str) -> None:
    """Negative, beyond the body, not a number, out of range (Triton crashed on that once)."""
    with pytest.raises(Refusal, match="Inference-Header-Content-Length"):
        simple().read(b'{"inputs": []}', length)


def test_bytes_without_their_header_are_no_json() -> None:
    content, _ = body({"inputs": [binary("x", [1, 4], "FP32")]}, rows([1]))
    with pytest.raises(Refusal, match="the JSON of the request"):
        simple().read(content, None)


@pytest.mark.parametrize(
    ("given_dims", "size", "shape"),
    [
        (("N", 4), 16, (1, 4)),
        (("N", "W"), 12, (1, 3)),
        (("N", "W", 2), 24, (1, 3, 2)),
        (("N", "W"), 0, (1, 0)),
    ],
)
def test_a_body_without_json_is_one_row_of_the_only_input(
    given_dims: Any, size: int, shape: Any
) -> None:
    model = codec([tensor("x", *given_dims)], [tensor("y", "N", 4)])
    plan, id, rest = model.read(bytes(size), "0")
    assert plan.arrays(rest)["x"].shape == shape
    assert [(each.tensor.name, each.binary) for each in plan.wanted] == [("y", True)]
    assert id == b""


@pytest.mark.parametrize(
    ("inputs", "size", "why"),
    [
        ([tensor("x", "N", 4)], 32, "32 bytes are no FP32"),
        ([tensor("x", "N", 4)], 0, "0 bytes are no FP32"),
        ([tensor("x", "N", "W")], 7, "7 bytes are no FP32"),
        ([tensor("x", "N", "H", "W")], 16, "at most one open dimension"),
        ([tensor("x", "N", 4), tensor("z", "N", 4)], 16, "one input"),
    ],
)
def test_a_body_without_json_that_could_be_several_things_is_refused(
    inputs: Any, size: int, why: str
) -> None:
    with pytest.raises(Refusal, match=why):
        codec(inputs, [tensor("y", "N", 4)]).read(bytes(size), "0")
