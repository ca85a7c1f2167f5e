"""What servers and models say of themselves, and the counts in Triton's form."""

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from support.helpers import opened, rows, tensor
from tests.server.messages import codec
from trtasync.core.metrics import Meter, TimeHistogram
from trtasync.server.protocol.descriptions import model_config, model_metadata, server_metadata
from trtasync.server.protocol.refusals import error_body
from trtasync.server.protocol.statistics import model_statistics
from trtasync.server.protocol.tensors import Interface
from trtasync.testing import ScriptedBackend

PAIR = codec(
    [tensor("a", "N", 4), tensor("b", "N", "W", dtype="int64")], [tensor("y", "N", 2, dtype="bool")]
).interface
ALONE = Interface([tensor("a", "H", 4)], [tensor("y", 2)])


def test_the_server_names_only_the_extensions_that_it_has() -> None:
    told = server_metadata("1.0", repository=False)
    assert (told["name"], told["version"]) == ("trtasync", "1.0")
    first, *others = told["extensions"]
    assert first == "classification"
    assert others == [
        *("schedule_policy", "model_configuration", "binary_tensor_data", "parameters"),
        "statistics",
    ]
    repository = ["model_repository", "model_repository(unload_dependents)"]
    assert server_metadata("1.0", repository=True)["extensions"] == [first, *repository, *others]


def test_metadata_has_the_batch_axis_as_an_open_dimension() -> None:
    assert model_metadata("m", ["1"], "p", PAIR) == {
        "name": "m",
        "versions": ["1"],
        "platform": "p",
        "inputs": [
            {"name": "a", "datatype": "FP32", "shape": (-1, 4)},
            {"name": "b", "datatype": "INT64", "shape": (-1, -1)},
        ],
        "outputs": [{"name": "y", "datatype": "BOOL", "shape": (-1, 2)}],
    }


def test_the_configuration_is_without_the_batch_axis_where_there_are_batches() -> None:
    told = model_config("m", "p", PAIR, 32, shares=True)
    assert told["max_batch_size"] == 32
    assert [each["dims"] for each in told["input"]] == [(4,), (-1,)]
    assert [each["data_type"] for each in told["output"]] == ["TYPE_BOOL"]
    assert told["dynamic_batching"] == {}
    assert told["model_transaction_policy"] == {"decoupled": False}
    # whose presence alone has perf_analyzer ask otherwise
    assert not {"sequence_batching", "ensemble_scheduling", "response_cache"} & told.keys()


def test_the_configuration_of_a_model_without_batches() -> None:
    told = model_config("m", "p", ALONE, 32, shares=False)
    assert told["max_batch_size"] == 0
    assert told["input"] == [
        {
            "name": "a",
            "data_type": "TYPE_FP32",
            "dims": (-1, 4),
            "is_shape_tensor": False,
            "optional": False,
        }
    ]
    assert "dynamic_batching" not in told


def test_rows_that_share_no_batches_are_not_batched_dynamically() -> None:
    told = model_config("m", "p", PAIR, 32, shares=False)
    assert told["max_batch_size"] == 32  # rows of one request
    assert "dynamic_batching" not in told


def test_a_batch_axis_of_one_length_is_no_batch_axis_to_clients() -> None:
    fixed = codec([tensor("x", 8, 4)], [tensor("y", 8, 4)]).interface
    assert not fixed.takes_batches
    assert model_config("m", "p", fixed, 32, shares=True)["input"][0]["dims"] == (8, 4)


@pytest.mark.anyio
async def test_the_counts_of_an_engine_in_tritons_form() -> None:
    backend = ScriptedBackend()
    backend.bad = lambda row: row[0] == 9
    async with opened(backend) as engine:
        before = model_statistics("m", "1", engine.statistics())
        assert before["inference_stats"]["success"] == {"count": 0, "ns": 0}
        await engine.infer(rows([1, 2, 3]))
        await engine.infer(rows([1]))
        with pytest.raises(Exception, match="bad"):
            await engine.infer(rows([9]))
        after = model_statistics("m", "1", engine.statistics())
    assert (after["name"], after["version"]) == ("m", "1")
    assert (after["inference_count"], after["execution_count"]) == (4, 2)
    counts = {name: each["count"] for name, each in after["inference_stats"].items()}
    compute = {f"compute_{part}": 2 for part in ("input", "infer", "output")}
    assert counts == {
        "success": 2,
        "fail": 1,
        "queue": 2,
        "cache_hit": 0,
        "cache_miss": 0,
        **compute,
    }
    assert after["inference_stats"]["compute_infer"]["ns"] > 0
    assert [
        (each["batch_size"], each["compute_infer"]["count"]) for each in after["batch_stats"]
    ] == [
        (1, 1),
        (3, 1),
    ]
    assert json.loads(msgspec.json.encode(after)) == after


def test_requests_are_charged_the_means_of_their_own_times() -> None:
    times = {"latency": 7, "queue": 1, "copy_in": 2, "compute": 3, "copy_out": 4}
    histograms = {name: TimeHistogram() for name in times}
    for name, seconds in times.items():
        for part in (0.5, 1.5):
            histograms[name].add(part * seconds)
    idle = Meter().snapshot(queued=0, in_flight=0, waiting=0, rejected=0, expired=0, streams=())
    told: dict[str, Any] = {name: each.snapshot() for name, each in histograms.items()}
    counted = model_statistics("m", "1", replace(idle, answered=10, **told))["inference_stats"]
    charged = {name: each["ns"] for name, each in counted.items() if each["ns"]}
    means = {"success": 7, "queue": 1, "compute_input": 2, "compute_infer": 3, "compute_output": 4}
    assert charged == {name: each * 10**10 for name, each in means.items()}


def test_an_error_is_one_object_with_one_text() -> None:
    assert json.loads(error_body('quo"ted')) == {"error": 'quo"ted'}
