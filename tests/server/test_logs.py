"""Logs as JSON: one object a line, whatever a record holds."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies

from tests.server.serving import INFER, client_of
from trtasync.server.logs import JsonFormatter
from trtasync.server.models import Models
from trtasync.tracing.context import current_trace

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Log:
    """A logger, and what it has written.

    Attributes:
        logger: to write with.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger
        self._stream = io.StringIO()
        self.handler = logging.StreamHandler(self._stream)
        self.handler.setFormatter(JsonFormatter())
        logger.addHandler(self.handler)

    def lines(self) -> list[dict[str, Any]]:
        """Each an object."""
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]


@pytest.fixture
def log() -> Iterator[Log]:
    """Of the library."""
    log = Log(logging.getLogger("trtasync"))
    yield log
    log.logger.removeHandler(log.handler)


def test_a_record(log: Log) -> None:
    before = datetime.now(UTC)
    log.logger.warning("%d of %s", 2, "three", extra={"model": "m", "path": Path("/x")})
    (told,) = log.lines()
    time = datetime.fromisoformat(told.pop("time"))
    assert abs((time - before).total_seconds()) < 5
    assert told == {
        "level": "warning",
        "logger": "trtasync",
        "message": "2 of three",
        "model": "m",
        "path": "/x",
    }


def test_an_exception_stays_in_its_line(log: Log) -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        log.logger.exception("it failed")
    (told,) = log.lines()
    assert told["message"] == "it failed"
    assert told["exception"].startswith("Traceback")
    assert told["exception"].endswith("ValueError: first\nsecond")


def test_extras_replace_nothing(log: Log) -> None:
    log.logger.error("true", extra={"level": "forged", "time": 0, "logger": "forged"})
    (told,) = log.lines()
    assert (told["message"], told["level"], told["logger"]) == ("true", "error", "trtasync")
    assert told["time"] != 0


@given(strategies.text())
def test_any_text_is_one_line(text: str) -> None:
    record = logging.makeLogRecord({"msg": text, "name": text})
    line = JsonFormatter().format(record)
    assert line.splitlines() == [line]
    assert json.loads(line)["message"] == text


@pytest.mark.anyio
async def test_what_fails_unexpectedly_is_told_with_its_trace(log: Log) -> None:
    class Broken:
        """An engine that nobody foresaw."""

        inputs = outputs = ()

        async def infer(self, inputs: Any, *, priority: int = 0) -> Any:
            raise RuntimeError("nobody foresaw this")

        def statistics(self) -> Any: ...

        async def aclose(self) -> None: ...

    async def opened() -> Any:
        return Broken()

    models = Models()
    models.add("m", opened)
    async with client_of(models) as client:
        for headers in ({"traceparent": f"00-{TRACE}-{SPAN}-01"}, {}):
            response = await client.post(INFER, json={"inputs": []}, headers=headers)
            assert response.status_code == 500
            assert current_trace.get() is None
    traced, untraced = log.lines()
    assert (traced["trace_id"], traced["parent_id"]) == (TRACE, SPAN)
    assert "trace_id" not in untraced
    for told in (traced, untraced):
        assert told["exception"].endswith("RuntimeError: nobody foresaw this")
