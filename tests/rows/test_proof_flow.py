"""The proof through branches, loops and functions of the model's own."""

from typing import Any

import numpy as np
import pytest
from onnx import AttributeProto, helper

from tests.rows.onnx_graphs import graph, ints, model, node, proofs
from trtasync.rows.proof import prove

ROW = ["N", 4]


def branch(condition: str, then: Any, other: Any) -> Any:
    return node("If", condition, "y", then_branch=then, else_branch=other)


def one(operator: str, inputs: str, **attributes: Any) -> Any:
    """A branch of one node."""
    return graph([node(operator, inputs, "out", **attributes)], {}, "out")


def body(nodes: list[Any], state: Any, outputs: str, go_on: str = "go") -> Any:
    return graph(
        [*nodes, node("Identity", go_on, "again")],
        {"turn": ("i", []), "go": ("b", []), "state": state},
        f"again {outputs}",
    )


def loop(inner: Any, state: str = "x", turns: str = "turns") -> Any:
    return node("Loop", f"{turns} - {state}", "y ys", body=inner)


def proof_of(nodes: Any, inputs: Any, constants: Any = None, output: str = "y") -> Any:
    return proofs(nodes, inputs, constants, outputs=output)[output]


def test_both_branches_count_where_the_condition_is_not_known() -> None:
    inputs = {"x": ROW, "c": ("b", [])}
    along_rows = one("Softmax", "x", axis=0)
    assert proof_of(branch("c", one("Relu", "x"), one("Exp", "x")), inputs).axis == 0
    assert proof_of(branch("c", one("Relu", "x"), along_rows), inputs).axis is None
    assert proof_of(branch("c", along_rows, one("Relu", "x")), inputs).axis is None


def test_a_known_condition_leaves_one_branch() -> None:
    nodes = branch("c", one("Relu", "x"), one("Softmax", "x", axis=0))
    assert proof_of(nodes, {"x": ROW}, {"c": np.array(True)}).axis == 0
    assert proof_of(nodes, {"x": ROW}, {"c": np.array(False)}).axis is None


@pytest.mark.parametrize("way", ["values", "number"])
def test_a_condition_from_all_rows_or_their_number_proves_nothing(way: str) -> None:
    condition = [
        node("ReduceMax", "x", "m", keepdims=0) if way == "values" else node("Size", "x", "m"),
        node("Cast", "m", "f", to=1),
        node("Less", "f seven", "c"),
    ]
    nodes = [*condition, branch("c", one("Relu", "x"), one("Exp", "x"))]
    assert proof_of(nodes, {"x": ROW}, {"seven": np.float32(7)}).axis is None


def test_branches_whose_rows_lie_differently_are_followed_to_where_they_meet() -> None:
    """An exporter's squeeze: the axis goes if its length is 1, and comes back."""
    squeezed = one("Squeeze", "x last")
    nodes = [
        branch("c", squeezed, one("Identity", "x")),
        node("Reshape", "y flat", "z"),
    ]
    inputs = {"x": ["N", 4, 1], "c": ("b", [])}
    constants = {"last": ints(2), "flat": ints(0, 4)}
    assert proof_of(nodes, inputs, constants, "z").axis == 0
    assert proof_of(nodes, inputs, constants, "y").axis is None
    turned = [branch("c", one("Transpose", "x"), one("Identity", "x"))]
    assert proof_of(turned, {"x": ROW, "c": ("b", [])}).axis is None


def test_a_way_that_every_runtime_refuses_does_not_count() -> None:
    """Three axes are what an LSTM takes: the other branch gives four."""
    nodes = [
        branch("c", one("Squeeze", "x ax"), one("Identity", "x")),
        node("Unsqueeze", "y first", "steps"),
        node("GRU", "steps w r", "all h", hidden_size=2),
    ]
    constants = {
        "ax": ints(2),
        "first": ints(0),
        "w": np.ones((1, 6, 4)),
        "r": np.ones((1, 6, 2)),
    }
    inputs = {"x": ["N", 4, "T"], "c": ("b", [])}
    assert proof_of(nodes, inputs, constants, "h").axis == 1


def test_a_loop_keeps_rows_apart_if_its_body_does() -> None:
    turns = {"turns": np.int64(3)}
    apart = body([node("Add", "state x", "next"), node("Relu", "next", "seen")], ROW, "next seen")
    found = proofs(loop(apart), {"x": ROW}, turns, outputs="y ys")
    assert {name: proof.axis for name, proof in found.items()} == {"y": 0, "ys": 1}
    mixed = body(
        [node("CumSum", "state zero", "next"), node("Relu", "x", "seen")], ROW, "next seen"
    )
    found = proofs(loop(mixed), {"x": ROW}, turns | {"zero": np.int64(0)}, outputs="y ys")
    assert {name: proof.axis for name, proof in found.items()} == {"y": None, "ys": 1}


def test_what_one_turn_couples_is_coupled_in_the_next() -> None:
    """The first turn's output is proved as long as the state is taken for what it is at first."""
    nodes = [node("Relu", "state", "seen"), node("CumSum", "state zero", "next")]
    constants = {"turns": np.int64(3), "zero": np.int64(0)}
    found = proofs(loop(body(nodes, ROW, "next seen")), {"x": ROW}, constants, outputs="ys")
    assert found["ys"].axis is None


