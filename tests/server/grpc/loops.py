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


def is_late(context: dict[str, Any]) -> bool:
    """Whether this is grpcio, with an event for a loop that has ended."""
    closed = str(context.get("exception")) == "Event loop is closed"
    return closed and "PollerCompletionQueue._handle_events" in str(context["message"])


class AsyncioLoop(asyncio.SelectorEventLoop):
    """That of asyncio."""

    late = 0
    """How many events came for loops that had ended before."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Every other exception is raised where the test ends, by AnyIO's handler."""
        if is_late(context):
            self.late += 1
        else:
            super().call_exception_handler(context)


class UvLoop(uvloop.Loop):
    """That of uvloop; likewise. No base for both: the types of uvloop's methods differ from
    those of asyncio's, and mypy takes no class that inherits both."""

    late = 0

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """See above."""
        if is_late(context):
            self.late += 1
        else:
            super().call_exception_handler(context)


BOTH = [
    pytest.param(("asyncio", {"loop_factory": AsyncioLoop}), id="asyncio"),
    pytest.param(("asyncio", {"loop_factory": UvLoop}), id="uvloop"),
]
"""See `tests.conftest`."""

ONE = BOTH[:1]
"""For what is not about loops."""
