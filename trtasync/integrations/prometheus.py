"""Engines of this process in a registry of prometheus_client.

REGISTRY.register(EngineCollector({"digits": engine}))

With `pip install "trtasync[metrics]"`; for servers there is `trtasync.server.prometheus`.
"""

from collections.abc import Iterator, Mapping

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from trtasync.server.prometheus.families import Counted, families
from trtasync.server.prometheus.triton import triton_families
from trtasync.shared.protocol import AnyEngine


class EngineCollector(Collector):
    """Looks at engines when the registry is read, and costs them nothing otherwise.

    prometheus_client's multiprocess mode knows no collectors. It needs none here: the workers of a
    shared engine all see its one set of counts, so any of them may be asked.
    """

    def __init__(self, engines: Mapping[str, AnyEngine], *, triton_names: bool = False):
        """Of these engines.

        Args:
            engines: by the name that the label `model` has; looked into anew each time.
            triton_names: have the metrics under Triton's names as well.
        """
        self._engines = engines
        self._triton_names = triton_names

    def collect(self) -> Iterator[Metric]:
        """See `Collector.collect`. A shared engine is asked for its counts, which blocks."""
        counted = [
            Counted(name, "1", engine.statistics()) for name, engine in self._engines.items()
        ]
        yield from families(counted)
        if self._triton_names:
            yield from triton_families(counted)

    def describe(self) -> Iterator[Metric]:
        """The names, without a look at any engine; the registry refuses one that is there twice."""
        yield from families(())
        if self._triton_names:
            yield from triton_families(())
