"""Tables at 80 columns and fewer: what does not fit is folded, and nothing of it is lost."""

import dataclasses
import io
import re
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from rich.console import Console

from tests.tune.support import SPACE, config
from trtasync.cli import bench_tables, tune_tables
from trtasync.cli.reports import show_onnx, show_plan
from trtasync.inspection import OnnxReport, PlannedMemory, PlanReport, TensorReport
from trtasync.measure import Closed, Load, Open, Report, Sample
from trtasync.measure.statistics import Spread
from trtasync.tune import Outcome, Probe
from trtasync.tune import Report as TuneReport
from trtasync.tune import Settings as TuneSettings
from trtasync.tune.choice import Recommendation, Standing
from trtasync.tune.probes import Result
from trtasync.tune.space import Buckets, Config

LONG = "encoder/layer.11/attention/self/query/MatMul_output_0.quantized" * 3
ABOUT = {"hardware": {"gpus": ["NVIDIA H100 80GB HBM3"], "cpu": "?", "cores": 128}}


def printed(show: Callable[[Console], None], width: int, encoding: str = "utf-8") -> str:
    """What a terminal of this width gets."""
    paper = io.BytesIO()
    file = io.TextIOWrapper(paper, encoding)
    show(Console(file=file, width=width))
    file.flush()
    return paper.getvalue().decode(encoding)


def characters(text: str) -> Counter[str]:
    """All but rules, bars and blanks."""
    return Counter(
        re.sub(
            r"[\s\N{BOX DRAWINGS LIGHT HORIZONTAL}#\N{LOWER SEVEN EIGHTHS BLOCK}]",
            "",
            re.sub(r"--+", "", text),
        )
    )


def test_numbers_are_never_in_powers_of_ten() -> None:
    shown = [tune_tables.milliseconds(each) for each in (0.0276e-3, 0.5, 0.9996, 1.083, None)]
    assert shown == ["0.0276", "500", "1,000", "1,083", "-"]


def words(text: str) -> set[str]:
    """What lies between blanks."""
    return set(text.split())


