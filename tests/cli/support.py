"""The command line, run in this process or in another one."""

import json
import logging
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from support.doubles.child import ROOT, command
from support.helpers import heed_sigint
from trtasync.cli import app


def run(*arguments: object, code: int = 0) -> Result:
    """Run the command line here; it must end with this code."""
    with own_process():
        result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=True)
    assert result.exit_code == code, (result.output, result.stderr, result.exception)
    return result


@contextmanager
def own_process() -> Iterator[None]:
    """Commands that serve have a process of their own to log and to open files in."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    loggers = [logging.getLogger(), logging.getLogger("trtasync")]
    before = [(logger.level, [*logger.handlers]) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def told(*arguments: object) -> Any:
    """What it prints with --json -."""
    return json.loads(run(*arguments, "--json", "-").stdout)


def refused(code: int, *arguments: object) -> str:
    """The one line of an error."""
    result = run(*arguments, code=code)
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("trtasync: ")
    return line


def start(log: Path, *arguments: object, **settings: str) -> subprocess.Popen[str]:
    """The command line in a process of its own, with the doubles."""
    return subprocess.Popen(
        command("tests.cli.children:main", *arguments),
        cwd=ROOT,
        env={**os.environ, "TRTASYNC_DOUBLE_LOG": str(log), **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_sigint,
    )
