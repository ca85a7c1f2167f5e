"""Loops for tests with grpcio in them.

grpcio has one queue of events for the whole process. An event belongs to the loop of its call, and
any loop may read it; a call that a test has cancelled may come to its end only after that test's
loop. The loop of the next test then finds the other one closed and raises, in a callback, what no
test here has to do with.
"""

import asyncio
from typing import Any

import pytest
import uvloop


class _Forgiving:
    late = 0
    """How many events came for loops that had ended before."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Every other exception is raised where the test ends, by AnyIO's handler."""
        closed = str(context.get("exception")) == "Event loop is closed"
        if closed and "PollerCompletionQueue._handle_events" in str(context["message"]):
            self.late += 1
        else:
            super().call_exception_handler(context)  # type: ignore[misc] - the loop's


class AsyncioLoop(_Forgiving, asyncio.SelectorEventLoop):
    """That of asyncio."""


class UvLoop(_Forgiving, uvloop.Loop):
    """That of uvloop."""


BOTH = [
    pytest.param(("asyncio", {"loop_factory": AsyncioLoop}), id="asyncio"),
    pytest.param(("asyncio", {"loop_factory": UvLoop}), id="uvloop"),
]
"""See `tests.conftest`."""
