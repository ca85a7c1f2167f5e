"""Spans of requests and batches for OpenTelemetry.

async with trtasync.open_engine("digits.onnx") as engine:
    trace_engine(engine)

Each request is a span, a child of its caller's. Each batch with a request that is recorded is a
span of a trace of its own, linked to the spans of its requests, and these to it: a batch has many
callers, and none of them is its parent. With `pip install "trtasync[otel]"`.
"""

from typing import TypeVar

from opentelemetry.trace import TracerProvider

from trtasync.shared.protocol import AnyEngine
from trtasync.tracing.spans import trace

Traced = TypeVar("Traced", bound=AnyEngine)


def trace_engine(engine: Traced, tracer_provider: TracerProvider | None = None) -> Traced:
    """Tell of an engine's requests and batches, from now on.

    A request of the server that carries `traceparent` is a child of what that names, unless a span
    of this process is current; one that carries none is the root of a trace. One that was refused
    at once has no span.

    Args:
        engine: before a server has it. It has one watcher: this one replaces another. Of a shared
            engine only requests are told of here: its batches are by its own process, which
            `open_engine(..., shared=True, traces="otlp")` and `trtasync host --traces otlp` ask
            for it, and whose spans have links to those of the requests.
        tracer_provider: None for the global one.

    Returns:
        the engine, so that an opener may end with `return trace_engine(await open_engine(...))`.
    """
    trace(engine, tracer_provider)
    return engine
