"""Reading requests: every kind of bad input is refused by name, every good one read right."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from support.helpers import Array, tensor
from trtasync import Cut, InferenceError, InvalidInput, Pad, PlanError, TensorSpec
from trtasync.model.tensors import ModelSpec
from trtasync.requests.reader import MAX_SIGNATURES, RequestReader
from trtasync.requests.signature import Layout


def reader(
    *inputs: TensorSpec,
    outputs: Sequence[TensorSpec] = (),
    padding: Mapping[str, Pad] | None = None,
) -> Any:
    """A reader whose groups are the layouts themselves."""
    spec = ModelSpec.from_tensors(inputs, outputs or (tensor("y", "N", 4),))
    return RequestReader(spec, padding or {}, lambda layout: layout)


X = tensor("x", "N", 4)


def zeros(*shape: int, dtype: Any = np.float32) -> Array:
    return np.zeros(shape, dtype)


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (
            zeros(4, dtype=np.float64),
            ["x: float32[N, 4]", "got dtype float64", "astype('float32')"],
        ),
        (zeros(4, dtype=np.int32), ["got dtype int32"]),
        (np.array(["a", "b", "c", "d"]), ["got dtype <U1"]),
        (np.array([None] * 4), ["got dtype object"]),
        (zeros(4, dtype=">f8"), ["got dtype >f8"]),
        (zeros(2, 3, 4), ["shape (2, 3, 4)", "rank 2 (rows) or rank 1"]),
        (zeros(), ["shape ()", "rank 2 (rows) or rank 1"]),
        (np.float32(3), ["shape ()"]),
        (zeros(5), ["axis 0 of a row must be 4, not 5"]),
        (zeros(2, 5), ["rows of shape (5,)", "must be 4, not 5"]),
        (zeros(0, 4), ["at least 1", "x (0, 4)"]),
        ([1.0, 2.0, 3.0, 4.0], ["1 inputs", "got 4 values", "np.asarray"]),
        (
            [[1.0, 2.0, 3.0, 4.0]],
            ["x: float32[N, 4] got list", "np.asarray(value, dtype='float32')"],
        ),
        ((), ["got 0 values"]),
        (3.0, ["got float"]),
        (None, ["got NoneType"]),
        ("text", ["got str"]),
        (object(), ["got object"]),
        ({}, ["inputs are ['x']", "got []", "Missing: ['x']"]),
        ({"z": zeros(4)}, ["Missing: ['x']", "unknown: ['z']"]),
        ({"x": zeros(4), "z": zeros(4)}, ["Missing: []", "unknown: ['z']"]),
        ({"x": [1.0] * 4}, ["got list"]),
    ],
)
def test_bad_input_is_refused_and_named(value: Any, says: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        reader(X).read(value)
    assert [words for words in says if words not in str(caught.value)] == []


def test_what_cannot_be_read_as_an_array_keeps_its_reason() -> None:
    class Liar:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
            raise RuntimeError("on the GPU")

    with pytest.raises(InvalidInput, match="on the GPU") as caught:
        reader(X).read(Liar())
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize(
    ("left", "right", "says"),
    [
        (zeros(2, 4), zeros(3, 4), "the batch axis must be equal"),
        (zeros(0, 4), zeros(0, 4), "at least 1"),
        (zeros(4), zeros(3, 4), "some inputs came with a batch axis and some without"),
    ],
)
def test_inputs_that_do_not_fit_together(left: Array, right: Array, says: str) -> None:
    pair = reader(tensor("left", "N", "W"), tensor("right", "N", "W"))
    for value in ((left, right), [left, right], {"right": right, "left": left}):
        with pytest.raises(InvalidInput, match=says):
            pair.read(value)


def test_equal_names_demand_nothing_that_batching_does_not_need() -> None:
    """Exporters give one name to what is not equal; what must fit, the runtime refuses."""
    pair = reader(tensor("left", "N", "W"), tensor("right", "N", "W"))
    signature, _ = pair.read((zeros(3, 4), zeros(3, 5)))
    assert signature.queue.shapes == ((4,), (5,))
    square, _ = reader(tensor("x", "N", "W", "W")).read(zeros(2, 5))
    assert square.queue.shapes == ((2, 5),)


def test_a_refused_shape_is_refused_again() -> None:
    one = reader(X)
    for _ in range(2):
        with pytest.raises(InvalidInput):
            one.read(zeros(5))


def test_a_group_may_be_refused_and_is_asked_again() -> None:
    asked = []

    def refuse(layout: Layout) -> None:
        asked.append(layout.shapes)
        raise InvalidInput("too wide")

    spec = ModelSpec.from_tensors([tensor("x", "N", None)], [tensor("y", "N")])
    picky = RequestReader(spec, {}, refuse)
    for _ in range(2):
        with pytest.raises(InvalidInput, match="too wide"):
            picky.read(zeros(9))
    assert asked == [((9,),), ((9,),)]


# -- what is taken --------------------------------------------------------------------------------


def test_rank_tells_rows_from_a_sample() -> None:
    one = reader(X)
    sample, _ = one.read(zeros(4))
    single, _ = one.read(zeros(1, 4))
    many, _ = one.read(zeros(3, 4))
    assert (sample.bare, sample.rows) == (True, 1)
    assert (single.bare, single.rows) == (False, 1)
    assert (many.bare, many.rows) == (False, 3)
    assert sample.queue is single.queue is many.queue


@pytest.mark.parametrize("wrap", [lambda a: a, lambda a: [a], lambda a: (a,), lambda a: {"x": a}])
def test_array_sequence_and_mapping(wrap: Any) -> None:
    data = np.arange(4, dtype=np.float32)
    signature, got = reader(X).read(wrap(data))
    assert got is data
    assert signature.single is (wrap(data) is data)


def test_a_mapping_is_taken_in_the_model_s_order() -> None:
    pair = reader(tensor("a", "N", 2), tensor("b", "N", 3))
    a, b = zeros(2), zeros(3)
    _, (first, second) = pair.read({"b": b, "a": a})
    assert first is a
    assert second is b


def test_big_endian_numbers_are_converted_not_reinterpreted() -> None:
    data = np.array([1.5, -2, 3e9, 0], ">f4")
    _, got = reader(X).read(data)
    assert got.dtype.isnative
    assert got.tolist() == [1.5, -2, 3e9, 0]


def test_types_of_one_size_under_two_names_are_the_same() -> None:
    for want, have in ((np.longlong, np.int64), (np.int64, np.longlong)):
        data = np.arange(4, dtype=have)
        _, got = reader(tensor("x", "N", 4, dtype=want)).read(data)
        assert got.dtype.char == np.dtype(want).char
        assert got.tolist() == [0, 1, 2, 3]


def test_array_like_objects_are_read() -> None:
    class Tensor:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
            return np.arange(4, dtype=np.float32)

    signature, got = reader(X).read(Tensor())
    assert signature.plain
    assert got.tolist() == [0, 1, 2, 3]


def test_a_bare_number_is_a_row_of_a_model_of_numbers() -> None:
    signature, got = reader(tensor("x", "N", dtype=np.int64)).read(np.int64(7))
    assert (signature.bare, signature.rows, got.shape, int(got)) == (True, 1, (), 7)


def test_a_subclass_of_ndarray_is_read_as_an_array() -> None:
    data = np.arange(4, dtype=np.float32).view(np.recarray)
    _, got = reader(X).read(data)
    assert type(got) is np.ndarray


# -- models without a batch axis ------------------------------------------------------------------


def test_scalar_inputs_take_only_scalars() -> None:
    mixed = reader(tensor("x", "N", 4), tensor("temperature"))
    signature, _ = mixed.read((zeros(3, 4), np.float32(2)))
    assert (signature.bare, signature.rows) == (False, 3)
    with pytest.raises(InvalidInput, match=r"temperature.*only a scalar.*unknown rank"):
        mixed.read((zeros(3, 4), zeros(2)))


def test_without_batch_axis_the_exact_rank_is_needed() -> None:
    alone = reader(tensor("x", 3, "W"), outputs=[tensor("y", 4, "W")])
    signature, _ = alone.read(zeros(3, 9))
    assert (signature.bare, signature.rows) == (True, 1)
    for wrong in (zeros(9), zeros(1, 3, 9)):
        with pytest.raises(InvalidInput, match="no batch axis"):
            alone.read(wrong)


@pytest.mark.parametrize(
    ("inputs", "outputs", "batched", "fixed"),
    [
        ([("N", 4)], [("N",)], True, None),
        ([(None, 4)], [(None, 2)], True, None),
        ([("N", 4), (None,)], [("N",)], True, None),
        ([("N", 4)], [("M", 4)], False, None),
        ([("N", 4)], [()], True, None),
        ([("N", 4), ("M", 4)], [("N",)], False, None),
        ([("N", 4)], [(1, 4)], False, None),
        ([("N", 4), ()], [("N", 4)], True, None),
        ([("unk__1", 4), ("unk__2", 3)], [("unk__3",)], True, None),
        ([("N", "N")], [("N",)], False, None),
        ([()], [()], False, None),
        ([(4, 2)], [(4,)], True, 4),
        ([(1, 2)], [(1, 3)], True, 1),
        ([(4, 2)], [("N",)], False, None),
        ([(4, 2), (2, 4)], [(4,)], False, None),
    ],
)
def test_the_batch_axis_is_found(
    inputs: list[Any], outputs: list[Any], batched: bool, fixed: int | None
) -> None:
    spec = ModelSpec.from_tensors(
        [tensor(f"x{index}", *shape) for index, shape in enumerate(inputs)],
        [tensor(f"y{index}", *shape) for index, shape in enumerate(outputs)],
    )
    assert (spec.batched, spec.fixed_batch) == (batched, fixed)


def test_a_model_needs_inputs_and_outputs() -> None:
    for inputs, outputs in (([], [X]), ([X], [])):
        with pytest.raises(PlanError, match="needs inputs and outputs"):
            ModelSpec.from_tensors(inputs, outputs)


# -- padding --------------------------------------------------------------------------------------

LINE = tensor("image", "N", 1, "W")


def test_padded_lengths_share_a_group() -> None:
    line = reader(LINE, padding={"image": Pad(axis=-1, multiple_of=16)})
    groups = [line.read(zeros(1, width))[0].queue for width in (1, 15, 16, 17)]
    assert groups[0] is groups[1] is groups[2]
    assert [group.shapes for group in groups] == [((1, 16),)] * 3 + [((1, 32),)]


def test_sizes_are_taken_up_to_the_largest() -> None:
    line = reader(LINE, padding={"image": Pad(axis=2, sizes=(32, 8, 32))})
    assert [line.read(zeros(1, width))[0].queue.shapes[0][1] for width in (0, 8, 9)] == [8, 8, 32]
    with pytest.raises(InvalidInput, match="33 is longer than the largest padding size, 32"):
        line.read(zeros(1, 33))


def test_outputs_are_cut_by_the_axis_s_name_or_as_told() -> None:
    outputs = [tensor("same", "N", "W"), tensor("less", "N", "T", 3), tensor("sum", "N")]
    rule = Pad(
        axis=-1, multiple_of=10, outputs={"less": Cut(axis=-2, length=lambda width: width - 7)}
    )
    line = reader(LINE, outputs=outputs, padding={"image": rule})
    signature, _ = line.read(zeros(1, 12))
    every = slice(None)
    assert {output: cut.index for output, cut in signature.cuts.items()} == {
        0: (every, slice(0, 12)),
        1: (every, slice(0, 5)),
    }
    exact, _ = line.read(zeros(1, 20))
    assert exact.cuts == {}
    short, _ = line.read(zeros(1, 3))
    assert short.cuts[1].index == (every, slice(0, 0))


def test_an_output_that_nothing_names_is_not_handed_out_padded() -> None:
    inputs = [tensor("ids", "N", None), tensor("mask", "N", None)]
    outputs = [
        tensor("tokens", "N", None), tensor("told", "N", None, 3), tensor("fixed", "N", 16)
    ]  # fmt: skip
    told = Pad(axis=1, multiple_of=16, outputs={"told": Cut(axis=1, length=lambda n: n)})
    padding = {"ids": told, "mask": Pad(axis=1, multiple_of=16)}
    signature, _ = reader(*inputs, outputs=outputs, padding=padding).read((zeros(5), zeros(5)))
    assert set(signature.cuts) == {0, 1}
    with pytest.raises(InferenceError, match=r"'tokens' .*padded to 16.*outputs=.*Cut"):
        signature.cuts[0].apply(zeros(1, 16))
    assert signature.cuts[0].apply(zeros(1, 7)).shape == (1, 7)  # it does not follow the input
    assert signature.cuts[1].apply(zeros(1, 16, 3)).shape == (1, 5, 3)


@pytest.mark.parametrize(
    ("padding", "says"),
    [
        ({"picture": Pad(axis=2, multiple_of=8)}, r"\['picture'\], which are not row inputs"),
        ({"image": Pad(axis=1, multiple_of=8)}, "not a dynamic axis"),
        ({"image": Pad(axis=3, multiple_of=8)}, "not a dynamic axis"),
        ({"image": Pad(axis=-3, multiple_of=8)}, "is the batch axis"),
        ({"image": Pad(axis=0, multiple_of=8)}, "is the batch axis"),
        ({"image": Pad(axis=2, multiple_of=8, value=1e39)}, "cannot be represented by input image"),
        ({"image": Pad(axis=2, multiple_of=8, outputs={"z": Cut(1, abs)})}, "names 'z'"),
        ({"image": Pad(axis=2, multiple_of=8, outputs={"y": Cut(2, abs)})}, "not an axis of a row"),
        ({"image": Pad(axis=2, multiple_of=8, outputs={"y": Cut(0, abs)})}, "not an axis of a row"),
    ],
)
def test_impossible_padding_is_refused(padding: dict[str, Pad], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        reader(LINE, padding=padding)


@pytest.mark.parametrize(
    "arguments",
    [
        {"axis": 1},
        {"axis": 1, "multiple_of": 8, "sizes": (8,)},
        {"axis": 1, "multiple_of": 0},
        {"axis": 1, "sizes": ()},
        {"axis": 1, "sizes": (0, 8)},
        {"axis": "1", "multiple_of": 8},
        {"axis": 1, "sizes": 8},
        {"axis": 1, "sizes": "8"},
        {"axis": 1, "sizes": (8, "16")},
        {"axis": 1, "multiple_of": 2.5},
    ],
)
def test_an_impossible_pad_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Pad(**arguments)


@pytest.mark.parametrize(
    ("dtype", "value", "held"),
    [
        (np.uint8, -1, False),
        (np.uint8, 255, True),
        (np.int64, 0.5, False),
        (np.int32, float("nan"), False),
        (np.bool_, 1, True),
        (np.bool_, 2, False),
        (np.float16, 1e6, False),
        (np.float16, 0.1, True),
        (np.float32, -np.inf, True),
        (np.float32, "0", False),
        (np.float32, None, False),
    ],
)
def test_padding_holds_what_its_input_can(dtype: Any, value: Any, held: bool) -> None:
    line = tensor("ids", "N", "len", dtype=dtype)
    rule = {"ids": Pad(axis=1, multiple_of=4, value=value)}
    if held:
        reader(line, padding=rule)
        return
    with pytest.raises(InvalidInput, match=r"Pad\(value=.*ids"):
        reader(line, padding=rule)


def test_inputs_that_share_a_padded_axis_are_padded_alike() -> None:
    pair = (tensor("ids", "N", "len"), tensor("mask", "N", "len"), tensor("size", "N", 2))
    eight = Pad(axis=1, multiple_of=8)
    with pytest.raises(InvalidInput, match="'mask' shares axis 'len' with 'ids'"):
        reader(*pair, padding={"ids": eight})
    with pytest.raises(InvalidInput, match=r"'ids' and 'mask' share axis 'len'.*different"):
        reader(*pair, padding={"ids": eight, "mask": Pad(axis=1, multiple_of=4)})
    both = reader(*pair, padding={"ids": eight, "mask": Pad(axis=-1, multiple_of=8, value=1)})
    signature, _ = both.read((zeros(5), zeros(5), zeros(2)))
    assert signature.queue.shapes == ((8,), (8,), (2,))
    with pytest.raises(InvalidInput, match="axis 'len' is 5 in input 'ids' but 6 in input 'mask'"):
        both.read((zeros(5), zeros(6), zeros(2)))


# -- rows that do not lie first, inputs that have none -----------------------------------------

STATE = (tensor("x", "batch", 3), tensor("state", 2, "batch", 5), tensor("rate"))
STATES = (tensor("y", "batch", 1), tensor("states", 2, "batch", 5))


def test_each_input_has_its_own_batch_axis() -> None:
    recurrent = reader(*STATE, outputs=STATES)
    state = np.arange(30, dtype=np.float32).reshape(2, 3, 5)
    signature, (x, staged) = recurrent.read((zeros(3, 3), state, np.float32(8)))
    assert (signature.rows, signature.bare, signature.axes) == (3, False, (0, 1))
    assert staged.shape == (3, 2, 5)
    assert np.array_equal(staged[1], state[:, 1])
    assert signature.queue.shapes == ((3,), (2, 5))
    sample, (x, staged) = recurrent.read((zeros(3), state[:, 0], np.float32(8)))
    assert (sample.rows, sample.bare, sample.axes) == (1, True, None)
    assert (x.shape, staged.shape) == ((3,), (2, 5))
    assert sample.queue is signature.queue
    with pytest.raises(InvalidInput, match=r"equal in all inputs.*state \(2, 3, 5\)"):
        recurrent.read((zeros(2, 3), state, np.float32(8)))


def test_requests_that_differ_in_a_shared_input_do_not_meet() -> None:
    recurrent = reader(*STATE, outputs=STATES)

    def group(rate: float) -> Layout:
        layout: Layout = recurrent.read((zeros(3), zeros(2, 5), np.float32(rate)))[0].queue
        return layout

    assert group(8) is group(8)
    assert group(8) is not group(16)
    assert [float(array) for array in group(16).shared] == [16]


def test_a_shared_input_is_kept_as_it_was() -> None:
    recurrent = reader(tensor("x", "N", 3), tensor("table", 4))
    table = zeros(4)
    signature, _ = recurrent.read((zeros(3), table))
    table[:] = 1
    (kept,) = signature.queue.shared
    assert not kept.any()
    assert recurrent.read((zeros(3), table))[0].queue is not signature.queue


def test_what_runs_alone_is_taken_whole() -> None:
    spec = replace(ModelSpec.from_tensors(STATE, STATES), batched=False)
    alone = RequestReader(spec, {}, lambda layout: layout)
    signature, arrays = alone.read((zeros(7, 3), zeros(2, 7, 5), np.float32(1)))
    assert (signature.rows, signature.bare, signature.axes) == (1, True, None)
    assert signature.queue.shapes == ((7, 3), (2, 7, 5), ())
    assert [array.shape for array in arrays] == [(7, 3), (2, 7, 5), ()]
    sample, arrays = alone.read((zeros(3), zeros(2, 5), np.float32(1)))
    assert (sample.bare, sample.axes) == (True, (0, 1))
    assert [array.shape for array in arrays] == [(1, 3), (2, 1, 5), ()]


# -- the cache ------------------------------------------------------------------------------------


def test_known_forms_are_kept_and_their_number_is_bounded() -> None:
    made: list[Layout] = []

    def make(layout: Layout) -> Layout:
        made.append(layout)
        return layout

    spec = ModelSpec.from_tensors([tensor("x", "N", None)], [tensor("y", "N")])
    endless = RequestReader(spec, {}, make)
    first, _ = endless.read(zeros(1))
    again, _ = endless.read(zeros(1))
    assert again is first
    for width in range(2, MAX_SIGNATURES + 2):
        endless.read(zeros(width))
        assert len(endless.arrays) <= MAX_SIGNATURES
    assert len(made) == MAX_SIGNATURES + 1
    anew, _ = endless.read(zeros(1))
    assert anew is not first
    assert anew.queue.shapes == first.queue.shapes


def test_forms_by_name_are_bounded_too() -> None:
    pair = reader(tensor("a", "N", None), tensor("b", "N", None))
    for width in range(MAX_SIGNATURES + 2):
        pair.read((zeros(width), zeros(1)))
    assert len(pair._named) <= MAX_SIGNATURES


class _Shy:
    """An array whose driver fails when it is asked where the memory is."""

    def __dlpack_device__(self) -> tuple[int, int]:
        raise OSError("the driver is gone")


def test_what_cannot_say_where_it_lies_is_refused() -> None:
    with pytest.raises(
        InvalidInput, match=r"whose device cannot be determined.*driver is gone"
    ) as caught:
        reader(X).read(_Shy())
    assert isinstance(caught.value.__cause__, OSError)
