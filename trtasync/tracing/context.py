"""The W3C trace context of the request that is being served, for logs and for whoever traces."""

import re
from contextvars import ContextVar
from typing import NamedTuple

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class TraceContext(NamedTuple):
    """Who asked, as far as tracing goes (https://www.w3.org/TR/trace-context/).

    Attributes:
        trace_id: 32 hexadecimal digits.
        parent_id: the span of the caller: 16 hexadecimal digits.
        sampled: the caller records its span.
        state: `tracestate` as it came, to be handed on.
    """

    trace_id: str
    parent_id: str
    sampled: bool
    state: str


current_trace: ContextVar[TraceContext | None] = ContextVar("current_trace", default=None)
"""Of the request that this task serves; None where its client traces nothing."""


def read_trace(traceparent: str | None, tracestate: str) -> TraceContext | None:
    """The context that headers tell; None where they tell none, as the standard wants it."""
    found = _TRACEPARENT.fullmatch((traceparent or "").strip())
    if found is None:
        return None
    version, trace_id, parent_id, flags, more = found.groups()
    is_void = set(trace_id) == {"0"} or set(parent_id) == {"0"}
    if version == "ff" or is_void or (version == "00" and more):
        return None
    return TraceContext(trace_id, parent_id, bool(int(flags, 16) & 1), tracestate)
