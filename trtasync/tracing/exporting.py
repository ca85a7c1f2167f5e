"""Where spans go: an exporter of OpenTelemetry, which is found by its name as its own tools do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from trtasync.errors import BackendUnavailable, InvalidInput
from trtasync.loops import free_in_thread

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

    from trtasync.shared.protocol import AnyEngine

GROUP = "opentelemetry_traces_exporter"
"""The group of entry points in which packages offer exporters."""

SERVICE = "service.name"
UNNAMED = "unknown_service"
"""How the SDK calls a service that the environment does not name."""


class Tracing:
    """What a process tells of the engines that it opens."""

    def __init__(self, provider: "TracerProvider | None"):
        """`provider`: None for a process that traces nothing."""
        self._provider = provider

    def trace(self, engine: "AnyEngine") -> None:
        """Tell of this one from now on."""
        if self._provider is not None:
            from trtasync.tracing.spans import trace

            trace(engine, self._provider)


@asynccontextmanager
async def exporting(name: str | None) -> AsyncIterator[Tracing]:
    """Export spans until the end of the block, and those that are left then, unless it is
    cancelled.

    Args:
        name: of the exporter, such as "otlp"; None for nobody.

    Raises:
        BackendUnavailable: OpenTelemetry's SDK is not installed, or its environment variables make
            no sense to it.
        InvalidInput: there is no such exporter.
    """
    if name is None:
        yield Tracing(None)
        return
    provider, exporter = provider_of(name)
    try:
        yield Tracing(provider)
    finally:  # who is in a hurry does not wait for a collector that does not answer
        await free_in_thread(provider.shutdown, interrupt=exporter.shutdown)


def provider_of(name: str) -> "tuple[TracerProvider, SpanExporter]":
    """A provider of tracers whose sampler, limits and resource are as OTEL_* variables say, and the
    exporter that gets their spans.

    Raises:
        BackendUnavailable, InvalidInput: see `exporting`.
    """
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        import trtasync.tracing.spans  # noqa: F401 - what it needs is there, too
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            "traces need pip install 'trtasync[otel]' opentelemetry-sdk, and the package of an "
            f"exporter, such as opentelemetry-exporter-otlp-proto-http ({error})."
        ) from error
    make = _exporter(name)
    try:
        resource = Resource.create()
        if str(resource.attributes.get(SERVICE, UNNAMED)).startswith(UNNAMED):
            resource = resource.merge(Resource({SERVICE: "trtasync"}))
        provider, exporter = TracerProvider(resource=resource, shutdown_on_exit=False), make()
        provider.add_span_processor(BatchSpanProcessor(exporter))
    except Exception as error:  # it may raise whatever it likes
        raise BackendUnavailable(
            f"the exporter {name!r} cannot be set up according to the OTEL_* variables: {error!r}."
        ) from error
    return provider, exporter


def _exporter(name: str) -> Any:
    from importlib.metadata import entry_points  # a tenth of the start of a process that needs none

    found = entry_points(group=GROUP)
    chosen = [each for each in found if each.name == name]
    if not chosen:
        names = ", ".join(sorted({each.name for each in found})) or "none"
        raise InvalidInput(
            f"there is no exporter {name!r} here; there are: {names}. Packages add others: "
            "opentelemetry-exporter-otlp-proto-http has 'otlp_proto_http', for example.",
            name="traces",
            got=name,
        )
    return chosen[0].load()
