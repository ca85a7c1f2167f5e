"""GET /metrics of a server.

app = application(models, routes=[metrics(models)])
"""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from trtasync.server.models import Models
from trtasync.server.prometheus.exposition import OF_PROCESS, exposition
from trtasync.server.prometheus.families import MODEL, Counted, families
from trtasync.server.prometheus.gpus import gpu_families
from trtasync.server.prometheus.triton import triton_families
from trtasync.server.responses import Answering
from trtasync.server.survey import Surveyed, survey


def metrics(
    models: Models,
    *,
    path: str = "/metrics",
    triton_names: bool = False,
    registry: Collector | None = OF_PROCESS,
) -> Route:
    """A route that tells the counts of all models, in the format that a scrape asks for.

    Args:
        models: of the server.
        path: of the route.
        triton_names: tell the metrics under Triton's names as well, and those of the GPUs.
        registry: its metrics are told too; by default those of this process. None for none: behind
            an address of several processes, any one of them may be asked.
    """

    async def scrape(request: Request) -> Response:
        own = _told(await survey(models), triton_names)
        return await exposition(request, own, registry)

    return Route(path, Answering(scrape), methods=["GET"])


def _told(surveyed: list[Surveyed], triton_names: bool) -> Iterator[Metric]:
    yield _ready(surveyed)
    yield _batched(surveyed)
    yield from _families(surveyed, triton_names)
    if triton_names:
        yield from gpu_families()


def _ready(surveyed: list[Surveyed]) -> Metric:
    family = GaugeMetricFamily("trtasync_model_ready", "1 while it answers.", labels=MODEL)
    for each in surveyed:
        family.add_metric((each.name, each.version), each.computes)
    return family


def _batched(surveyed: list[Surveyed]) -> Metric:
    family = GaugeMetricFamily(
        "trtasync_model_batched", "1 if requests share batches, 0 if each runs alone.", labels=MODEL
    )
    for each in surveyed:
        if each.batching is not None:
            family.add_metric((each.name, each.version), each.batching.batched)
    return family


def _families(surveyed: list[Surveyed], triton_names: bool) -> list[Metric]:
    counted = [
        Counted(each.name, each.version, each.statistics)
        for each in surveyed
        if each.statistics is not None
    ]
    return [*families(counted), *(triton_families(counted) if triton_names else ())]
