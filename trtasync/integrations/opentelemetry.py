"""Spans of requests and batches for OpenTelemetry.

async with trtasync.open_engine("digits.onnx") as engine:
    trace_engine(engine)

Each request that `Engine.infer` takes is a span, a child of its caller's. Each batch with a request
that is recorded is a span of a trace of its own, linked to the spans of its requests, and these to
it: a batch has many callers, and none of them is its parent. With `pip install "trtasync[otel]"`.
"""

from collections.abc import Generator
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

from trtasync import __version__
from trtasync.core.records import BatchRecord
from trtasync.engine import Engine, inside, watch, wrap_futures
from trtasync.loops import Future
from trtasync.server.tracing import current_trace


def trace_engine(engine: Engine, tracer_provider: TracerProvider | None = None) -> Engine:
    """Tell of an engine's requests and batches, from now on.

    A request of the server that carries `traceparent` is a child of what that names, unless a span
    of this process is current. What the server's fast door answers by itself, which are requests
    without `traceparent`, has no spans; nor has a request that was refused at once.

    Args:
        engine: of this process. It has one watcher: this one replaces another.
        tracer_provider: None for the global one.

    Returns:
        the engine, so that an opener may end with `return trace_engine(await open_engine(...))`.
    """
    tracer = get_tracer("trtasync", __version__, tracer_provider)
    told = _Told(tracer, engine)
    wrap_futures(engine, told.request)
    watch(engine, told.batch)
    return engine


class _Told:
    """Makes the spans of one engine."""

    def __init__(self, tracer: Tracer, engine: Engine):
        self._tracer = tracer
        self._name = engine.name
        self._now = inside(engine).core.loop.now

    def request(self, future: Future) -> "_Traced":
        """A request is being let in."""
        return _Traced(future, self._tracer, self._name)

    def batch(self, record: BatchRecord) -> None:
        """A batch went well."""
        traced = [each for each in record.replies if isinstance(each, _Traced)]
        spans = [each.span for each in traced if each.span.is_recording()]
        if not spans:
            return
        begin = time_ns() - round(self._now() * 1e9)
        batch = self._tracer.start_span(
            f"batch {self._name}",
            Context(),  # without a parent
            attributes=_attributes(self._name, record),
            links=[Link(span.get_span_context()) for span in spans],
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


class _Traced:
    """A future whose span lasts from the admission of its request until its caller goes on.

    Attributes:
        span: of the request; none before it is awaited, so that one that was refused leaves none.
    """

    def __init__(self, future: Future, tracer: Tracer, name: str):
        self._future = future
        self._tracer = tracer
        self._name = name
        self.span: Span = NonRecordingSpan(SpanContext(0, 0, is_remote=False))
        self.done = future.done
        self.cancelled = future.cancelled
        self.set_result = future.set_result
        self.set_exception = future.set_exception

    def __await__(self) -> Generator[Any, None, Any]:
        attributes = {"trtasync.engine": self._name}
        span = self._tracer.start_span(f"infer {self._name}", _parent(), attributes=attributes)
        self.span = span
        try:
            return (yield from self._future.__await__())
        except Exception as error:
            span.record_exception(error)
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR, str(error)))
            raise
        except BaseException:
            span.set_attribute("trtasync.cancelled", True)
            raise
        finally:
            span.end()


def _parent() -> Context | None:
    """Of a request's span; None for what is current."""
    told = current_trace.get()
    if told is None or get_current_span().get_span_context().is_valid:
        return None
    flags = TraceFlags(TraceFlags.SAMPLED if told.sampled else TraceFlags.DEFAULT)
    state = TraceState.from_header([told.state]) if told.state else None
    remote = SpanContext(
        int(told.trace_id, 16),
        int(told.parent_id, 16),
        is_remote=True,
        trace_flags=flags,
        trace_state=state,
    )
    return set_span_in_context(NonRecordingSpan(remote))
