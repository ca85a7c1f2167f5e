"""Models that refuse inputs, sizes or company; that say nothing; that take odd types."""

from typing import Any, NoReturn

import ml_dtypes
import numpy as np
import pytest

from tests.rows.support import FunctionTrial
from trtasync.errors import InvalidInput
from trtasync.model.arrays import Array
from trtasync.rows.check import check
from trtasync.rows.inputs import MOST_ROWS, InputAxes
from trtasync.rows.verdicts import Finding, Verdict


def only(trial: FunctionTrial, **options: Any) -> Finding:
    """The finding of its only output; every input has its rows along axis 0."""
    axes = {spec.name: 0 for spec in trial.inputs}
    (finding,) = check(trial, axes, deadline=30, **options)
    return finding


def row_counts(trial: FunctionTrial) -> set[int]:
    return {arrays[0].shape[0] for arrays in trial.runs}


def test_a_model_that_refuses_some_inputs_gets_others() -> None:
    def of_small_ones(ids: Array) -> Array:
        if ids.min() < 1:
            raise ValueError("ids start at 1")
        return ids * 2

    assert only(FunctionTrial(of_small_ones, {"ids": (np.int64, ("N", 9))})).verdict is (
        Verdict.TESTED
    )


def test_a_model_that_needs_a_long_axis_gets_one() -> None:
    def framed(wave: Array) -> Array:
        return wave.reshape(len(wave), -1, 400)[:, :, ::2]

    assert only(FunctionTrial(framed, {"wave": ("N", "T")})).verdict is Verdict.TESTED


def test_a_model_that_says_nothing_of_short_inputs_gets_longer_ones() -> None:
    def front_end(wave: Array) -> Array:
        return wave[:, :400].sum(1) if wave.shape[1] > 100 else np.zeros(len(wave))

    assert only(FunctionTrial(front_end, {"wave": ("N", "T")})).verdict is Verdict.TESTED


def test_a_model_that_refuses_everything_is_unknown_and_says_what_it_said() -> None:
    def broken(x: Array) -> Array:
        raise RuntimeError("no kernel for this\nat line 3")

    finding = only(FunctionTrial(broken, {"x": ("N", 4)}))
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.why == "the model refused every input tried: no kernel for this"


def test_rows_that_run_one_by_one_only_are_coupled() -> None:
    finding = only(FunctionTrial(lambda x: x.reshape(1, 4), {"x": ("N", 4)}))
    assert finding.verdict is Verdict.COUPLED
    assert finding.why.startswith("3 rows are refused as a batch but run alone: ")


def test_five_rows_refused_where_three_are_not_are_coupled() -> None:
    finding = only(FunctionTrial(lambda x: np.abs(x.reshape(-1, 3, 4))[0], {"x": ("N", 4)}))
    assert finding.verdict is Verdict.COUPLED


def test_an_output_that_never_changes_is_not_called_independent() -> None:
    finding = only(FunctionTrial(lambda x: np.zeros(len(x)), {"x": ("N", 4)}))
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.why == "it did not change with the inputs that were tried"


def test_an_output_that_changes_with_its_place_alone_is_not_called_independent() -> None:
    # rounding hides the place from the reversed run: no exchange shows that x matters
    finding = only(FunctionTrial(lambda x: 1 + 1e-6 * np.arange(len(x)), {"x": ("N", 4)}))
    assert finding.verdict is Verdict.UNKNOWN


def test_an_output_that_answers_nan_only_with_nan_is_not_called_independent() -> None:
    finding = only(FunctionTrial(lambda x: 0 * np.where(x == x, 1, x), {"x": ("N", 4)}))
    assert finding.verdict is Verdict.UNKNOWN


def test_exchanges_that_the_model_refuses_do_not_count() -> None:
    def of_tame_ones(x: Array) -> Array:
        if not np.abs(x).max() < 100:
            raise ValueError("out of range")
        return 2 * x

    finding = only(FunctionTrial(of_tame_ones, {"x": ("N", 4)}))
    assert finding.verdict is Verdict.TESTED
    assert finding.why == "its rows kept their bits in 6 exchanges of their neighbours"


def test_a_single_exchange_is_not_enough() -> None:
    def tired(x: Array) -> Array:
        # the batch, five rows, one row, an exchange, the batch in reverse order
        if len(trial.runs) > 5:
            raise ValueError("no more today")
        return 2 * x

    trial = FunctionTrial(tired, {"x": ("N", 4)})
    finding = only(trial)
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.why == "the model refused all exchanges but 1"


def test_a_model_that_refuses_another_order_is_unknown() -> None:
    seen: set[bytes] = set()

    def in_order(x: Array) -> Array:
        if len(x) >= 3 and x[2::-1].tobytes() in seen and x[0].tobytes() != x[2].tobytes():
            raise ValueError("out of order")
        seen.add(x.tobytes())
        return 2 * x

    finding = only(FunctionTrial(in_order, {"x": ("N", 4)}))
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.why == "the model refused the same rows in reverse order"


