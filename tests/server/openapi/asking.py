"""Schemathesis over both doors of HTTP.

`make nightly-openapi` asks far more than the tests do.
"""

import os
import subprocess
import sys
from pathlib import Path

CONFIG = Path(__file__).with_name("schemathesis.toml")
PROGRAM = "from schemathesis.cli import schemathesis; schemathesis()"
"""What its script does, which may not be on the path."""

DOORS = ("uvicorn_server", "fast_server")


def ask(url: str, examples: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Let it ask everything that a server describes.

    Args:
        url: of the server.
        examples: at most so many of each operation, besides those at the edges.
        arguments: more of them, for it.
    """
    options = ["--config-file", str(CONFIG), "--no-color"]
    run = ["run", f"{url}/v2/openapi.json", "--max-examples", str(examples)]
    command = [sys.executable, "-c", PROGRAM, *options, *run, *arguments]
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": root}  # for the hooks
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
