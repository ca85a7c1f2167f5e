"""What a ModelInferRequest may say."""

import math
from typing import Any

import numpy as np
import pytest

from support.helpers import Array, same, tensor
from tests.server.grpc.clients import parameters
from tests.server.messages import codec, simple
from trtasync.server.grpc.messages import INFERENCE
from trtasync.server.grpc.requests import MOST_ELEMENTS, MOST_PARTS, read_request
from trtasync.server.protocol.codec import Codec
from trtasync.server.protocol.datatypes import DATATYPES
from trtasync.server.protocol.refusals import Refusal

ONES = np.ones((2, 4), np.float32)
SIMPLE = simple()
PAIR = codec([tensor("a", "N", 4), tensor("b", "N", 4)], [tensor("y", "N", 4)])


def read(asked: Any, of: Codec = SIMPLE) -> dict[str, Array]:
    """The arrays of a request."""
    return read_request(asked, of.interface)[1]


def asked(*inputs: dict[str, Any], **more: Any) -> Any:
    """A request to whatever model."""
    return INFERENCE.make("ModelInferRequest", inputs=inputs, **more)


def given(name: str = "x", shape: Any = (2, 4), datatype: str = "FP32", **more: Any) -> Any:
    """One input."""
    return {"name": name, "shape": shape, "datatype": datatype, **more}


def typed(field: str, values: Any, datatype: str = "FP32", **more: Any) -> Any:
    """A request of one input that comes element by element."""
    return asked(given(datatype=datatype, contents={field: values}, **more))


def refusal(asked: Any, of: Codec = SIMPLE, status: int = 400) -> str:
    """What a request is refused with."""
    with pytest.raises(Refusal) as caught:
        read(asked, of)
    assert caught.value.status == status
    return str(caught.value)


@pytest.mark.parametrize(
    ("field", "names", "values"),
    [
        ("bool_contents", ["bool"], [True, False]),
        ("int_contents", ["int8", "int16", "int32"], [-128, 127]),
        ("int64_contents", ["int64"], [-(1 << 63), (1 << 63) - 1]),
        ("uint_contents", ["uint8", "uint16", "uint32"], [0, 255]),
        ("uint64_contents", ["uint64"], [0, (1 << 64) - 1]),
        ("fp32_contents", ["float32"], [math.nan, -math.inf]),
        ("fp64_contents", ["float64"], [1e300, math.nan]),
    ],
)
def test_elements_one_by_one(field: str, names: list[str], values: list[Any]) -> None:
    for name in names:
        request = typed(field, values * 4, DATATYPES[name])
        assert same(read(request, simple(name))["x"], np.array(values * 4, name).reshape(2, 4))


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("int8", "int_contents", 128),
        ("int8", "int_contents", -129),
        ("int16", "int_contents", 1 << 15),
        ("uint8", "uint_contents", 256),
        ("uint16", "uint_contents", 1 << 16),
    ],
)
def test_elements_that_are_too_large(name: str, field: str, value: int) -> None:
    request = typed(field, [0] * 7 + [value], DATATYPES[name])
    assert "too large for" in refusal(request, simple(name))


def test_elements_in_the_wrong_place() -> None:
    told = refusal(typed("fp64_contents", [1.0] * 8))
    assert told == "input 'x' is FP32, which goes in fp32_contents, not in ['fp64_contents']."
    both = {"fp32_contents": [1.0] * 8, "int_contents": [1]}
    assert "not in ['int_contents', 'fp32_contents']" in refusal(asked(given(contents=both)))


@pytest.mark.parametrize("count", [0, 7, 9])
def test_elements_that_are_not_as_many(count: int) -> None:
    told = refusal(typed("fp32_contents", [1.0] * count))
    assert told == f"input 'x' of shape [2, 4] is 32 bytes of FP32, and not {4 * count}."


def test_a_shape_of_very_many_dimensions_costs_nothing() -> None:
    """Their product would take hours."""
    shape = [(1 << 63) - 1] * 500_000
    assert "length <= " in refusal(typed("fp32_contents", [1.0] * 8, shape=shape))


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_floats_of_two_bytes_have_no_elements(name: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    dtype = np.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else np.dtype(name)
    of, x = simple(dtype), ONES.astype(dtype)
    datatype = DATATYPES[name]
    assert "raw_input_contents only" in refusal(typed("fp32_contents", [1.0] * 8, datatype), of)
    request = asked(given(datatype=datatype), raw_input_contents=[x.tobytes()])
    assert same(read(request, of)["x"], x)


def test_no_rows() -> None:
    """They are none of an engine's, but they are a tensor."""
    for request in (
        asked(given(shape=[0, 4]), raw_input_contents=[b""]),
        asked(given(shape=[0, 4])),
    ):
        assert read(request)["x"].shape == (0, 4)


def test_several_inputs_in_any_order() -> None:
    request = asked(
        given("b"), given("a"), raw_input_contents=[(2 * ONES).tobytes(), ONES.tobytes()]
    )
    arrays = read(request, PAIR)
    assert same(arrays["a"], ONES)
    assert same(arrays["b"], 2 * ONES)


@pytest.mark.parametrize("count", [1, 3])
def test_one_raw_entry_for_each_input(count: int) -> None:
    request = asked(given("a"), given("b"), raw_input_contents=[ONES.tobytes()] * count)
    assert f"for each of 2 inputs, not {count}" in refusal(request, PAIR)


def test_elements_beside_raw_contents() -> None:
    contents = {"fp32_contents": [1.0] * 8}
    request = asked(
        given("a"), given("b", contents=contents), raw_input_contents=[ONES.tobytes()] * 2
    )
    assert "the inputs ['b'] have contents beside raw_input_contents" in refusal(request, PAIR)


def test_raw_contents_of_another_size() -> None:
    request = asked(given(), raw_input_contents=[ONES.tobytes()[:-1]])
    assert refusal(request) == "input 'x' of shape [2, 4] is 32 bytes of FP32, and not 31."


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ([], "lacks the inputs ['x']"),
        ([given("z")], "no input 'z'"),
        ([given(), given()], "twice"),
        ([given(datatype="FP64")], "is FP32, not FP64"),
        ([given(datatype="BYTES")], "is FP32, not BYTES"),
        ([given(shape=[-2, 4])], ">= 0"),
        ([given(shape=[1 << 46, 1 << 46])], "more than any memory"),
        ([given(shape=[1] * 200)], "length"),
    ],
)
def test_what_does_not_suit_the_model(inputs: list[Any], why: str) -> None:
    assert why in refusal(asked(*inputs, raw_input_contents=[b""] * len(inputs)))


