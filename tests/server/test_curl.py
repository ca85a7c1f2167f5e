"""curl, against both doors."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from support.helpers import PATIENCE
from tests.server.messages import binary, body, given, parsed
from tests.server.serving import served

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")


@pytest.fixture(scope="module", params=["uvicorn_server", "fast_server"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Of the model that doubles rows of four."""
    with served(f"tests.server.{request.param}") as address:
        yield f"http://{address}/v2/models/double"


def curl(*arguments: str) -> bytes:
    """What it writes; it fails where the server does."""
    command = ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", str(PATIENCE)]
    done = subprocess.run([*command, *arguments], capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout


def test_a_request_typed_by_hand(url: str) -> None:
    asked = {"inputs": [given("x", [1, 4], "FP32", data=[1, 2, 3, 4])]}
    for version in ("--http1.1", "--http1.0"):
        told = json.loads(curl(version, f"{url}/infer", "--data", json.dumps(asked)))
        assert told["outputs"][0]["data"] == [2, 4, 6, 8]


def test_several_on_one_connection(url: str) -> None:
    told = curl(url, f"{url}/config", f"{url}/ready")
    assert told.count(b'"name":"double"') == 2


@pytest.mark.parametrize("rows", [1, 400, 4000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_file(url: str, tmp_path: Path, rows: int, chunked: bool) -> None:
    """curl waits for 100 (Continue) before it sends a large one."""
    x = np.random.default_rng(0).random((rows, 4), np.float32)
    content, length = body({"inputs": [binary("x", [rows, 4], "FP32")]}, x)
    (tmp_path / "body").write_bytes(content)
    told = curl(
        *(f"{url}/infer", "--data-binary", f"@{tmp_path / 'body'}"),
        *(
            "--header",
            f"Inference-Header-Content-Length: {length}",
            "--header",
            "Expect: 100-continue",
        ),
        *(("--header", "Transfer-Encoding: chunked") if chunked else ()),
    )
    np.testing.assert_array_equal(parsed(told, None)[1]["y"], 2 * x)


def test_a_head(url: str) -> None:
    assert b"200 OK" in curl("--head", url)


def test_an_error(url: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        curl(f"{url}/infer", "--data", "{}")
    assert list(json.loads(failed.value.output)) == ["error"]
