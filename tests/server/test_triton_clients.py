"""Triton's own clients, against both doors."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from support.helpers import rows
from tests.server.serving import served
from tests.server.uvicorn_server import DTYPES

http = pytest.importorskip("tritonclient.http")
aio = pytest.importorskip("tritonclient.http.aio")
ServerError = pytest.importorskip("tritonclient.utils").InferenceServerException

X = rows([1, 2, 3])


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The aio client is for asyncio."""
    return "asyncio"


@pytest.fixture(scope="module", params=["uvicorn_server", "fast_server"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server in a process of its own: gevent, in the client, and asyncio go different ways."""
    with served(f"tests.server.{request.param}") as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[Any]:
    """The client of threads (gevent, inside)."""
    with http.InferenceServerClient(url) as client:
        yield client


@pytest.fixture
async def aio_client(url: str) -> AsyncIterator[Any]:
    """The one of asyncio."""
    async with aio.InferenceServerClient(url) as client:
        yield client


def infer_input(name: str, array: Any, datatype: str = "FP32", binary: bool = True) -> Any:
    """One input of a request."""
    given = http.InferInput(name, list(array.shape), datatype)
    given.set_data_from_numpy(array, binary_data=binary)
    return given


def output(name: str, binary: bool = True, classes: int = 0) -> Any:
    """One output that is asked for."""
    return http.InferRequestedOutput(name, binary_data=binary, class_count=classes)


def test_what_the_server_says_of_itself(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("double")
    assert client.is_model_ready("double", "1")
    assert not client.is_model_ready("nothing")
    assert client.get_server_metadata()["name"] == "trtasync"
    assert client.get_model_metadata("double")["versions"] == ["1", "2"]
    assert client.get_model_config("double")["max_batch_size"] > 1
    assert len(client.get_inference_statistics()["model_stats"]) > 2
    assert len(client.get_inference_statistics("double", "1")["model_stats"]) == 1
    assert {"name": "pair", "version": "1", "state": "READY", "reason": ""} in (
        client.get_model_repository_index()
    )


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("outputs", [None, [True], [False]])
def test_infer_in_json_and_binary(client: Any, binary_in: bool, outputs: Any) -> None:
    asked = outputs and [output("y", binary) for binary in outputs]
    result = client.infer(
        "double", [infer_input("x", X, binary=binary_in)], outputs=asked, request_id="an id"
    )
    np.testing.assert_array_equal(result.as_numpy("y"), 2 * X)
    assert result.get_response()["id"] == "an id"
    assert result.get_response()["model_version"] == "2"


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("binary", [True, False])
def test_every_dtype_of_numpy(client: Any, name: str, binary: bool) -> None:
    datatype = {"bool": "BOOL"}.get(name, name.upper().replace("FLOAT", "FP"))
    x = np.array([[0, 1, 1, 0], [1, 1, 0, 0]], name)
    if name == "float16" and not binary:
        with pytest.raises(ServerError, match="JSON cannot carry"):
            client.infer(name, [infer_input("x", x, datatype, binary)])
        return
    given = infer_input("x", x, datatype, binary)
    y = client.infer(name, [given], outputs=[output("y", binary)]).as_numpy("y")
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, x)


def test_bf16(client: Any) -> None:
    x = X.astype(ml_dtypes.bfloat16)
    result = client.infer("bfloat16", [infer_input("x", x, "BF16")])
    np.testing.assert_array_equal(result.as_numpy("y"), x)


def test_several_inputs_and_outputs_in_any_order(client: Any) -> None:
    given = [infer_input("b", X, binary=False), infer_input("a", 5 * X)]
    asked = [output("difference"), output("sum", binary=False)]
    result = client.infer("pair", given, outputs=asked)
    np.testing.assert_array_equal(result.as_numpy("sum"), 6 * X)
    np.testing.assert_array_equal(result.as_numpy("difference"), 4 * X)
    only = client.infer("pair", given, outputs=[output("sum")])
    assert only.as_numpy("difference") is None


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("names", [["nothing", "y"], ["nothing"]])
def test_an_output_of_no_elements(client: Any, names: list[str], binary: bool) -> None:
    asked = [output(name, binary) for name in names]
    result = client.infer("empty", [infer_input("x", X)], outputs=asked)
    assert result.as_numpy("nothing").shape == (3, 0)
    if "y" in names:
        np.testing.assert_array_equal(result.as_numpy("y"), X)


@pytest.mark.parametrize("binary", [True, False])
def test_classification(client: Any, binary: bool) -> None:
    x = np.array([[1, 4, 2, 3]], np.float32)
    result = client.infer("double", [infer_input("x", x)], outputs=[output("y", binary, 2)])
    found = [each.decode() if binary else each for each in result.as_numpy("y").ravel()]
    assert found == ["8.0:1", "6.0:3"]


@pytest.mark.parametrize("sent", [None, "gzip", "deflate"])
@pytest.mark.parametrize("wanted", [None, "gzip", "deflate"])
def test_compression(client: Any, sent: str | None, wanted: str | None) -> None:
    result = client.infer(
        "double",
        [infer_input("x", X)],
        request_compression_algorithm=sent,
        response_compression_algorithm=wanted,
    )
    np.testing.assert_array_equal(result.as_numpy("y"), 2 * X)


def test_parameters(client: Any) -> None:
    result = client.infer(
        "double", [infer_input("x", X)], priority=1, timeout=100_000_000, parameters={"own": "free"}
    )
    np.testing.assert_array_equal(result.as_numpy("y"), 2 * X)


@pytest.mark.parametrize(
    ("model", "given", "status", "why"),
    [
        ("nothing", infer_input("x", X), "404", "no model 'nothing'"),
        ("double", infer_input("z", X), "400", "no input 'z'"),
        ("double", infer_input("x", X[:, :2]), "400", "x"),
        ("double", infer_input("x", X.astype("f8"), "FP64"), "400", "FP32, not FP64"),
        ("double", infer_input("x", np.full((1, 4), "a", object), "BYTES"), "400", "not BYTES"),
    ],
)
def test_errors(client: Any, model: str, given: Any, status: str, why: str) -> None:
    with pytest.raises(ServerError, match=why) as refused:
        client.infer(model, [given])
    assert refused.value.status() == status
    assert client.is_server_live()  # and the connection goes on


def test_shared_memory_is_not_there(client: Any) -> None:
    """And the client understands how it is said."""
    with pytest.raises(ServerError, match="Not Found"):
        client.get_system_shared_memory_status()
    given = http.InferInput("x", [3, 4], "FP32")
    given.set_shared_memory("region", 48)
    with pytest.raises(ServerError, match="maps no shared memory") as refused:
        client.infer("double", [given])
    assert refused.value.status() == "501"


def test_many_requests_on_few_connections(url: str) -> None:
    with http.InferenceServerClient(url, concurrency=4) as client:
        waiting = [
            (value, client.async_infer("double", [infer_input("x", rows([value]))]))
            for value in range(64)
        ]
        for value, request in waiting:
            np.testing.assert_array_equal(request.get_result().as_numpy("y"), rows([2 * value]))


def test_loading_and_unloading(client: Any) -> None:
    client.unload_model("int8")
    assert not client.is_model_ready("int8")
    client.load_model("int8")
    assert client.is_model_ready("int8")


@pytest.mark.anyio
async def test_the_aio_client_says_what_the_other_does(aio_client: Any) -> None:
    """It accepts compressed answers whether it undoes the compression or not."""
    assert await aio_client.is_server_ready()
    assert await aio_client.is_model_ready("double")
    assert (await aio_client.get_server_metadata())["name"] == "trtasync"
    assert (await aio_client.get_model_metadata("double"))["name"] == "double"
    assert (await aio_client.get_model_config("double"))["name"] == "double"
    assert (await aio_client.get_inference_statistics("double"))["model_stats"]
    assert await aio_client.get_model_repository_index()


@pytest.mark.anyio
@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("sent", [None, "gzip", "deflate"])
async def test_the_aio_client_infers(aio_client: Any, binary: bool, sent: str | None) -> None:
    result = await aio_client.infer(
        "double",
        [infer_input("x", X, binary=binary)],
        outputs=[output("y", binary)],
        request_id="7",
        request_compression_algorithm=sent,
    )
    np.testing.assert_array_equal(result.as_numpy("y"), 2 * X)
    assert result.get_response()["id"] == "7"


@pytest.mark.anyio
async def test_errors_of_the_aio_client(aio_client: Any) -> None:
    with pytest.raises(ServerError, match="no model 'nothing'"):
        await aio_client.infer("nothing", [infer_input("x", X)])
    with pytest.raises(ServerError, match="no model 'nothing'"):
        await aio_client.get_model_metadata("nothing")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("model", "datatype"), [("bool", "BOOL"), ("float16", "FP16"), ("bfloat16", "BF16")]
)
async def test_dtypes_of_the_aio_client(aio_client: Any, model: str, datatype: str) -> None:
    x = np.array([[0, 1, 1, 0]], ml_dtypes.bfloat16 if model == "bfloat16" else model)
    result = await aio_client.infer(model, [infer_input("x", x, datatype)])
    np.testing.assert_array_equal(result.as_numpy("y"), x)


@pytest.mark.anyio
@pytest.mark.parametrize("wanted", [None, "gzip", "deflate"])
async def test_several_tensors_of_the_aio_client(aio_client: Any, wanted: str | None) -> None:
    result = await aio_client.infer(
        "pair",
        [infer_input("b", X, binary=False), infer_input("a", 5 * X)],
        outputs=[output("difference"), output("sum", binary=False)],
        response_compression_algorithm=wanted,
        priority=1,
        timeout=100_000_000,
    )
    np.testing.assert_array_equal(result.as_numpy("sum"), 6 * X)
    np.testing.assert_array_equal(result.as_numpy("difference"), 4 * X)
    chosen = await aio_client.infer(
        "pair", [infer_input("b", X), infer_input("a", X)], outputs=[output("sum", classes=1)]
    )
    assert chosen.as_numpy("sum").tolist() == [[b"2.0:0"], [b"4.0:0"], [b"6.0:0"]]
    assert chosen.as_numpy("difference") is None


@pytest.mark.anyio
async def test_strings_of_the_aio_client(aio_client: Any) -> None:
    strings = infer_input("x", np.full((1, 4), "a", object), "BYTES")
    with pytest.raises(ServerError, match="not BYTES"):
        await aio_client.infer("double", [strings])