def test_more_elements_than_are_read_one_by_one() -> None:
    request = typed("fp32_contents", [1.0] * (MOST_ELEMENTS + 4), shape=[MOST_ELEMENTS // 4 + 1, 4])
    assert "send them in raw_input_contents" in refusal(request, status=413)
    request = typed("fp32_contents", [1.0] * MOST_ELEMENTS, shape=[MOST_ELEMENTS // 4, 4])
    assert read(request)["x"].size == MOST_ELEMENTS


@pytest.mark.parametrize(
    "whole",
    [
        asked(*[given()] * (MOST_PARTS + 1)),
        asked(given(), outputs=[{"name": "y"}] * MOST_PARTS),
        asked(given(), parameters=parameters(**{f"p{each}": each for each in range(MOST_PARTS)})),
        asked(
            given(parameters=parameters(**{f"p{each}": each for each in range(MOST_PARTS)})),
        ),
    ],
    ids=["inputs", "outputs", "parameters", "of an input"],
)
def test_more_parts_than_any_request_has(whole: Any) -> None:
    assert f"at most {MOST_PARTS} inputs, outputs and parameters, and not" in refusal(whole)


def test_as_many_elements_as_a_shape_of_negative_numbers_says() -> None:
    assert ">= 0" in refusal(typed("fp32_contents", [1.0] * 8, shape=[-2, -4]))


def test_shared_memory_is_refused_before_its_data_are_missed() -> None:
    shared = parameters(shared_memory_region="r", shared_memory_byte_size=32)
    told = refusal(asked(given(parameters=shared)), status=501)
    assert "maps no shared memory" in told
    request = asked(given("a", parameters=shared), given("b"), raw_input_contents=[ONES.tobytes()])
    assert refusal(request, PAIR, status=501) == told
    output = {"name": "y", "parameters": shared}
    whole = asked(given(), raw_input_contents=[ONES.tobytes()], outputs=[output])
    assert refusal(whole, status=501) == told


def plan_of(**more: Any) -> Any:
    """The plan of a good request with these fields."""
    request = asked(given(), raw_input_contents=[ONES.tobytes()], **more)
    return read_request(request, SIMPLE.interface)[0]


def test_parameters() -> None:
    plan = plan_of(parameters=parameters(timeout=1_500_000, priority=3, own="free"))
    assert (plan.timeout, plan.priority) == (1.5, 3)
    unsigned = {"priority": INFERENCE.make("InferParameter", uint64_param=4)}
    assert plan_of(parameters=unsigned).priority == 4
    assert plan_of(parameters=parameters(triton_enable_empty_final_response=True)).timeout is None


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (parameters(timeout="soon"), "parameters of the request"),
        (parameters(timeout=-1), "parameters of the request"),
        (parameters(triton_other=True), "reserved"),
        (parameters(sequence_id=5), "no model here has sequences"),
        (parameters(sequence_id="five"), "no model here has sequences"),
        (parameters(sequence_end=True), "no model here has sequences"),
        ({"priority": INFERENCE.make("InferParameter")}, "'priority' has no value"),
    ],
)
def test_parameters_that_are_wrong(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(Refusal, match=why):
        plan_of(parameters=wrong)


def test_outputs() -> None:
    classes = {"name": "y", "parameters": parameters(classification=2, binary_data=False)}
    (wanted,) = plan_of(outputs=[classes]).wanted
    assert (wanted.tensor.name, wanted.classes, wanted.binary) == ("y", 2, True)
    (wanted,) = plan_of(parameters=parameters(binary_data_output=False)).wanted
    assert wanted.binary  # whatever it says: answers are raw
    with pytest.raises(Refusal, match="no output 'z'"):
        plan_of(outputs=[{"name": "z"}])
    with pytest.raises(Refusal, match="an output twice"):
        plan_of(outputs=[{"name": "y"}, {"name": "y"}])
