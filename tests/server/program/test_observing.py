"""What `trtasync serve` shows of itself, from the outside."""

import json
from pathlib import Path
from xml.etree import ElementTree as Tree

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.server.program.serving import ask, serving, times


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("triton", [True, False])
def test_metrics_and_the_dashboard(tmp_path: Path, workers: int, triton: bool) -> None:
    options = ["--triton-metrics"] if triton else []
    with (
        serving(tmp_path, times(tmp_path, 2), "--workers", workers, *options) as server,
        server.client() as client,
    ):
        for _ in range(3):
            assert ask(client).status_code == 200
        text = client.get("/metrics").text
        page = client.get("/dashboard").text
    samples = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels == {"model": "m", "version": "1"}
    }
    assert samples["trtasync_model_ready"] == 1
    assert samples["trtasync_rows_total"] >= 3
    assert ("nv_inference_count" in samples) is triton
    assert ("process_cpu_seconds_total" in text) is (workers == 1)  # whose it is, is known then
    heads = Tree.fromstring(page.removeprefix("<!DOCTYPE html>")).iter("h2")
    assert ["".join(each.itertext()) for each in heads] == ["mversion 1ready"]


@pytest.mark.parametrize("workers", [1, 2])
def test_logs_as_json(tmp_path: Path, workers: int) -> None:
    model = times(tmp_path, 2)
    with serving(tmp_path, model, "--workers", workers, "--log-format", "json") as server:
        times(tmp_path, 3)  # which is loaded again
        server.told("is loaded from")
        lines = server.log.read_text().splitlines()
    told = [json.loads(line) for line in lines if "is loaded from" in line]
    assert told
    for each in told:
        assert each["level"] == "info"
        assert each["logger"] == "trtasync"
        assert str(model) in each["message"]


def test_a_token_is_wanted_for_them_too(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("secret\n")
    with (
        serving(tmp_path, times(tmp_path, 2), "--token-file", tokens) as server,
        server.client() as client,
    ):
        for path in ("/metrics", "/dashboard"):
            assert client.get(path).status_code == 401
            headers = {"authorization": "Bearer secret"}
            assert client.get(path, headers=headers).status_code == 200