def test_inputs_that_make_nan_are_drawn_again() -> None:
    trial = FunctionTrial(lambda x: np.sqrt(np.where(x < 0, np.nan, x)), {"x": ("N", 4)})
    assert only(trial).verdict is Verdict.TESTED
    kept = trial.runs[-1][0]
    assert np.nanmin(kept) >= 0


def test_half_precision_may_round_otherwise_at_another_place() -> None:
    def rounded(x: Array) -> Any:
        return x * (1 + np.arange(len(x), dtype=x.dtype)[:, None] * np.asarray(2e-3, x.dtype))

    half = FunctionTrial(rounded, {"x": (np.float16, ("N", 40))})
    assert only(half).verdict is Verdict.TESTED
    single = FunctionTrial(rounded, {"x": (np.float32, ("N", 40))})
    assert only(single).verdict is Verdict.COUPLED
    assert only(single, tolerance=1e-2).verdict is Verdict.TESTED


@pytest.mark.parametrize(
    ("sizes", "counts"),
    [
        (None, {1, 3, 5}),
        ((4,), {4}),
        ((2,), {2}),
        ((1, 8), {1, 8}),
        ((1, 2, 3, 4), {1, 3, 4}),
        ((2, 64), {2, 64}),
        (range(9, 17), {9, 10}),
    ],
)
def test_only_allowed_numbers_of_rows_are_run(sizes: Any, counts: set[int]) -> None:
    trial = FunctionTrial(lambda x: 2 * x, {"x": ("N", 4)})
    assert only(trial, sizes=sizes).verdict is Verdict.TESTED
    assert row_counts(trial) == counts


@pytest.mark.parametrize("sizes", [(2,), (4,), (1, 8), (9, 10)])
def test_a_coupling_is_found_at_any_number_of_rows(sizes: Any) -> None:
    trial = FunctionTrial(lambda x: x + x.max(0), {"x": ("N", 4)})
    assert only(trial, sizes=sizes).verdict is Verdict.COUPLED


def test_a_row_is_never_run_alone_where_that_is_not_allowed() -> None:
    def broken(x: Array) -> Array:
        raise RuntimeError("no kernel for this")

    trial = FunctionTrial(broken, {"x": ("N", 4)})
    only(trial, sizes=(2, 4))
    assert row_counts(trial) == {4}


def test_a_large_batch_is_made_of_few_different_rows() -> None:
    trial = FunctionTrial(lambda x: x + x.max(0), {"x": (5000, 4)})
    assert only(trial, sizes=(5000,)).verdict is Verdict.COUPLED
    assert len(np.unique(trial.runs[0][0], axis=0)) == 16


@pytest.mark.parametrize("sizes", [(1,), ()])
def test_a_model_of_single_rows_is_never_called(sizes: Any) -> None:
    trial = FunctionTrial(np.abs, {"x": (1, 4)})
    finding = only(trial, sizes=sizes)
    assert (finding.verdict, finding.axis) == (Verdict.UNKNOWN, None)
    assert not trial.runs


def test_where_rows_cannot_vary_the_given_axis_tells_two_alike_apart() -> None:
    trial = FunctionTrial(lambda x: np.stack([x.T] * 4).sum(0), {"x": (4, 4)})
    (finding,) = check(trial, {"x": 0, "y0": 1}, deadline=30, sizes=(4,))
    assert (finding.verdict, finding.axis) == (Verdict.TESTED, 1)


def test_rows_along_other_axes() -> None:
    trial = FunctionTrial(lambda x, s: s + x.T[None], {"x": ("N", 4), "s": (2, 4, "N")})
    (finding,) = check(trial, {"x": 0, "s": 2}, deadline=30)
    assert (finding.verdict, finding.axis) == (Verdict.TESTED, 2)


@pytest.mark.parametrize(
    "dtype",
    [
        np.float16,
        np.float64,
        ml_dtypes.bfloat16,
        ml_dtypes.float8_e4m3fn,
        np.complex64,
        np.int8,
        np.uint8,
        np.int32,
        np.bool_,
    ],
)
def test_every_type_is_tested_and_its_couplings_found(dtype: Any) -> None:
    inputs = {"x": (dtype, ("N", 33))}
    assert only(FunctionTrial(lambda x: x[:, ::2], inputs)).verdict is Verdict.TESTED
    coupled = FunctionTrial(lambda x: np.where(x[:1] != x, x, x[-1:]), inputs)
    assert only(coupled).verdict is Verdict.COUPLED


