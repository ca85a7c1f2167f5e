"""Schemathesis, which knows nothing but the description, over both doors of HTTP."""

import importlib.util
import re

import pytest

from tests.server.openapi.asking import DOORS, ask
from tests.server.serving import served

pytestmark = [
    pytest.mark.timeout(300),  # some hundred requests, of which each is made up at length
    pytest.mark.skipif(
        importlib.util.find_spec("schemathesis") is None, reason="Schemathesis is not installed"
    ),
]


@pytest.mark.parametrize("door", DOORS)
def test_what_is_described_is_what_is_answered(door: str) -> None:
    with served(f"tests.server.{door}") as place:
        done = ask(f"http://{place}", 8, "--generation-deterministic")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Selected: (\d\d)/\1\s+Tested: \1", done.stdout), done.stdout