@pytest.fixture(params=["utf-8", "ascii"])
def check(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Compare what 80 and 48 columns show with what 2000 do."""

    def compare(
        show: Callable[[Console], None], *, whole: str = "", prose: tuple[str, ...] = ("~",)
    ) -> None:
        wide = printed(show, 2000, request.param)
        figures = {word for word in words(wide) if re.fullmatch(whole or r"\(?[\d.,]+\)?", word)}
        for width in (80, 48):
            narrow = printed(show, width, request.param)
            tables = [line for line in narrow.splitlines() if not line.startswith(prose)]
            assert max(map(len, tables)) <= width
            # where rows are told one below the other, heads are told with each of them
            assert not characters(wide) - characters(narrow)
            assert width < 80 or characters(narrow) == characters(wide)
            assert figures <= words(narrow), f"a figure was broken in two at {width}"

    return compare


# -- bench ----------------------------------------------------------------------------------------

SLOW = 12_345_678.9
"""Microseconds of a stage that takes seconds."""


def sample(load: Load, number: int) -> Sample:
    """Figures as wide as a machine could make them."""
    rate = 1_234_567.0 + number
    names = ("queue", "stage", "copy_in", "compute", "copy_out", "deliver")
    figures = {f"{name}_us": SLOW / 10**index for index, name in enumerate(names)}
    figures |= {f"latency_{head}_us": SLOW * 1e3 for head in ("p50", "p90", "p95", "p99", "max")}
    figures |= {"requests_per_second": rate, "rows_per_second": rate * 8, "cpu_us": 99_999.0}
    figures |= {"busy_share": 1.0, "loop_delay_p99_us": SLOW, "late_p99_us": SLOW}
    figures |= {"batch_mean": 1234.5, "padded_share": 1.0}
    figures |= {"refused": 1e9, "failed": 1e9, "missed": 1e9}
    sizes = {1 << bit: 10 ** (bit % 9) for bit in range(16)}
    return Sample(load, number, figures, sizes, np.array([1.0]))


@pytest.fixture
def benchmark_report() -> Report:
    """Two rounds of three loads and both yardsticks."""
    loads = (Closed(100_000), Open(1_000_000.0), Open(1.0, relative=True))
    bar = {"rows_per_second": 98_765_432.0}
    return Report(
        model=f"models/{LONG}.onnx",
        backend="tensorrt",
        about=ABOUT,
        parameters={
            "loop": "asyncio",
            "streams": 4,
            "largest_batch": 1024,
            "rows": 8,
            "rounds": 2,
            "seconds": 2.0,
        },
        samples=[sample(load, number) for number in (1, 2) for load in loads],
        yardsticks={"ceiling": [bar, bar], "trtexec": [bar, bar]},
    )


def test_benchmarks(check: Callable[..., None], benchmark_report: Report) -> None:
    check(lambda console: bench_tables.show(console, benchmark_report))


def test_a_benchmark_without_the_yardsticks_of_its_last_round(benchmark_report: Report) -> None:
    first = list(benchmark_report.samples[:4])
    partial = dataclasses.replace(
        benchmark_report,
        samples=first,
        yardsticks={"ceiling": benchmark_report.yardsticks["ceiling"][:1]},
        ended="interrupted",
    )
    ratio = benchmark_report.ratios["ceiling"]
    expected: dict[str, Spread] = {
        name: {"median": each["min"], "min": each["min"], "max": each["min"]}
        for name, each in ratio.items()
    }
    assert partial.ratios == {"ceiling": expected}
    text = printed(lambda console: bench_tables.show(console, partial), 200)
    assert "Partial: the benchmark was interrupted." in text


# -- tune -----------------------------------------------------------------------------------------


def tuned() -> TuneReport:
    """All columns, with wide figures; one configuration that failed."""
    samples = (1_234_567.0, 1_234_567.0 * 1.3, 1_234_567.0 * 1.6)
    standings = tuple(
        Standing(
            Config(4, 1024, bucket, graphs, 128), samples[1], samples, 12_345.678, repeated=True
        )
        for bucket in cast(tuple[Buckets, ...], ("any", "powers", "coarse", "full"))
        for graphs in (True, False)
    )
    broken = Standing(config(), failure="out of memory")
    best = standings[0]
    space = dataclasses.replace(SPACE, threads=(1, 128))
    figures = {"requests_per_second": samples[2], "tail_us": 1.2e10, "latency_p50_us": 1.2e10}
    results = [
        Result(Probe(best.config, load), Outcome(2.0, figures | {"batch_mean": 1023.4}))
        for load in (Closed(100_000), Open(1.05**300))
    ]
    subject: Any = SimpleNamespace(
        name=f"{LONG}.onnx",
        backend="tensorrt",
        about=ABOUT,
        space=space,
        options={},
        call='"model.onnx"',
        before="",
    )
    verdict = Recommendation(
        best, best, standings[:2], (*standings, broken), None, "It is the fastest."
    )
    return TuneReport(subject, TuneSettings(), verdict, results, "settled", 3, "state.jsonl")


def test_tunings(check: Callable[..., None]) -> None:
    report = tuned()

    def tables(console: Console) -> None:
        tune_tables._configurations(console, report)
        tune_tables._curve(console, report)

    check(tables, prose=("* recommended", "failed: "))


# -- inspect --------------------------------------------------------------------------------------

TENSORS = (
    TensorReport(LONG, "float8_e4m3fn", ("batch", "sequence_length", None, *range(1000, 1006))),
    TensorReport("y", "float32", ("batch",), host=True),
)


def onnx_report() -> OnnxReport:
    """Long names everywhere."""
    return OnnxReport(
        file=f"{LONG}.onnx",
        bytes=1 << 31,
        external={f"{'w' * 30}.bin": 1 << 40},
        producer="pytorch 2.9",
        ir_version=10,
        opsets={"ai.onnx": 22, "com.microsoft": 1},
        nodes=12_345,
        operators={f"Operator{index}": index for index in range(50)},
        weight_bytes=1 << 40,
        inputs=TENSORS,
        outputs=TENSORS,
        batched=True,
        proofs={LONG: "MatMul mixes the rows of " + LONG},
        fixed_batch=None,
        profile=f"{LONG}:1x2x3/4x5x6/7x8x9",
        profile_problem="",
    )


def plan_report() -> PlanReport:
    """Likewise."""
    shapes = "1x1000x1000x1000/16x1000x1000x1000/1024x1000x1000x1000"
    layer = {"Name": LONG, "LayerType": "Fusion", "Outputs": [{"Name": LONG, "Dimensions": [1, 2]}]}
    return PlanReport(
        file=f"{LONG}.plan",
        bytes=1 << 31,
        flavour="TensorRT",
        tensorrt="11.4.1.23",
        gpu="NVIDIA H200",
        network=LONG,
        inputs=TENSORS,
        outputs=TENSORS,
        batched=True,
        profiles=({LONG: shapes, "y": shapes},) * 2,
        aux_streams=0,
        refittable=True,
        streamable_bytes=1 << 40,
        context_bytes=(1 << 40, 1 << 20),
        verbosity="detailed",
        layer_count=12_345,
        layers=(layer, LONG),
        planned=PlannedMemory(
            streams=4,
            max_batch_size=1024,
            batch_sizes=tuple(1 << bit for bit in range(11)),
            contexts=44,
            device_bytes=1 << 40,
            pinned_bytes=1 << 40,
        ),
    )


@pytest.mark.parametrize("layers", [False, True])
def test_onnx_files(check: Callable[..., None], layers: bool) -> None:
    check(lambda console: show_onnx(console, onnx_report(), layers))


@pytest.mark.parametrize("layers", [False, True])
def test_plans(check: Callable[..., None], layers: bool) -> None:
    check(lambda console: show_plan(console, plan_report(), layers), whole=r"\d+\.\d+")
