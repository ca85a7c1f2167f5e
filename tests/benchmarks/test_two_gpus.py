"""The benchmark of two GPUs, on the doubles."""

from typing import Any

import numpy as np
import pytest

from benchmarks.gpu import two_gpus
from benchmarks.gpu.__main__ import default_parts
from benchmarks.gpu.results import Table
from benchmarks.gpu.works import Work
from benchmarks.load import run_on
from support.doubles import world as worlds
from support.doubles.kernels import view
from support.gpu.plans import LARGEST, batches_of, make_plan
from tests.benchmarks.support import on_doubles

COLUMNS = 20_000
"""Of float32: more than is copied inline, so pinned rows are gathered."""


def _means(context: Any, stream: int) -> bool:
    addresses, shapes = dict(context._addresses), dict(context._shapes)

    def job() -> None:
        x = view(addresses["x"], shapes["x"], np.float32)
        y = view(addresses["y"], shapes["y"], np.float32)
        y[...] = x.mean(axis=1, keepdims=True)

    world = worlds.current()
    world.enqueue(world.stream_of(stream), job, 1e-5)
    return True


def _work() -> Work:
    source = (np.float32, (-1, COLUMNS), batches_of((COLUMNS,), LARGEST))
    plan = make_plan("means", source, (np.float32, (-1, 2)), _means)
    return Work("means", plan, _means, (COLUMNS,), "float32", (2,), 1e-5)


@pytest.mark.parametrize("rows", [0, 4])
def test_two_gpus_and_each_alone(rows: int) -> None:
    table = Table()
    with on_doubles(2, clean=False) as gpu:  # the yardsticks keep their streams
        case = two_gpus.Case("means", _work(), 2, rows, 40, pinned=True)
        bench = two_gpus.Bench(case, 1, 0.3, table, warm_up=0.05)
        run_on("asyncio", lambda: bench.run("asyncio"))
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
