"""`trtasync bench --url`, against both of our doors in processes of their own."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.server.serving import served
from trtasync.cli import app
from trtasync.measure import Closed, Inputs, Load, Open, Settings, run
from trtasync.server.remote.subject import Remote

QUICK = ["--seconds", "0.1", "--warm-up", "0.02", "--rounds", "1", "-q"]


@pytest.fixture(scope="module", params=["fast_server", "uvicorn_server"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where it serves."""
    with served(f"tests.server.{request.param}") as place:
        yield f"http://{place}"


def bench(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["bench", *arguments], env={"COLUMNS": "200"})


def test_tables(url: str) -> None:
    done = bench("double", "--url", url, "-c", "1,4", "--rate", "50", *QUICK)
    assert done.exit_code == 0, done.output
    for word in ("1 caller", "4 callers", "50/s", "p99", f"at {url}"):
        assert word in done.stdout
    (columns,) = (line for line in done.stdout.splitlines() if line.startswith("load "))
    assert columns.split() == ["load", "requests/s", "CPU", "us", "each"]
    for table in ("us by stage", "batches by rows"):
        assert table not in done.stdout


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_figures(url: str, loop: Any) -> None:
    loads: list[Load] = [Closed(4), Open(100.0)]
    inputs = Inputs(rows=3)
    settings = Settings(loads=loads, seconds=0.2, warm_up=0.02, rounds=1, inputs=inputs, loop=loop)
    report = run(Remote(url, "pair"), settings)
    assert report.ended == "complete"
    assert report.parameters["url"] == url
    assert report.parameters["rows"] == 3
    closed, open_ = report.points
    assert (closed.median("requests_per_second") or 0) > 0
    assert closed.median("rows_per_second") == pytest.approx(
        3 * (closed.median("requests_per_second") or 0), rel=1e-3
    )
    assert open_.median("offered_per_second") == 100
    for point in (closed, open_):
        assert point.median("failed") == point.median("refused") == 0
        assert (point.median("latency_p50_us") or 0) > 0


@pytest.mark.parametrize("model", ["bool", "float16", "uint64", "double/versions/2"])
def test_dtypes_and_versions(url: str, model: str) -> None:
    done = bench(model, "--url", url, "-c", "2", "--json", "-", *QUICK)
    assert done.exit_code == 0, done.output
    (point,) = json.loads(done.stdout)["points"]
    assert point["figures"]["failed"]["max"] == 0
    assert point["figures"]["requests"]["median"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["models/double.onnx"], 2, "such as 'double'"),
        (["nothing"], 2, "no model 'nothing'"),
        (["bfloat16"], 2, "BF16"),
        (["double", "--streams", "2", "--compare"], 2, "--compare, --streams"),
        (["double", "--trace", "trace.json"], 2, "--trace"),
    ],
)
def test_refusals(url: str, arguments: list[str], code: int, words: str) -> None:
    done = bench(*arguments, "--url", url, *QUICK)
    assert done.exit_code == code, done.output
    assert words in done.stderr


def test_no_server() -> None:
    done = bench("double", "--url", "http://127.0.0.1:1", *QUICK)
    assert done.exit_code == 3, done.output
    assert "127.0.0.1:1" in done.stderr
    done = bench("double", "--url", "grpc://127.0.0.1:1", *QUICK)
    assert done.exit_code == 2, done.output
