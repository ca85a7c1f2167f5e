"""What declared shapes suggest of the batch axis: guesses, to be confirmed by the model itself."""

from collections.abc import Mapping
from typing import Any

import pytest

from support.helpers import tensor
from trtasync import InvalidInput
from trtasync.model.axes import guess, is_anonymous
from trtasync.model.tensors import ModelSpec


@pytest.mark.parametrize(
    "dim",
    [None, "", " ", "?", "-1", "None", "unknown", "unk__12", "unk__1_2", "dim_0", "axis1",
     "x_dynamic_axes_1", "DynamicDimension.0", "p2o.DynamicDimension.3",
     "Softmaxoutput_dim_2", "x_o0__d1", "7"],
)  # fmt: skip
def test_names_that_exporters_make_up_say_nothing(dim: str | None) -> None:
    assert is_anonymous(dim)


@pytest.mark.parametrize(
    "dim", ["N", "batch", "batch_size", "len", "s0", "dim", "unkempt", "nonestop", 3]
)
def test_other_names_do(dim: Any) -> None:
    assert not is_anonymous(dim)


@pytest.mark.parametrize(
    ("inputs", "outputs", "found"),
    [
        # the symbol that comes first
        ([("N", 4)], [("N", 2)], ((0,), (0,), None)),
        ([("N", "len"), ("N", "len")], [("N", "len", 8), ("N", 8)], ((0, 0), (0, 0), None)),
        # on an axis of its own in each tensor; without it a tensor is shared
        (
            [("batch", 512), (2, "batch", 128), ()],
            [("batch", 1), (2, "batch", 128)],
            ((0, 1, None), (0, 1), None),
        ),
        ([("seq", "batch", 8)], [("seq", "batch", 8)], ((1,), (1,), None)),
        ([("seq", "batch", 8), (1, "batch", 8)], [("seq", "batch", 8)], ((1, 1), (1,), None)),
        # what only the model can tell
        ([("batch", 6)], [("num_dets", 6)], ((0,), (None,), None)),
        ([("samples",)], [("frames", 8)], ((0,), (None,), None)),
        ([("N", 4)], [()], ((0,), (0,), None)),
        # no evidence, or contradicting evidence
        ([("N", "N")], [("N", "N")], ((None,), (None,), None)),
        ([("N", 4), ("M", 4)], [("N", 4)], ((None, None), (None,), None)),
        ([(3, "W")], [(4, "W")], ((None,), (None,), None)),
        # names that say nothing
        ([("unk__1", 4), ("unk__2", 3)], [("unk__3", 2)], ((0, 0), (0,), None)),
        ([(None, 3, "?", "?")], [(None, 1000)], ((0,), (0,), None)),
        ([("N", 4), (None, 3)], [("N",)], ((0, 0), (0,), None)),
        # one number everywhere
        ([(8, 3), (8, 2)], [(8,)], ((0, 0), (0,), 8)),
        ([(1, "len")], [(1, "len", 768)], ((0,), (0,), 1)),
        ([(8, 3)], [(4, 3)], ((None,), (None,), None)),
    ],
)  # fmt: skip
def test_guesses(inputs: Any, outputs: Any, found: Any) -> None:
    axes = guess(inputs, outputs)
    assert (axes.inputs, axes.outputs, axes.fixed) == found


@pytest.mark.parametrize(
    ("said", "inputs", "outputs", "batched"),
    [
        ({"x": 1}, (1, None), (1,), True),  # the others follow the symbol
        ({"x": 1, "y": 0}, (1, None), (0,), True),
        ({"x": -2, "h": 0}, (1, 0), (1,), True),
        ({"x": None, "h": None}, (None, None), (None,), False),
        ({"h": None}, (0, None), (0,), True),  # and says nothing of the others
    ],
)
def test_what_the_user_says_goes(
    said: Mapping[str, int | None], inputs: Any, outputs: Any, batched: bool
) -> None:
    spec = ModelSpec.from_tensors(
        [tensor("x", "seq", "rows", 8), tensor("h", 2, 8)], [tensor("y", "seq", "rows", 8)], said
    )
    assert tuple(each.batch_axis for each in spec.inputs) == inputs
    assert tuple(each.batch_axis for each in spec.outputs) == outputs
    assert spec.batched is batched


def test_a_number_at_the_axis_that_the_user_names_is_the_batch_size() -> None:
    spec = ModelSpec.from_tensors([tensor("x", 3, 4)], [tensor("y", 4, 3)], {"x": 0, "y": 1})
    assert (spec.batched, spec.fixed_batch) == (True, 3)


@pytest.mark.parametrize("said", [{"z": 0}, {"x": 2}, {"x": -3}, {"x": "0"}, {"x": True}])
def test_axes_that_are_not_there_are_refused(said: Any) -> None:
    with pytest.raises(InvalidInput, match="batch_axes"):
        ModelSpec.from_tensors([tensor("x", "N", 4)], [tensor("y", "N", 4)], said)
