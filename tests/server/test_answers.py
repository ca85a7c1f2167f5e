"""Answers: their JSON, their bytes, and what their headers say."""

import json
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from support.helpers import Array, tensor
from tests.server.messages import codec, given, parsed, simple
from trtasync.errors import TrtasyncError
from trtasync.server.protocol import answers
from trtasync.server.protocol.answers import JSON_LENGTH, Answer
from trtasync.server.protocol.codec import Codec
from trtasync.server.protocol.refusals import Refusal

Y = np.array([[1, 2.5, -3, 1e-9]], np.float32)


def answered(model: Codec, outputs: dict[str, Array], *wanted: Any, id: str = "") -> Answer:
    """The answer to a request for these outputs; of each (name, parameters)."""
    asked = [{"name": name, "parameters": parameters} for name, parameters in wanted]
    inputs = [
        given(
            each.name,
            [1, 4],
            each.datatype,
            parameters={"binary_data_size": 4 * each.dtype.itemsize},
        )
        for each in model.interface.inputs.values()
    ]
    header = json.dumps({"inputs": inputs, "outputs": asked, "id": id}).encode()
    plan, told, _ = model.read(header + bytes(64), str(len(header)))
    return model.answer(plan, told, outputs)


def both_forms(answer: Answer) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the JSON, the outputs) of an answer, as its headers say to read it."""
    content = b"".join(answer.parts)
    return parsed(content, answer.headers.get(JSON_LENGTH))


def test_an_answer_in_json() -> None:
    answer = answered(simple(), {"y": Y}, ("y", {}))
    assert answer.headers == {"content-type": "application/json"}
    told, outputs = both_forms(answer)
    assert told == {
        "model_name": "m",
        "model_version": "1",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 4], "data": Y.ravel().tolist()}],
    }
    np.testing.assert_array_equal(outputs["y"], Y)


def test_an_answer_in_binary() -> None:
    answer = answered(simple(), {"y": Y}, ("y", {"binary_data": True}), id="a")
    told, outputs = both_forms(answer)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert told["id"] == "a"
    assert told["outputs"] == [
        {"name": "y", "datatype": "FP32", "shape": [1, 4], "parameters": {"binary_data_size": 16}}
    ]
    np.testing.assert_array_equal(outputs["y"], Y)


def test_an_answer_in_both_forms() -> None:
    model = codec([tensor("x", "N", 4)], [tensor(name, "N", 4) for name in "pqr"])
    outputs = {"p": Y, "q": Y + 1, "r": Y + 2}
    wanted = [("r", {"binary_data": True}), ("q", {}), ("p", {"binary_data": True})]
    told, got = both_forms(answered(model, outputs, *wanted))
    assert [each["name"] for each in told["outputs"]] == ["r", "q", "p"]
    for name in "pqr":
        np.testing.assert_array_equal(got[name], outputs[name])


@pytest.mark.parametrize("id", ["a", 'quo"ted', "é\n", ""])
def test_the_id_of_the_request_comes_back(id: str) -> None:
    for parameters in ({}, {"binary_data": True}):
        told, _ = both_forms(answered(simple(), {"y": Y}, ("y", parameters), id=id))
        assert told.get("id") == (id or None)


def test_an_answer_of_empty_tensors_alone_is_json_without_the_header_of_its_length() -> None:
    empty = np.empty((0, 4), np.float32)
    answer = answered(simple(), {"y": empty}, ("y", {"binary_data": True}))
    assert answer.headers == {"content-type": "application/json"}
    assert json.loads(b"".join(answer.parts))["outputs"][0]["parameters"] == {"binary_data_size": 0}


def test_an_empty_tensor_beside_a_full_one() -> None:
    model = codec([tensor("x", "N", 4)], [tensor("p", "N", "K"), tensor("q", "N", 4)])
    outputs = {"p": np.empty((1, 0), np.float32), "q": Y}
    asked = [(name, {"binary_data": True}) for name in "pq"]
    answer = answered(model, outputs, *asked)
    assert JSON_LENGTH in answer.headers
    _, got = both_forms(answer)
    assert got["p"].shape == (1, 0)
    np.testing.assert_array_equal(got["q"], Y)


@pytest.mark.parametrize("columns", [4, 4000], ids=["copied", "a view"])
@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16, "bool", "int64", "float64"])
def test_bytes_are_those_of_the_rows_however_they_lie(dtype: Any, columns: int) -> None:
    wanted = np.arange(2 * columns).reshape(columns, 2).astype(dtype).T
    model = codec([tensor("x", "N", 4)], [tensor("y", "N", columns, dtype=dtype)])
    answer = answered(model, {"y": wanted}, ("y", {"binary_data": True}))
    assert bytes(answer.parts[1]) == wanted.tobytes()
    assert answer.json_size == len(answer.parts[0])


def test_a_large_output_is_not_copied() -> None:
    large = np.zeros((1, 4000), np.float32)
    model = codec([tensor("x", "N", 4)], [tensor("y", "N", 4000)])
    answer = answered(model, {"y": large}, ("y", {"binary_data": True}))
    assert np.shares_memory(np.frombuffer(answer.parts[1], np.uint8), large)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_json_has_no_number_for_is_refused_and_goes_in_binary(value: float) -> None:
    odd = np.array([[1, 2, 3, value]], np.float32)
    with pytest.raises(Refusal, match="ask for it as binary data"):
        answered(simple(), {"y": odd}, ("y", {}))
    _, got = both_forms(answered(simple(), {"y": odd}, ("y", {"binary_data": True})))
    np.testing.assert_array_equal(got["y"], odd)


def test_an_output_of_another_dtype_than_the_model_declares_is_not_passed_off_as_it() -> None:
    with pytest.raises(TrtasyncError, match="came as float64, and the model declares float32"):
        answered(simple(), {"y": Y.astype(np.float64)}, ("y", {"binary_data": True}))


def test_the_forms_of_answers_are_kept_in_a_bounded_number() -> None:
    model = simple()
    for size in range(3 * answers.FORMS):
        content = np.full((size, 4), size, np.float32)
        _, got = both_forms(answered(model, {"y": content}, ("y", {"binary_data": True})))
        np.testing.assert_array_equal(got["y"], content)
    (plan,) = model._plans.values()
    assert 0 < len(plan.texts) <= answers.FORMS


def classes(values: Any, most: int, dims: Any = ("N", 4), dtype: Any = np.float32) -> list[bytes]:
    """The answer to a request for classes, which is the same in both forms."""
    model = codec([tensor("x", "N", 4)], [tensor("y", *dims, dtype=dtype)])
    outputs = {"y": np.array(values, dtype).reshape(-1, 4)}
    both = [
        both_forms(answered(model, outputs, ("y", {"classification": most, "binary_data": binary})))
        for binary in (False, True)
    ]
    (told, first), (again, second) = both
    assert first == second
    shapes = [each["outputs"][0]["shape"] for each in (told, again)]
    assert shapes[0] == shapes[1] == [len(values), min(most, 4)]
    assert told["outputs"][0]["datatype"] == "BYTES"
    found: list[bytes] = first["y"]
    return found


def test_classes_are_the_highest_values_of_each_row() -> None:
    values = [[0.1, 0.5, 0.25, 0.2], [-1, -2, -3, -0.5]]
    assert classes(values, 2) == [b"0.5:1", b"0.25:2", b"-0.5:3", b"-1.0:0"]
    assert classes(values[:1], 9) == [b"0.5:1", b"0.25:2", b"0.2:3", b"0.1:0"]
    assert classes([], 2) == []


def test_equal_classes_come_by_their_index_and_nan_last() -> None:
    assert classes([[1, 7, 7, np.nan]], 4) == [b"7.0:1", b"7.0:2", b"1.0:0", b"nan:3"]
    assert classes([[1e-30, 0, 2e-30, 0]], 2) == [b"2e-30:2", b"1e-30:0"]


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", ml_dtypes.bfloat16])
def test_classes_of_every_kind_of_number(dtype: Any) -> None:
    found = classes([[0, 7, 3, 7]], 3, dtype=dtype)
    assert [(float(each.split(b":")[0]), int(each.split(b":")[1])) for each in found] == [
        (7, 1),
        (7, 3),
        (3, 2),
    ]


def test_classes_of_the_largest_integers_are_exact() -> None:
    largest = 2**63 - 1
    assert classes([[largest - 1, largest, 0, -largest]], 2, dtype="int64") == [
        b"%d:1" % largest,
        b"%d:0" % (largest - 1),
    ]