def test_a_loop_that_runs_as_often_as_rows_say_proves_nothing() -> None:
    plain = body([node("Relu", "state", "next"), node("Relu", "x", "seen")], ROW, "next seen")
    for nodes in (
        [node("Shape", "x", "s"), node("Gather", "s zero", "turns")],
        [node("ReduceMax", "x", "m", keepdims=0), node("Cast", "m", "turns", to=7)],
    ):
        proof = proof_of([*nodes, loop(plain)], {"x": ROW}, {"zero": np.int64(0)})
        assert proof.axis is None
        assert proof.why
    until = body(
        [
            node("Relu", "state", "next"),
            node("ReduceMax", "state", "m", keepdims=0),
            node("Less", "m ten", "more"),
        ],
        ROW,
        "next next",
        go_on="more",
    )
    constants = {"turns": np.int64(3), "ten": np.float32(10)}
    assert proof_of(loop(until), {"x": ROW}, constants).axis is None


def test_rows_that_are_collected_only_if_the_loop_runs_are_not_proved() -> None:
    """Of no turn runtimes make an empty tensor of another rank."""
    plain = body([node("Relu", "state", "next"), node("Relu", "x", "seen")], ROW, "next seen")
    inputs = {"x": ROW, "turns": ("i", [])}
    found = proofs(loop(plain), inputs, outputs="y ys")
    assert {name: proof.axis for name, proof in found.items()} == {"y": 0, "ys": None}
    inputs = {"x": ROW, "go": ("b", [])}
    inner = body([node("Relu", "state", "next"), node("Relu", "x", "seen")], ROW, "next seen")
    nodes = node("Loop", "turns go x", "y ys", body=inner)
    assert proofs(nodes, inputs, {"turns": np.int64(3)}, outputs="ys")["ys"].axis is None


def test_a_length_that_grows_in_a_loop_is_no_known_length() -> None:
    """Were it taken for the length of the first turn, rows would be found in a wrong reshape."""
    grow = body(
        [node("Concat", "state x", "next", axis=1), node("Relu", "x", "seen")], ROW, "next seen"
    )
    nodes = [loop(grow), node("Reshape", "y merged", "z"), node("Reshape", "z four", "w")]
    constants = {"turns": np.int64(3), "merged": ints(-1), "four": ints(-1, 4)}
    found = proofs(nodes, {"x": ROW}, constants, outputs="y w")
    assert found["y"].axis == 0
    assert found["w"].axis is None


def test_scan_along_time_and_along_rows() -> None:
    step = graph(
        [node("Add", "state x_t", "next"), node("Relu", "next", "seen")],
        {"state": ["N", 4], "x_t": ["N", 4]},
        "next seen",
    )
    inputs = {"h": ["N", 4], "x": ["N", "T", 4]}
    along_time = node("Scan", "h x", "y ys", body=step, num_scan_inputs=1, scan_input_axes=[1])
    found = proofs(along_time, inputs, outputs="y ys")
    assert {name: proof.axis for name, proof in found.items()} == {"y": 0, "ys": 1}
    along_rows = node("Scan", "s x", "y ys", body=step, num_scan_inputs=1, scan_input_axes=[0])
    found = proofs(along_rows, {"s": ["T", 4], "x": ["N", "T", 4]}, outputs="y ys")
    assert {name: proof.axis for name, proof in found.items()} == {"y": None, "ys": None}


def test_a_state_that_takes_as_many_turns_as_there_are_rows() -> None:
    """It is computed from nothing but shared values and rows that stand by themselves."""
    step = graph([node("Relu", "state", "next")], {"state": ROW, "x_t": [4]}, "next")
    nodes = node("Scan", "h x", "y", body=step, num_scan_inputs=1)
    assert proof_of(nodes, {"h": ROW, "x": ROW}).axis is None


def function(nodes: list[Any], name: str = "Own", attributes: tuple[str, ...] = ()) -> Any:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, ["a"], ["b"], nodes, opsets, list(attributes))


def test_functions_of_the_model_are_followed_with_their_attributes() -> None:
    inner = node("Softmax", "a", "b")
    inner.attribute.add(name="axis", type=AttributeProto.INT, ref_attr_name="along")
    own = function([inner], attributes=("along",))
    for axis, expected in ((1, 0), (0, None)):
        call = node("Own", "x", "y", domain="own", along=axis)
        made = model([call], {"x": ROW}, "y", functions=[own])
        assert prove(made, {"x": 0})["y"].axis == expected


def test_a_function_does_not_see_what_is_around_it() -> None:
    own = function([node("Add", "a x", "b")])
    made = model([node("Own", "x", "y", domain="own")], {"x": ROW}, "y", functions=[own])
    assert "is made by no node" in prove(made, {"x": 0})["y"].why


def test_functions_that_call_themselves_or_one_another_without_end() -> None:
    for name in ("Own", "Other"):
        functions = [
            function([node(name, "a", "b", domain="own")]),
            function([node("Own", "a", "b", domain="own")], "Other"),
        ]
        made = model([node("Own", "x", "y", domain="own")], {"x": ROW}, "y", functions=functions)
        assert "nested too deeply in graphs and functions" in prove(made, {"x": 0})["y"].why
