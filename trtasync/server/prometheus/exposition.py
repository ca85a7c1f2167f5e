"""Metrics in the format that a scrape asks for."""

from collections.abc import Callable, Iterable

from prometheus_client import REGISTRY
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from trtasync.server.beside import beside
from trtasync.server.prometheus.triton import without_exponents

OF_PROCESS: Collector = REGISTRY
"""What this process has registered with prometheus-client."""


async def exposition(
    request: Request, own: Iterable[Metric], registry: Collector | None = OF_PROCESS
) -> Response:
    """The answer to a scrape, in the format that it accepts.

    Args:
        request: the scrape.
        own: the metrics that come first; iterated in a thread.
        registry: its metrics follow; by default those of this process; None for none.
    """
    encode, kind = _encoder(request.headers.get("accept", ""))
    text = await beside(_write, encode, kind, _Together(own, registry))
    return Response(text, headers={"content-type": kind})


def _write(encode: Callable[[Collector], bytes], kind: str, told: Collector) -> bytes:
    """Write the metrics. For a thread: it takes a millisecond per model."""
    text = encode(told)
    return without_exponents(text) if kind.startswith("text/plain") else text


def _encoder(accepted: str) -> tuple[Callable[[Collector], bytes], str]:
    """The encoder of the format that is asked for, and its content type."""
    try:
        return choose_encoder(accepted)
    except (TypeError, ValueError):  # an invalid version is asked for
        return choose_encoder("")


class _Together(Collector):
    def __init__(self, own: Iterable[Metric], registry: Collector | None):
        self._own = own
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        yield from self._own
        if self._registry is not None:
            yield from self._registry.collect()
