"""Triton's own gRPC clients."""

from collections.abc import AsyncIterator, Iterator
from queue import Queue
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from support.helpers import PATIENCE, rows
from tests.server.grpc.loops import ONE
from tests.server.grpc_server import WIDE
from tests.server.serving import served
from tests.server.uvicorn_server import DTYPES

grpc = pytest.importorskip("tritonclient.grpc")
aio = pytest.importorskip("tritonclient.grpc.aio")
ServerError = pytest.importorskip("tritonclient.utils").InferenceServerException

X = rows([1, 2, 3])


@pytest.fixture(params=ONE, scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """The aio client is for asyncio."""
    return request.param


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server in a process of its own: the client of threads would hold up its loop."""
    with served("tests.server.grpc_server") as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[Any]:
    """The client of threads."""
    with grpc.InferenceServerClient(url) as client:
        yield client


@pytest.fixture
async def aio_client(url: str) -> AsyncIterator[Any]:
    """The one of asyncio."""
    async with aio.InferenceServerClient(url) as client:
        yield client


def infer_input(name: str, array: Any, datatype: str = "FP32") -> Any:
    """One input of a request."""
    given = grpc.InferInput(name, list(array.shape), datatype)
    given.set_data_from_numpy(array)
    return given


def output(name: str, classes: int = 0) -> Any:
    """One output that is asked for."""
    return grpc.InferRequestedOutput(name, class_count=classes)


def test_what_the_server_says_of_itself(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("double")
    assert client.is_model_ready("double", "1")
    assert not client.is_model_ready("nothing")
    assert not client.is_model_ready("double", "3")
    server = client.get_server_metadata()
    assert (server.name, "model_repository" in server.extensions) == ("trtasync", True)


def test_what_a_model_says_of_itself(client: Any) -> None:
    model = client.get_model_metadata("pair")
    assert (model.name, list(model.versions), model.platform) == ("pair", ["1"], "trtasync")
    assert [(each.name, each.datatype, list(each.shape)) for each in model.outputs] == [
        ("sum", "FP32", [-1, 4]),
        ("difference", "FP32", [-1, 4]),
    ]
    assert list(client.get_model_metadata("double").versions) == ["1", "2"]
    config = client.get_model_config("bfloat16", as_json=True)["config"]
    assert config["max_batch_size"] > 1
    assert config["input"] == [{"name": "x", "data_type": "TYPE_BF16", "dims": ["4"]}]
    assert "dynamic_batching" in config


def test_statistics(client: Any) -> None:
    def counted(version: str) -> Any:
        (entry,) = client.get_inference_statistics("double", version).model_stats
        return entry

    before = counted("1")
    client.infer("double", [infer_input("x", X)], model_version="1")
    after = counted("1")
    assert after.inference_count == before.inference_count + 3
    assert after.inference_stats.success.count == before.inference_stats.success.count + 1
    assert after.inference_stats.compute_infer.ns > 0
    assert [each.batch_size for each in after.batch_stats] == [3]
    assert len(client.get_inference_statistics("double").model_stats) == 2
    assert len(client.get_inference_statistics().model_stats) > 2


def test_infer(client: Any) -> None:
    result = client.infer("double", [infer_input("x", X)], request_id="an id")
    np.testing.assert_array_equal(result.as_numpy("y"), 2 * X)
    response = result.get_response()
    assert (response.id, response.model_name, response.model_version) == ("an id", "double", "2")


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_of_numpy(client: Any, name: str) -> None:
    datatype = {"bool": "BOOL"}.get(name, name.upper().replace("FLOAT", "FP"))
    x = np.array([[0, 1, 1, 0], [1, 1, 0, 0]], name)
    y = client.infer(name, [infer_input("x", x, datatype)]).as_numpy("y")
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, x)


def test_bf16(client: Any) -> None:
    x = X.astype(ml_dtypes.bfloat16)
    result = client.infer("bfloat16", [infer_input("x", x, "BF16")])
    np.testing.assert_array_equal(result.as_numpy("y"), x)


def test_no_rows(client: Any) -> None:
    with pytest.raises(ServerError, match="at least 1") as refused:
        client.infer("double", [infer_input("x", X[:0])])
    assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_several_inputs_and_outputs_in_any_order(client: Any) -> None:
    given = [infer_input("b", X), infer_input("a", 5 * X)]
    result = client.infer("pair", given, outputs=[output("difference"), output("sum")])
    np.testing.assert_array_equal(result.as_numpy("sum"), 6 * X)
    np.testing.assert_array_equal(result.as_numpy("difference"), 4 * X)
    only = client.infer("pair", given, outputs=[output("sum")])
    np.testing.assert_array_equal(only.as_numpy("sum"), 6 * X)
    assert only.as_numpy("difference") is None


def test_an_output_of_no_elements(client: Any) -> None:
    """It has its place among the raw contents, though there is nothing in it."""
    result = client.infer("empty", [infer_input("x", X)])
    assert result.as_numpy("nothing").shape == (3, 0)
    np.testing.assert_array_equal(result.as_numpy("y"), X)


def test_classification(client: Any) -> None:
    x = np.array([[1, 4, 2, 3], [9, 0, 0, 0]], np.float32)
    result = client.infer("double", [infer_input("x", x)], outputs=[output("y", 2)])
    assert result.as_numpy("y").tolist() == [[b"8.0:1", b"6.0:3"], [b"18.0:0", b"0.0:1"]]


@pytest.mark.parametrize("algorithm", [None, "gzip", "deflate"])
def test_compression(client: Any, algorithm: str | None) -> None:
    result = client.infer("double", [infer_input("x", X)], compression_algorithm=algorithm)
    np.testing.assert_array_equal(result.as_numpy("y"), 2 * X)


def test_parameters(client: Any) -> None:
    result = client.infer(
        "double", [infer_input("x", X)], priority=1, timeout=100_000_000, parameters={"own": "free"}
    )
    np.testing.assert_array_equal(result.as_numpy("y"), 2 * X)


@pytest.mark.parametrize(
    ("model", "given", "status", "why"),
    [
        ("nothing", infer_input("x", X), "NOT_FOUND", "no model 'nothing'"),
        ("double", infer_input("z", X), "INVALID_ARGUMENT", "no input 'z'"),
        ("double", infer_input("x", X[:, :2]), "INVALID_ARGUMENT", "x"),
        ("double", infer_input("x", X.astype("f8"), "FP64"), "INVALID_ARGUMENT", "FP32, not FP64"),
        (
            "double",
            infer_input("x", np.full((1, 4), "a", object), "BYTES"),
            "INVALID_ARGUMENT",
            "not BYTES",
        ),
    ],
)
def test_errors(client: Any, model: str, given: Any, status: str, why: str) -> None:
    with pytest.raises(ServerError, match=why) as refused:
        client.infer(model, [given])
    assert refused.value.status() == f"StatusCode.{status}"
    assert client.is_server_live()


def test_shared_memory_is_not_there(client: Any) -> None:
    with pytest.raises(ServerError) as refused:
        client.get_system_shared_memory_status()
    assert refused.value.status() == "StatusCode.UNIMPLEMENTED"
    given = grpc.InferInput("x", [3, 4], "FP32")
    given.set_shared_memory("region", 48)
    with pytest.raises(ServerError, match="maps no shared memory") as refused:
        client.infer("double", [given])
    assert refused.value.status() == "StatusCode.UNIMPLEMENTED"


def test_sequences_are_not_there(client: Any) -> None:
    with pytest.raises(ServerError, match="no model here has sequences"):
        client.infer("double", [infer_input("x", X)], sequence_id=7, sequence_start=True)


def test_large_tensors(client: Any) -> None:
    """Larger than grpcio's own limit of 4 MiB, both ways."""
    x = np.arange(WIDE, dtype=np.float32).reshape(1, -1)
    result = client.infer("wide", [infer_input("x", x)])
    np.testing.assert_array_equal(result.as_numpy("y"), 2 * x)


def test_many_requests_at_once(client: Any) -> None:
    done: Queue[Any] = Queue()
    for value in range(64):
        client.async_infer(
            "double",
            [infer_input("x", rows([value]))],
            callback=lambda result, error, value=value: done.put((value, result, error)),
        )
    for _ in range(64):
        value, result, error = done.get(timeout=PATIENCE)
        assert error is None
        np.testing.assert_array_equal(result.as_numpy("y"), rows([2 * value]))


def test_a_stream(client: Any) -> None:
    done: Queue[Any] = Queue()
    client.start_stream(callback=lambda result, error: done.put((result, error)))
    for value in range(64):
        client.async_stream_infer(
            "double", [infer_input("x", rows([value]))], request_id=str(value)
        )
    client.async_stream_infer("nothing", [infer_input("x", X)], request_id="unknown")
    client.async_stream_infer("double", [infer_input("x", X)], request_id="last")
    for value in range(64):
        result, error = done.get(timeout=PATIENCE)
        assert error is None
        np.testing.assert_array_equal(result.as_numpy("y"), rows([2 * value]))
        response = result.get_response()
        assert response.id == str(value)
        assert response.parameters["triton_final_response"].bool_param
    result, error = done.get(timeout=PATIENCE)
    assert result is None
    assert "no model 'nothing'" in str(error)
    result, error = done.get(timeout=PATIENCE)
    assert error is None
    assert result.get_response().id == "last"
    client.stop_stream()


def test_loading_and_unloading(client: Any) -> None:
    index = {
        (each.name, each.version): each.state for each in client.get_model_repository_index().models
    }
    assert index["pair", "1"] == "READY"
    client.unload_model("int8")
    assert not client.is_model_ready("int8")
    client.load_model("int8")
    assert client.is_model_ready("int8")
    with pytest.raises(ServerError, match="without parameters") as refused:
        client.load_model("int8", config="{}")
    assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"


@pytest.mark.anyio
async def test_the_aio_client_says_what_the_other_does(aio_client: Any) -> None:
    assert await aio_client.is_server_ready()
    assert await aio_client.is_model_ready("double")
    assert (await aio_client.get_server_metadata()).name == "trtasync"
    assert (await aio_client.get_model_metadata("double")).name == "double"
    assert (await aio_client.get_model_config("double")).config.name == "double"
    assert (await aio_client.get_inference_statistics("double")).model_stats
    assert (await aio_client.get_model_repository_index()).models


@pytest.mark.anyio
async def test_the_aio_client_infers(aio_client: Any) -> None:
    result = await aio_client.infer(
        "double", [infer_input("x", X)], outputs=[output("y")], request_id="7"
    )
    np.testing.assert_array_equal(result.as_numpy("y"), 2 * X)
    assert result.get_response().id == "7"
    with pytest.raises(ServerError, match="no model 'nothing'"):
        await aio_client.infer("nothing", [infer_input("x", X)])


@pytest.mark.anyio
async def test_a_stream_of_the_aio_client(aio_client: Any) -> None:
    async def requests() -> AsyncIterator[dict[str, Any]]:
        for value in range(8):
            given = [infer_input("x", rows([value]))]
            yield {"model_name": "double", "inputs": given, "request_id": str(value)}

    value = 0
    async for result, error in aio_client.stream_infer(requests()):
        assert error is None
        np.testing.assert_array_equal(result.as_numpy("y"), rows([2 * value]))
        value += 1
    assert value == 8


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("model", "datatype"), [("bool", "BOOL"), ("float16", "FP16"), ("bfloat16", "BF16")]
)
async def test_dtypes_of_the_aio_client(aio_client: Any, model: str, datatype: str) -> None:
    x = np.array([[0, 1, 1, 0]], ml_dtypes.bfloat16 if model == "bfloat16" else model)
    result = await aio_client.infer(model, [infer_input("x", x, datatype)])
    np.testing.assert_array_equal(result.as_numpy("y"), x)


@pytest.mark.anyio
@pytest.mark.parametrize("algorithm", [None, "gzip", "deflate"])
async def test_several_tensors_of_the_aio_client(aio_client: Any, algorithm: str | None) -> None:
    result = await aio_client.infer(
        "pair",
        [infer_input("b", X), infer_input("a", 5 * X)],
        outputs=[output("difference"), output("sum", classes=1)],
        compression_algorithm=algorithm,
        priority=1,
        timeout=100_000_000,
    )
    np.testing.assert_array_equal(result.as_numpy("difference"), 4 * X)
    assert result.as_numpy("sum").tolist() == [[b"6.0:0"], [b"12.0:0"], [b"18.0:0"]]


@pytest.mark.anyio
async def test_strings_of_the_aio_client(aio_client: Any) -> None:
    strings = infer_input("x", np.full((1, 4), "a", object), "BYTES")
    with pytest.raises(ServerError, match="not BYTES") as refused:
        await aio_client.infer("double", [strings])
    assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"
