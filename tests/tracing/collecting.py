"""Spans that were exported, and what is to be known of them."""

from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Spans:
    """What is exported.

    Attributes:
        provider: of the tracers.
    """

    def __init__(self, **options: Any) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False, **options)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def named(self, name: str) -> list[ReadableSpan]:
        """Spans that have ended, in this order."""
        return [each for each in self._exporter.get_finished_spans() if each.name == name]


def told(span: ReadableSpan, name: str) -> Any:
    """The value of an attribute; None without it."""
    return (span.attributes or {}).get(name)


def ids(found: list[Any]) -> set[int]:
    """Which spans are these?"""
    return {each.context.span_id for each in found}


def linked(spans: list[ReadableSpan]) -> set[int]:
    """Which spans are they linked to?"""
    return ids([link for each in spans for link in each.links])
