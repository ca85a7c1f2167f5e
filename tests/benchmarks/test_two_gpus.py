"""The benchmark of two GPUs, on the doubles."""

import pytest

from benchmarks.gpu import two_gpus
from benchmarks.gpu.__main__ import default_parts
from benchmarks.gpu.results import LiveTable
from tests.benchmarks.support import means, on_doubles
from trtasync.measure.runs import on_loop


@pytest.mark.parametrize("rows", [0, 4])
def test_two_gpus_and_each_alone(rows: int) -> None:
    table = LiveTable()
    with on_doubles(2, clean=False) as gpu:  # the yardsticks keep their streams
        case = two_gpus.Case("means", means(), 2, rows, 40, pinned=True)
        bench = two_gpus.Bench(case, 1, 0.3, table, warm_up=0.05)
        on_loop("asyncio", lambda: bench.run("asyncio"))
        assert gpu.violations == []
        assert bench.same_bits
    assert len(table.cells) == 3
    for name in ("GPU 0", "GPU 1", "two GPUs"):
        (sample,) = table.cells[f"{name}/means/asyncio"]
        assert sample["requests"] > 0
        if name == "two GPUs":  # how even it is, only real ones can tell
            assert 0 < sample["share_of_first_gpu"] < 1
        else:
            assert sample["share_of_first_gpu"] == 1
        assert sample["rows_per_second"] == sample["requests_per_second"] * max(1, rows)
    assert len(table.ratios(two_gpus.wanted_ratios(["means"]))) == 6
    table.summary()


def test_it_says_so_where_there_is_one_gpu_only(capsys: pytest.CaptureFixture[str]) -> None:
    with on_doubles(1):
        assert two_gpus.main([]) == 1
    assert "there are 1" in capsys.readouterr().err


def test_a_part_is_run_by_default_where_there_are_gpus_enough() -> None:
    assert "two_gpus" not in default_parts(1)
    assert default_parts(2) == [*default_parts(1), "two_gpus"]
    assert default_parts(0) == default_parts(1)
