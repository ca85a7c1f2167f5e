"""The W3C trace context of requests."""

from typing import Any

import pytest

from tests.server.serving import INFER, client_of
from trtasync.server.models import Models
from trtasync.tracing.context import TraceContext, current_trace, read_trace

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("03", True)])
def test_a_trace_context(flags: str, sampled: bool) -> None:
    told = read_trace(f" 00-{TRACE}-{SPAN}-{flags} ", "a=1")
    assert told == TraceContext(TRACE, SPAN, sampled, "a=1")


def test_of_a_later_version_the_known_part_is_read() -> None:
    told = read_trace(f"01-{TRACE}-{SPAN}-01-new", "")
    assert told == TraceContext(TRACE, SPAN, True, "")


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-new",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01\n01",
        f"00-{TRACE[1:]}-{SPAN}-01",
    ],
)
def test_what_is_none_is_ignored(traceparent: str | None) -> None:
    assert read_trace(traceparent, "a=1") is None


@pytest.mark.anyio
async def test_the_context_is_that_of_the_request_being_served() -> None:
    seen: list[Any] = []
    models = Models()

    class Looking:
        """An engine that looks at the context."""

        inputs = outputs = ()
        is_alive = True

        async def infer(self, inputs: Any, *, priority: int = 0) -> Any:
            seen.append(current_trace.get())
            return {}

        def statistics(self) -> Any: ...

        async def aclose(self) -> None: ...

    async def opened() -> Any:
        return Looking()

    models.add("m", opened)
    async with client_of(models) as client:
        headers = [
            ("traceparent", f"00-{TRACE}-{SPAN}-01"),
            ("tracestate", "a=1"),
            ("tracestate", "b=2"),
        ]
        for each in (headers, []):
            response = await client.post(INFER, json={"inputs": []}, headers=each)
            assert response.status_code == 200
    assert seen == [TraceContext(TRACE, SPAN, True, "a=1,b=2"), None]
