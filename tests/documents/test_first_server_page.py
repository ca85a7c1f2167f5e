"""What docs/first-server.md shows: a server, curl's question, and Triton's own client."""

import json
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.documents.running import code_blocks, python_blocks, run, run_block

PAGE = "docs/first-server.md"
SERVE, ASK = (block for language, block in code_blocks(PAGE) if language == "sh")


@pytest.fixture
async def address(elsewhere: Path) -> str:
    """Where the page's server is to be; the model of the tutorial lies beside it."""
    await run_block(python_blocks("docs/first-engine.md")[0], {})
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def server(address: str, elsewhere: Path) -> Iterator[str]:
    """It is ready when it says how it is asked; then SIGTERM ends it well."""
    (line,) = re.findall(r"^trtasync (.*)$", SERVE, re.MULTILINE)
    command = [sys.executable, "-m", "trtasync", *shlex.split(line)]
    with subprocess.Popen(
        [*command, "--port", address.partition(":")[2]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = iter(process.stdout.readline, "")
        try:
            assert any("curl" in each for each in said), process.poll()
            yield address
        finally:
            process.terminate()
            process.stdout.read()
    assert process.returncode == 0


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_it_is_asked_as_the_page_says(server: str, elsewhere: Path) -> None:
    _, _, url, _, body = shlex.split(ASK)
    async with httpx.AsyncClient() as client:
        answer = await client.post(url.replace("127.0.0.1:8000", server), content=body)
    assert json.loads(answer.text)["outputs"][0]["data"] == [0.5, 0.5]
    (block,) = python_blocks(PAGE)
    (elsewhere / "ask.py").write_text(block.replace("127.0.0.1:8000", server))
    # a process of its own: this client brings gevent along
    assert run("-W", "default", str(elsewhere / "ask.py")) == "[[0.5 0.5]]\n"
