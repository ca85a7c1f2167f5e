"""Measurements made: an engine opened as users open it, a load of `trtasync.measure` applied."""

import math
from contextlib import AsyncExitStack
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from trtasync.engine import Engine
from trtasync.errors import BackendUnavailable, TrtasyncError
from trtasync.measure.driving import Driver
from trtasync.measure.loads import Closed, Open
from trtasync.measure.opened import open_tapped
from trtasync.measure.pacing import Pacer
from trtasync.measure.samples import Sample, take_sample
from trtasync.measure.statistics import Figures, rounded, tail
from trtasync.measure.window import Span
from trtasync.tune.probes import Outcome, Probe
from trtasync.tune.settings import Settings
from trtasync.tune.space import Config
from trtasync.tune.subject import Subject

LEAST_BATCHES = 30
"""In the window of a closed load at least, or it counts too coarsely."""

LEAST_REQUESTS = 500
"""In the window of an open load at least, or it has no 99th percentile to speak of."""

LONGER = 5.0
"""Times that a window may be lengthened at most for that."""


class Runner:
    """Makes measurements; the engine of the last one stays open for the next. An async context
    manager."""

    def __init__(self, subject: Subject, how: Settings):
        """Prepare; the first measurement opens an engine.

        Args:
            subject: what is measured.
            how: seconds, warm-up, requests.
        """
        self._subject = subject
        self._how = how
        self._stack = AsyncExitStack()
        self._open: tuple[Config, Engine, Driver] | None = None
        self._windows: dict[tuple[Config, Any], float] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    async def measure(self, probe: Probe) -> Outcome:
        """Make a measurement. An engine that does not open, or fails, is a result too.

        Raises:
            BackendUnavailable: the machine lacks something, whatever the configuration.
        """
        began = perf_counter()
        try:
            sample = await self._take(probe)
        except BackendUnavailable:
            raise
        except (TrtasyncError, MemoryError) as error:
            await self._shut()
            why = " ".join(str(error).split()) or type(error).__name__
            return Outcome(perf_counter() - began, failure=why)
        figures = plain(sample)
        seconds = perf_counter() - began
        return Outcome(seconds, figures, failure=_failure(sample))

    async def _take(self, probe: Probe) -> Sample:
        engine, driver = await self._engine(probe.config)
        span = Span(self._how.warm_up, self._window(probe))
        sample = await self._sample(engine, driver, probe, span)
        batches = sum(sample.batch_sizes.values())
        if isinstance(probe.load, Closed) and batches < LEAST_BATCHES:
            most = LONGER * self._how.seconds
            longer = min(most, span.seconds * LEAST_BATCHES / max(1, batches))
            if longer > 1.2 * span.seconds:
                self._windows[probe.config, probe.load] = longer
                sample = await self._sample(engine, driver, probe, Span(0.0, longer))
        return sample

    async def _sample(self, engine: Engine, driver: Driver, probe: Probe, span: Span) -> Sample:
        rate = probe.load.rate if isinstance(probe.load, Open) else 0.0
        seed = max(0, probe.turn)  # the same arrivals for all configurations of a round
        return await take_sample(
            engine.statistics, driver, probe.load, rate, span, seed, self._how.inputs.rows
        )

    def _window(self, probe: Probe) -> float:
        seconds = self._how.seconds
        if isinstance(probe.load, Open):
            return min(max(seconds, LEAST_REQUESTS / probe.load.rate), LONGER * seconds)
        return self._windows.get((probe.config, probe.load), seconds)

    async def _engine(self, config: Config) -> tuple[Engine, Driver]:
        if self._open is not None and self._open[0] == config:
            return self._open[1:]
        await self._shut()
        subject, how = self._subject, self._how
        options = {**subject.options, **subject.space.options(config)}
        opened = await self._stack.enter_async_context(open_tapped(subject.open_as(), options))
        requests = how.inputs.make(opened.engine.inputs)
        await opened.engine.infer(requests[0])
        driver = Driver(opened.engine.infer, requests, self._stack.enter_context(Pacer()))
        self._open = config, opened.engine, driver
        return opened.engine, driver

    async def _shut(self) -> None:
        self._open = None
        await self._stack.aclose()


def plain(sample: Sample) -> Figures:
    """A sample's figures at six digits, with the tail that counts requests without an answer."""
    figures = dict(sample.figures)
    lost = int(sum(figures[name] for name in ("refused", "failed", "missed")))
    p99 = tail(sample.latencies, 0.99, lost)
    if p99 < math.inf:
        figures["tail_us"] = p99 * 1e6
    return rounded(figures, 6)


def _failure(sample: Sample) -> str:
    if sample.figures["failed"]:
        return f"{sample.figures['failed']:.0f} requests failed in the model."
    if isinstance(sample.load, Closed) and not sample.figures["requests"]:
        return f"nothing was answered within {sample.figures['seconds']:.3g} s."
    return ""
