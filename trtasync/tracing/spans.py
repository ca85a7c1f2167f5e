"""Spans of requests and batches for OpenTelemetry; see `trtasync.integrations.opentelemetry`.

A request's span is its caller's child. A batch has many callers, none of which is its parent: its
span is the root of a trace of its own, and linked to those of its requests. Where the engine is in
another process, the contexts of their spans are said to it (`shared.records.Op.TRACE`).
"""

from collections.abc import Callable, Generator
from time import time_ns
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TracerProvider,
    TraceState,
    get_current_span,
    get_tracer,
    set_span_in_context,
)

from trtasync.core.records import BatchRecord
from trtasync.engine import Engine, inside, observe
from trtasync.loops import Future
from trtasync.shared.client import SharedEngine, wrap_futures
from trtasync.shared.protocol import AnyEngine
from trtasync.shared.records import Op, Record, pack
from trtasync.system.version import __version__
from trtasync.tracing.context import current_trace

HALF = 2**32 - 1
"""A mask: half of a span's number."""

QUARTER = 2**64 - 1
"""A mask: half of a trace's number."""


def trace(engine: AnyEngine, provider: TracerProvider | None = None) -> None:
    """See `trtasync.integrations.opentelemetry.trace_engine`."""
    tracer = get_tracer("trtasync", __version__, provider)
    if isinstance(engine, Engine):
        observe(engine, Spans(tracer, engine))
    elif isinstance(engine, SharedEngine):
        wrap_futures(engine, Asking(tracer, engine.name).future)


class Request:
    """One request, from its admission until its caller goes on; see `core.records.Observed`.

    Attributes:
        span: of it.
    """

    __slots__ = ("span",)

    def __init__(self, span: Span):
        self.span: Span = span

    def end(self, error: BaseException | None) -> None:
        """See `Observed.end`."""
        span = self.span
        if isinstance(error, Exception):
            span.record_exception(error)
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR, str(error)))
        elif error is not None:
            span.set_attribute("trtasync.cancelled", True)
        span.end()


class Traced:
    """A future, and the request whose end it is.

    Attributes:
        observed: the request; none before the future is awaited, so that what was refused at once
            leaves no span.
    """

    def __init__(self, future: Future, begin: Callable[[], Request]):
        """`begin`: begins the request."""
        self._future = future
        self._begin = begin
        self.observed: Request | None = None
        self.done: Callable[[], bool] = future.done
        self.cancelled: Callable[[], bool] = future.cancelled
        self.set_result: Callable[[Any], None] = future.set_result
        self.set_exception: Callable[[BaseException], None] = future.set_exception

    def __await__(self) -> Generator[Any, None, Any]:
        request = self.observed = self._begin()
        try:
            answer = yield from self._future.__await__()
        except BaseException as error:
            request.end(error)
            raise
        request.end(None)
        return answer


class Asking:
    """Makes the spans of the requests of one engine."""

    def __init__(self, tracer: Tracer, name: str):
        """`name`: of the engine."""
        self._tracer = tracer
        self._name = name

    def request(self, parent: Context | None) -> Request:
        """One that begins now. `parent`: None for what is current."""
        attributes = {"trtasync.engine": self._name}
        return Request(
            self._tracer.start_span(f"infer {self._name}", parent, attributes=attributes)
        )

    def future(self, future: Future, say: Callable[[bytes], None]) -> Traced:
        """Of a request whose engine is in another process, which is told of its span."""
        request = self.request(parent())
        say(told(request.span.get_span_context()))
        return Traced(future, lambda: request)


class Spans:
    """The observer of an engine of this process; see `core.records.Observer`."""

    def __init__(self, tracer: Tracer, engine: Engine):
        self._tracer = tracer
        self._name = engine.name
        self._now = inside(engine).core.loop.now
        self._asking = Asking(tracer, engine.name)

    def future(self, future: Future) -> Traced:
        """See `Observer.future`."""
        return Traced(future, lambda: self._asking.request(parent()))

    def begin(self) -> Request:
        """See `Observer.begin`: what a server answers so names no parent."""
        return self._asking.request(Context())

    def batch(self, record: BatchRecord) -> None:
        """See `Observer.batch`."""
        observed = [getattr(reply, "observed", None) for reply in record.replies]
        spans = [
            each.span for each in observed if isinstance(each, Request) and each.span.is_recording()
        ]
        callers = [span.get_span_context() for span in spans]
        remote = [heard(each) for each in observed if isinstance(each, Record)]
        callers += [context for context in remote if context.trace_flags.sampled]
        if not callers:
            return
        begin = time_ns() - round(self._now() * 1e9)
        batch = self._tracer.start_span(
            f"batch {self._name}",
            Context(),  # without a parent
            attributes=_attributes(self._name, record),
            links=[Link(context) for context in callers],
            start_time=begin + round(record.started * 1e9),
        )
        for span in spans:
            span.add_link(batch.get_span_context())
            span.set_attribute("trtasync.batch.rows", record.rows)
        batch.end(begin + round(record.delivered * 1e9))


def _attributes(name: str, record: BatchRecord) -> dict[str, str | int | float]:
    told: dict[str, str | int | float] = {
        "trtasync.engine": name,
        "trtasync.stream": record.lane,
        "trtasync.batch.rows": record.rows,
        "trtasync.batch.padded_rows": record.run_rows - record.rows,
        "trtasync.batch.requests": len(record.replies),
    }
    for stage, seconds in zip(("copy_in", "compute", "copy_out"), record.times or (), strict=False):
        told[f"trtasync.{stage}.duration"] = seconds
    return told


def told(context: SpanContext) -> bytes:
    """What the process of a shared engine is told of a request's span."""
    return pack(
        Op.TRACE,
        context.span_id >> 32,
        context.span_id & HALF,
        flag=context.trace_flags,
        number=context.trace_id >> 64,
        other=context.trace_id & QUARTER,
    )


def heard(record: Record) -> SpanContext:
    """The context again; see `told`."""
    return SpanContext(
        record.number << 64 | record.other,
        record.slot << 32 | record.generation,
        is_remote=True,
        trace_flags=TraceFlags(record.flag),
    )


def parent() -> Context | None:
    """Of a request's span: what its client names, unless a span is current; None for the latter."""
    named = current_trace.get()
    if named is None or get_current_span().get_span_context().is_valid:
        return None
    flags = TraceFlags(TraceFlags.SAMPLED if named.sampled else TraceFlags.DEFAULT)
    state = TraceState.from_header([named.state]) if named.state else None
    remote = SpanContext(
        int(named.trace_id, 16),
        int(named.parent_id, 16),
        is_remote=True,
        trace_flags=flags,
        trace_state=state,
    )
    return set_span_in_context(NonRecordingSpan(remote))
