"""GET /metrics of a server.

app = application(models, routes=[metrics(models)])
"""

from collections.abc import Callable, Iterable

from anyio import to_thread
from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from trtasync.server.models import Models
from trtasync.server.prometheus.families import MODEL, Counted, families
from trtasync.server.prometheus.gpus import gpu_families
from trtasync.server.prometheus.triton import triton_families, without_exponents
from trtasync.server.responses import Answering
from trtasync.server.survey import Surveyed, survey

OF_PROCESS: Collector = REGISTRY
"""What this process has registered with prometheus-client."""


def metrics(
    models: Models,
    *,
    path: str = "/metrics",
    triton_names: bool = False,
    registry: Collector | None = OF_PROCESS,
) -> Route:
    """A route that tells the counts of all models, in the format that is asked for.

    Args:
        models: of the server.
        path: of the route.
        triton_names: have the metrics under Triton's names as well, and those of the GPUs.
        registry: whose metrics are told too, by default those of this process; None for none: of
            several processes behind one address nobody knows which one is asked.
    """

    async def scrape(request: Request) -> Response:
        surveyed = await survey(models)
        own = [_ready(surveyed), *_families(surveyed, triton_names)]
        if triton_names:
            own += await to_thread.run_sync(gpu_families)
        encode, kind = _encoder(request.headers.get("accept", ""))
        text = encode(_Together(own, registry))
        if kind.startswith("text/plain"):
            text = without_exponents(text)
        return Response(text, headers={"content-type": kind})

    return Route(path, Answering(scrape), methods=["GET"])


def _encoder(accepted: str) -> tuple[Callable[[Collector], bytes], str]:
    """What writes the format that is asked for, and its name."""
    try:
        return choose_encoder(accepted)
    except (TypeError, ValueError):  # of a version that is none
        return choose_encoder("")


class _Together(Collector):
    def __init__(self, own: Iterable[Metric], registry: Collector | None):
        self._own = own
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        yield from self._own
        if self._registry is not None:
            yield from self._registry.collect()


def _ready(surveyed: list[Surveyed]) -> Metric:
    family = GaugeMetricFamily("trtasync_model_ready", "1 while it answers.", labels=MODEL)
    for each in surveyed:
        family.add_metric((each.name, each.version), each.computes)
    return family


def _families(surveyed: list[Surveyed], triton_names: bool) -> list[Metric]:
    counted = [
        Counted(each.name, each.version, each.statistics)
        for each in surveyed
        if each.statistics is not None
    ]
    return [*families(counted), *(triton_families(counted) if triton_names else ())]
