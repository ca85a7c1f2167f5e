"""Triton's perf_analyzer against `trtasync serve`: what it sends is answered, and rightly."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.server.program.analyzer import QUICKLY, analyze, table, why_not
from tests.server.program.serving import X, serving, times

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

MODEL = ("-m", "m")
DRIVER = """\
import sys
from tests.doubles.nvml import Driver
sys.modules[__name__] = Driver()
"""
"""NVIDIA's driver, to a server that knows nothing of tests."""

OFTEN = ("--metrics-interval", 20, "--verbose-csv")
"""Milliseconds: a tenth of a window, since nothing is told of one without a look at the metrics."""

LOADS = [
    pytest.param(["--concurrency-range", "1:2"], "Concurrency", ["1", "2"], id="concurrency"),
    pytest.param(
        ["--request-rate-range", "100:200:100", "--request-distribution", "poisson"],
        *("Request Rate", ["100", "200"]),
        id="rate",
    ),
]


class Served(NamedTuple):
    """Where a model is that doubles rows of four.

    Attributes:
        http: host and port.
        grpc: likewise.
        rows: file of a request and of the answer that it has to get.
        wrong: the same with another answer.
    """

    http: str
    grpc: str
    rows: Path
    wrong: Path

    def over(self, protocol: str) -> list[str]:
        """The options that say so."""
        return ["-i", protocol, "-u", self.grpc if protocol == "grpc" else self.http]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """With metrics under Triton's names, of two GPUs that are doubles."""
    folder = tmp_path_factory.mktemp("analyzed")
    (folder / "pynvml.py").write_text(DRIVER)
    options = ("--grpc-port", 0, "--triton-metrics")
    with serving(folder, times(folder, 2), *options, PYTHONPATH=str(folder)) as server:
        yield Served(
            server.url.removeprefix("http://"),
            f"127.0.0.1:{server.grpc_port}",
            rows(folder / "rows.json", 2.0),
            rows(folder / "wrong.json", 3.0),
        )


def rows(path: Path, factor: float) -> Path:
    """A request, and its answer for it to be compared with."""
    answer = [{"y": [factor * each for each in X]}]
    path.write_text(json.dumps({"data": [{"x": X}], "validation_data": answer}))
    return path


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize(("load", "column", "steps"), LOADS)
def test_a_range_of_loads(
    server: Served, tmp_path: Path, protocol: str, load: list[str], column: str, steps: list[str]
) -> None:
    metrics = ("--collect-metrics", "--metrics-url", f"{server.http}/metrics", *OFTEN)
    report = ("-f", tmp_path / "report.csv", "--input-data", server.rows)
    done = analyze(*MODEL, *server.over(protocol), *load, *metrics, *report, *QUICKLY)
    assert done.returncode == 0, done.stderr
    assert "Unable to parse" not in done.stdout + done.stderr  # nor any metric that it looks for
    told = table((tmp_path / "report.csv").read_text())
    assert sorted(each[column] for each in told) == steps
    for each in told:
        assert float(each["Inferences/Second"]) > 0
        assert float(each["Server Compute Infer"]) > 0  # it asks for statistics before and after
        assert each["Avg GPU Utilization"] == "GPU-0:0.25;GPU-1:0.5;"
        assert each["Max GPU Memory Usage"] == f"GPU-0:{2**30};GPU-1:{2**30};"


@pytest.mark.parametrize(
    "options",
    [
        ["--input-tensor-format", "json", "--output-tensor-format", "json"],
        ["-b", "4"],  # which it compares with nothing
        ["--async"],
        ["-i", "grpc", "--streaming"],
        ["-i", "grpc", "--grpc-compression-algorithm", "gzip"],
    ],
)
def test_other_ways_to_ask(server: Served, options: list[str]) -> None:
    over = server.over("grpc" if "grpc" in options else "http")
    given = () if "-b" in options else ("--input-data", server.rows)
    done = analyze(*MODEL, *over, *options, *given, *QUICKLY)
    assert done.returncode == 0, done.stderr
    assert re.search("Request count: [1-9]", done.stdout)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_it_would_notice_a_wrong_answer(server: Served, protocol: str) -> None:
    asked = (*MODEL, *server.over(protocol), "--input-data", server.wrong)
    done = analyze(*asked, *QUICKLY)
    assert done.returncode != 0
    assert "doesn't match expected output" in done.stderr


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_what_is_not_there(server: Served, protocol: str) -> None:
    for options in (["--shared-memory", "system"], ["--trace-level", "TIMESTAMPS"]):
        done = analyze(*MODEL, *server.over(protocol), *options)
        assert done.returncode != 0
        assert "not found" in done.stderr.lower()


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_refusal_is_understood(server: Served, protocol: str) -> None:
    done = analyze("-m", "nothing", *server.over(protocol))
    assert done.returncode != 0
    assert "there is no model 'nothing'" in done.stderr


def test_a_token(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("secret\n")
    options = ("--grpc-port", 0, "--token-file", tokens)
    with serving(tmp_path, times(tmp_path, 2), *options) as server:
        http = ("-u", server.url.removeprefix("http://"))
        for over in (http, ("-i", "grpc", "-u", f"127.0.0.1:{server.grpc_port}")):
            asked = (*MODEL, *over, *QUICKLY)
            assert "wants a token" in analyze(*asked).stderr
            done = analyze(*asked, "-H", "authorization:Bearer secret")
            assert done.returncode == 0, done.stderr
