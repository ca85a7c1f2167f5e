"""What of the benchmark of padded texts can be known without a GPU: lengths, arithmetic, and a run
on the doubles of CUDA and TensorRT from beginning to end."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.gpu import bert, schedule, texts
from benchmarks.gpu.schedule import Run
from support.doubles import world as worlds
from support.doubles.kernels import view
from support.gpu.bert import ANSWER, IDS, MASK, Size
from support.helpers import Array
from tests.benchmarks.support import on_doubles
from trtasync.core.records import BatchRecord
from trtasync.measure.runs import on_loop

SIZES, LENGTHS = (1, 2, 4, 8), (8, 16, 32)
SMALL = Size(layers=1, hidden=4, heads=1, inner=4, words=500, longest=32)

# -- lengths --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 2),
        ("one", 3),
        ("Return a word, and another.", 2 + 8),
        ("internationalisation", 2 + 4),
        ("os_path", 2 + 3),
        ("f(x)\n\n  == 12345678", 2 + 4 + 2 + 2),
    ],
)
def test_tokens_are_counted_by_words_pieces_and_marks(text: str, tokens: int) -> None:
    assert texts.count_tokens(text) == tokens


def test_docstrings_are_found_wherever_they_stand(tmp_path: Path) -> None:
    (tmp_path / "b.py").write_text(
        'class A:\n    """In a class."""\n    def f(self):\n        "Own."'
    )
    (tmp_path / "a.py").write_text('"""Of a module."""\nasync def f():\n    """Async."""\nx = 1\n')
    assert list(texts.docstrings(tmp_path)) == ["Of a module.", "Async.", "In a class.", "Own."]


def test_a_python_without_sources_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="0 docstrings"):
        texts.lengths(512, tmp_path)


def test_the_standard_librarys_lengths_are_a_distribution() -> None:
    found = texts.lengths(512)
    shown = texts.described(found, bert.LENGTHS)
    assert len(found) > 2_000
    assert min(found) >= 3
    assert max(found) <= 512
    marks = list(shown["quantiles"].values())
    assert marks == sorted(marks)
    assert marks[-1] > 4 * marks[3]  # a long tail, which is what padding is about
    assert sum(shown["by_padded_length"].values()) == len(found)


def test_the_same_seed_draws_the_same_texts() -> None:
    first, second = (bert.make_texts([5, 9, 30], 50, SMALL.words) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one[IDS], other[IDS])
        assert len(one[IDS]) in (5, 9, 30)
        assert one[IDS].min() > 0
        assert one[MASK].all()
    assert len({len(text[IDS]) for text in first}) == 3


# -- schedules ------------------------------------------------------------------------------------


def _record(started: float, rows: int, run_rows: int, length: int) -> BatchRecord:
    shapes = ((length,), (length,))
    return BatchRecord(0, 1, rows, run_rows, (0.0,) * rows, started, 9.0, 9.0, None, shapes)


def test_what_was_run_is_told_in_the_order_of_the_launches() -> None:
    records = [_record(2.0, 3, 4, 16), _record(1.0, 8, 8, 32)]
    assert schedule.recorded(records) == [Run(8, 8, 32), Run(3, 4, 16)]


def test_waste_is_told_apart_by_its_causes() -> None:
    # 3 texts of 10 tokens padded to 16, in a batch of 4; 8 of 32 that need nothing
    found = schedule.waste(3 * 10 + 8 * 32, [Run(3, 4, 16), Run(8, 8, 32)])
    asked, run = 3 * 16 + 8 * 32, 4 * 16 + 8 * 32
    assert found["by_length"] == pytest.approx(asked / 286)
    assert found["by_rows"] == pytest.approx(run / asked)
    assert found["padding"] == pytest.approx(run / 286)


@given(st.dictionaries(st.sampled_from(LENGTHS), st.integers(0, 100), min_size=1))
def test_full_batches_hold_every_request_and_little_else(requests: dict[int, int]) -> None:
    runs = schedule.full(requests, SIZES)
    for length, count in requests.items():
        mine = [run for run in runs if run.length == length]
        assert sum(run.rows for run in mine) == count
        assert all(run.run_rows in SIZES and run.rows <= run.run_rows for run in mine)
        assert sum(run.rows < SIZES[-1] for run in mine) <= 1
        assert sum(run.run_rows for run in mine) < count + SIZES[-1]
    assert schedule.full(requests, SIZES) == runs


# -- a run on the doubles -------------------------------------------------------------------------


class FakeBert:
    """Sums over what the mask leaves."""

    size = SMALL

    def __init__(self) -> None:
        self.trimmed = 0
        self.strangers = 0

    def kernel(self) -> Any:
        def enqueue(context: Any, stream: int) -> bool:
            addresses, shapes = dict(context._addresses), dict(context._shapes)

            def tensor(name: str, dtype: Any) -> Any:
                return view(addresses[name], shapes[name], dtype)

            def job() -> None:
                ids, mask = tensor(IDS, np.int64), tensor(MASK, np.int64)
                if ids.min() < 0 or ids.max() >= SMALL.words:  # what an embedding would die of
                    self.strangers += 1
                tensor(ANSWER, np.float32)[...] = _sums(ids, mask)

            world = worlds.current()
            world.enqueue(world.stream_of(stream), job, 1e-5)
            return True

        return enqueue

    def answer(self, ids: Array, mask: Array | None = None) -> Array:
        found: Array = _sums(ids[None], np.ones_like(ids)[None] if mask is None else mask[None])[0]
        return found

    def trim(self) -> None:
        self.trimmed += 1


def _sums(ids: Array, mask: Array) -> Array:
    sums = ((ids + 7) * mask).sum(axis=1, keepdims=True) / 16
    return np.asarray(sums * np.arange(1, SMALL.hidden + 1), np.float32)


def test_a_run_on_the_doubles() -> None:
    setup = bert.Setup(LENGTHS, SIZES, (1, 2), clients=12, rounds=1, seconds=0.2, warm_up=0.05)
    model = FakeBert()
    with on_doubles():
        bench = bert.Bench(model, setup, [3, 5, 9, 14, 20, 32])
        for streams in setup.streams:
            on_loop("asyncio", lambda streams=streams: bench.many(streams))  # type: ignore[misc]
        bench.close()
    assert model.trimmed == 2
    assert model.strangers == 0
    assert max(error for name, error in bench.errors.items() if "mask" not in name) == 0
    for name in ("1", "2"):
        ran = bench.table.cells[f"trtasync/{name}"][0]
        same = bench.table.cells[f"same batches/{name}"][0]
        full = bench.table.cells[f"full batches/{name}"][0]
        # each asks once at least, however long the machine pauses
        assert ran["requests"] == same["requests"] == full["requests"] >= setup.clients
        for figure in ("batches", "rows_per_batch", "padding", "by_length", "by_rows"):
            assert same[figure] == ran[figure]
        assert full["batches"] <= ran["batches"]
        assert full["by_length"] == pytest.approx(ran["by_length"])
        assert 1 <= full["padding"] <= ran["padding"] * 1.001
    assert len(bench.table.ratios(bert.wanted_ratios((1, 2)))) == 6
    bench.table.summary()