def test_strings_cannot_be_drawn() -> None:
    trial = FunctionTrial(lambda x: x, {"text": (object, ("N",))})
    finding = only(trial)
    assert finding.verdict is Verdict.UNKNOWN
    assert "(text)" in finding.why


def test_strings_that_are_given_are_tested() -> None:
    trial = FunctionTrial(lambda x: x.copy(), {"text": (object, ("N",))})
    natural = np.array(["ab", "cd", "ef", "gh"], object)
    assert only(trial, samples=[natural]).verdict is Verdict.TESTED


def test_a_row_too_large_to_try_is_not_allocated() -> None:
    trial = FunctionTrial(np.abs, {"x": ("N", 1 << 20, 1 << 20)})
    finding = only(trial)
    assert finding.verdict is Verdict.UNKNOWN
    assert not trial.runs


def test_without_an_input_that_has_rows_nothing_is_known() -> None:
    trial = FunctionTrial(np.abs, {"x": (3, 4)})
    (finding,) = check(trial, {"x": None}, deadline=30)
    assert (finding.verdict, finding.why) == (Verdict.UNKNOWN, "no input has rows")


def test_a_shared_input_keeps_its_value_for_the_whole_run() -> None:
    trial = FunctionTrial(lambda x, scale: x * scale, {"x": ("N", 4), "scale": (4,)})
    (finding,) = check(trial, {"x": 0, "scale": None}, deadline=30)
    assert finding.verdict is Verdict.TESTED
    assert len({arrays[1].tobytes() for arrays in trial.runs}) == 1


def test_the_same_seed_makes_the_same_runs() -> None:
    trials = [FunctionTrial(lambda x: x + x.max(0), {"x": ("N", "T")}) for _ in range(3)]
    for trial, seed in zip(trials, (7, 7, 8), strict=True):
        only(trial, seed=seed)
    first, same, other = ([array.tobytes() for (array,) in trial.runs] for trial in trials)
    assert first == same
    assert first != other


@pytest.mark.parametrize(
    ("function", "verdict"),
    [(lambda x: 2 * x, Verdict.TESTED), (lambda x: x + x.max(0), Verdict.COUPLED)],
)
def test_a_runtime_may_use_its_output_memory_again(function: Any, verdict: Verdict) -> None:
    memory = np.zeros((5, 4), np.float32)

    def in_place(x: Array) -> Array:
        memory[: len(x)] = function(x)
        return memory[: len(x)]

    assert only(FunctionTrial(in_place, {"x": ("N", 4)})).verdict is verdict


def test_samples_are_what_the_model_sees_first() -> None:
    def of_words(ids: Array) -> Array:
        if not set(ids.ravel()) <= {101, 2023, 102}:
            raise ValueError("out of vocabulary")
        return ids % 7

    sentence = np.array([101, 2023, 2023, 102, 102])
    trial = FunctionTrial(of_words, {"ids": (np.int64, ("N", "T"))})
    assert only(trial).verdict is Verdict.UNKNOWN
    trial = FunctionTrial(of_words, {"ids": (np.int64, ("N", "T"))})
    assert only(trial, samples=[sentence]).verdict is Verdict.TESTED
    assert (trial.runs[0][0][0] == sentence).all()


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "has 1 inputs"),
        ([np.zeros((2, 4, 4))], "does not accept a sample of shape"),
        ([np.zeros((0, 4))], "at least one"),
    ],
)
def test_samples_that_do_not_fit_are_refused(samples: list[Array], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        only(FunctionTrial(np.abs, {"x": ("N", 4)}), samples=samples)


def test_rows_for_which_there_is_no_memory_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: InputAxes, rows: object, shared: object) -> NoReturn:
        raise MemoryError

    monkeypatch.setattr(InputAxes, "stack", full)
    finding = only(FunctionTrial(lambda x: 2 * x, {"x": ("N", 4)}))
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.why == "there is no memory for rows to try it with"


@pytest.mark.parametrize(
    ("sizes", "why"),
    [
        ([1], "one row at a time only"),
        ([MOST_ROWS + 1], "no number of rows from 2 to 65536"),
        ([1, MOST_ROWS + 1], "no number of rows from 2 to 65536"),
    ],
)
def test_neither_lone_rows_nor_batches_of_absurd_size_are_tried(sizes: list[int], why: str) -> None:
    trial = FunctionTrial(lambda x: 2 * x, {"x": ("N",)})
    finding = only(trial, sizes=sizes)
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.why == f"the model takes {why}"
    assert trial.runs == []


def test_nor_where_there_are_smaller_ones() -> None:
    trial = FunctionTrial(lambda x: 2 * x, {"x": ("N",)})
    assert only(trial, sizes=[4, MOST_ROWS + 1]).verdict is Verdict.TESTED
    assert row_counts(trial) == {4}
