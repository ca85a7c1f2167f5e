"""What docs/first-server.md shows: a server, curl's question, and Triton's own client."""

import json
import re
import shlex
from pathlib import Path

import anyio
import httpx

from tests.documents.running import code_blocks, python_blocks, run, run_block
from tests.server.program.serving import serving

PAGE = "docs/first-server.md"
SERVE, ASK = (block for language, block in code_blocks(PAGE) if language == "sh")


def test_it_is_asked_as_the_page_says(elsewhere: Path) -> None:
    anyio.run(run_block, python_blocks("docs/first-engine.md")[0], {})  # writes the model
    (name,) = re.findall(r"^trtasync serve (.*)$", SERVE, re.MULTILINE)
    _, _, url, _, body = shlex.split(ASK)
    (block,) = python_blocks(PAGE)
    with serving(elsewhere, elsewhere / name) as server:
        address = server.url.removeprefix("http://")
        answer = httpx.post(url.replace("127.0.0.1:8000", address), content=body)
        (elsewhere / "ask.py").write_text(block.replace("127.0.0.1:8000", address))
        assert run(str(elsewhere / "ask.py")) == "[[0.5 0.5]]\n"
    assert json.loads(answer.text)["outputs"][0]["data"] == [0.5, 0.5]
