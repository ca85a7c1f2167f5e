"""Parameters of requests, requested outputs, and the ids that make equal requests differ."""

import json
import re
from typing import Any

import pytest

from support.helpers import rows, tensor
from tests.server.messages import binary, body, codec, given, simple
from trtasync.server.protocol import codec as of_codec
from trtasync.server.protocol.refusals import Refusal
from trtasync.server.protocol.requests import Plan

X = given("x", [1, 4], "FP32", data=[1, 2, 3, 4])


def plan_of(**request: Any) -> Plan:
    return simple().read(json.dumps({"inputs": [X], **request}).encode(), None)[0]


def test_timeout_is_in_microseconds_and_none_without() -> None:
    assert plan_of(parameters={"timeout": 1_500_000}).timeout == 1.5
    assert plan_of(parameters={"timeout": 0}).timeout is None
    assert plan_of().timeout is None


def test_priority_is_handed_on() -> None:
    assert plan_of(parameters={"priority": 1}).priority == 1
    assert plan_of().priority == 0


@pytest.mark.parametrize(
    "parameters",
    [
        {"timeout": -1},
        {"timeout": 1.5},
        {"timeout": "100"},
        {"timeout": True},
        {"priority": -1},
        {"priority": "high"},
        {"binary_data_output": 1},
        {"binary_data_output": "true"},
        {"sequence_id": 1},
        {"sequence_id": "abc"},
        {"sequence_start": True},
        {"sequence_end": True},
        {"headers": "x"},
        {"triton_enable_empty_final_response": True},
        {"free": None},
        {"free": []},
        {"free": {}},
    ],
)
def test_parameters_that_mean_nothing_here_or_are_of_the_wrong_type(parameters: Any) -> None:
    with pytest.raises(Refusal) as raised:
        plan_of(parameters=parameters)
    assert raised.value.status == 400
    assert re.search("parameters|sequence", str(raised.value))


def test_free_parameters_and_those_of_no_sequence_pass() -> None:
    free = {"a": True, "b": 1, "c": 1.5, "d": "text", "sequence_id": 0, "sequence_start": False}
    for parameters in (free, {"sequence_id": ""}):
        plan = plan_of(parameters=parameters)
        assert (plan.priority, plan.timeout) == (0, None)


def test_shared_memory_is_not_mapped() -> None:
    for request in (
        {"inputs": [binary("x", [1, 4], "FP32", shared_memory_region="a")]},
        {"outputs": [{"name": "y", "parameters": {"shared_memory_region": "a"}}]},
    ):
        with pytest.raises(Refusal, match="shared memory") as raised:
            plan_of(**request)
        assert raised.value.status == 501


def both(*names: str, **parameters: Any) -> list[tuple[str, bool, int]]:
    """What is wanted of a model of the outputs p and q."""
    model = codec([tensor("x", "N", 4)], [tensor("p", "N", 4), tensor("q", "N", 4)])
    outputs = [json.loads(name) if name[0] == "{" else {"name": name} for name in names]
    request = {"inputs": [X], "outputs": outputs, "parameters": parameters}
    plan = model.read(json.dumps(request).encode(), None)[0]
    return [(each.tensor.name, each.binary, each.classes) for each in plan.wanted]


def test_all_outputs_are_wanted_where_none_is_named() -> None:
    assert both() == [("p", False, 0), ("q", False, 0)]
    assert both(binary_data_output=True) == [("p", True, 0), ("q", True, 0)]


def test_named_outputs_come_in_their_order_and_each_in_its_form() -> None:
    as_json = '{"name": "p", "parameters": {"binary_data": false}}'
    as_bytes = '{"name": "p", "parameters": {"binary_data": true, "classification": 3}}'
    assert both("q") == [("q", False, 0)]
    assert both("q", as_bytes) == [("q", False, 0), ("p", True, 3)]
    assert both("q", as_json, binary_data_output=True) == [("q", True, 0), ("p", False, 0)]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["z"], r"no output 'z'; its outputs are \['p', 'q'\]"),
        (["p", "p"], "names an output twice"),
        (['{"name": "p", "parameters": {"binary_data": 1}}'], "output 'p'"),
        (['{"name": "p", "parameters": {"classification": -1}}'], "output 'p'"),
        (['{"name": "p", "parameters": {"classification": "2"}}'], "output 'p'"),
        (['{"name": 1}'], "Expected `str`"),
        (['{"parameters": {}}'], "missing required field `name`"),
    ],
)
def test_outputs_that_there_are_not(names: list[str], why: str) -> None:
    with pytest.raises(Refusal, match=why):
        both(*names)


def test_truth_has_no_highest_values() -> None:
    y = {"name": "y", "parameters": {"classification": 1}}
    content = json.dumps(
        {"inputs": [given("x", [1, 4], "BOOL", data=[1, 0, 0, 1])], "outputs": [y]}
    )
    with pytest.raises(Refusal, match="BOOL"):
        simple("bool").read(content.encode(), None)


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ('{"id": "a-7",', b'"a-7"'),
        ('{"id":"",', b""),
        ('{ "id" : "a 7" ,', b'"a 7"'),
        (r'{"id":"a\"7",', rb'"a\"7"'),
        (r'{"id":"\u00e9",', '"é"'.encode()),
        ('{"id":"é",', '"é"'.encode()),
        ('{"id":"1","id":"2",', b'"2"'),
        ("{", b""),
    ],
)
def test_an_id_is_repeated_as_the_text_it_is(text: str, id: bytes) -> None:
    content = text + json.dumps({"inputs": [X]})[1:]
    assert simple().read(content.encode(), None)[1] == id


def test_an_id_wherever_it_stands() -> None:
    assert plan_of(id="late").id == b'"late"'
    assert plan_of(id="x" * 5000).id == b'"' + b"x" * 5000 + b'"'


@pytest.mark.parametrize("id", ["7", "null", "{}", "[]", "true", '"\\x"', '"\n"'])
def test_an_id_is_a_text(id: str) -> None:
    content = f'{{"id": {id}, ' + json.dumps({"inputs": [X]})[1:]
    with pytest.raises(Refusal, match="the JSON of the request"):
        simple().read(content.encode(), None)


def test_requests_that_differ_in_their_id_have_one_plan_and_their_own_arrays() -> None:
    model, plans = simple(), []
    for number in range(3):
        request = {"id": f"{number}", "inputs": [binary("x", [1, 4], "FP32")]}
        content, length = body(request, rows([number]))
        plan, id, rest = model.read(content, length)
        assert (id, plan.arrays(rest)["x"].tolist()) == (b'"%d"' % number, [[number] * 4])
        plans.append(plan)
    assert plans[0] is plans[1] is plans[2]


def test_plans_that_hold_data_or_an_id_are_not_kept() -> None:
    model = simple()
    for request in ({"inputs": [X]}, {"inputs": [X], "id": "last"}):
        content = json.dumps(request).encode()
        assert model.read(content, None)[0] is not model.read(content, None)[0]


def test_plans_are_kept_in_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_codec, "KEPT", 2)
    model = simple()

    def plan(number: int) -> Plan:
        return model.read(*body({"inputs": [binary("x", [number, 4], "FP32")]}))[0]

    first, second, third = plan(1), plan(2), plan(3)
    assert (plan(2), plan(3)) == (second, third)
    assert plan(2) is second
    assert plan(3) is third
    assert plan(1) is not first
