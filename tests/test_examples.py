"""Every example runs and prints what it promises; so does the README's code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest

import trtasync
from examples import fastapi_app

ROOT = Path(__file__).resolve().parent.parent

PROMISED = {
    "hello": r"2 and 2: the same with probability 1\.00\n2 and \d: the same with probability 0\.",
    "padding": r"the answers are equal, bit for bit: True",
    "deadlines": (
        r"in time: \[2\.\]\ntoo late: True - .*: True\n"
        r".*the others got \[6\.0, 8\.0\]\n.*as number [1-6]\nrefused: a request of 65 rows"
    ),
    "fastapi_app": r"64 clients, 5\d lines read.*\na bad body: \{\"detail\":\"no float32",
    "live_statistics": r"rows per batch +│ [1-9]",
    "blocking": r"8\d of 100 lines read",
    "own_model": r"five rows: \[0 1 2 3 4\] \[0\. 0\. 0\. 0\. 0\.\]\none row: 3 0\.0",
}


def run(*arguments: str) -> str:
    """The output of a Python process in the repository's root; it must exit with 0, silently."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("name", PROMISED)
def test_example_prints_what_it_promises(name: str) -> None:
    assert re.search(PROMISED[name], run("-m", f"examples.{name}"))


def test_every_example_is_tested() -> None:
    helpers = {"__init__", "digit_lines", "demo"}
    found = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert found - helpers == set(PROMISED)


class Refusing:
    """An engine that refuses everything."""

    def __init__(self, error: Exception):
        self.error = error

    async def infer(self, image: object) -> object:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (trtasync.QueueFull("64 rows are waiting"), 503),
        (TimeoutError("late"), 504),
        (trtasync.InvalidInput("not that"), 422),
    ],
)
@pytest.mark.anyio
async def test_the_app_says_what_is_wrong(
    error: Exception, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fastapi_app.app.state, "engine", Refusing(error), raising=False)
    transport = httpx.ASGITransport(fastapi_app.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        line = np.zeros((8, 30), "<f4").tobytes()
        answer = await client.post("/read", content=line)
        assert (answer.status_code, answer.json()) == (status, {"detail": str(error)})
        assert answer.headers.get("Retry-After") == ("1" if status == 503 else None)


@pytest.mark.timeout(120)
def test_the_demo_checks_every_answer() -> None:
    output = run("-m", "examples.demo", "--quick")
    assert re.search(r"All [\d,]+ answers have the bits of the model run alone", output)


def test_code_in_the_readme_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    for index, block in enumerate(blocks):
        script = tmp_path / f"block_{index}.py"
        script.write_text(block)
        assert "same" in run(str(script))
