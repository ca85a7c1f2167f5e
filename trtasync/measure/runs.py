"""A whole benchmark: loads in rounds, yardsticks between them, a report at the end."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import anyio

from trtasync.engine import watch
from trtasync.errors import InvalidInput
from trtasync.measure.driving import Driver
from trtasync.measure.loads import Closed, Load, Open, distinct
from trtasync.measure.pacing import Pacer
from trtasync.measure.report import Report
from trtasync.measure.samples import Sample, take_sample
from trtasync.measure.settings import LOOPS, Loop, Progress, Settings
from trtasync.measure.statistics import Figures
from trtasync.measure.targets import Local, Subject, Target
from trtasync.measure.window import Span
from trtasync.measure.yardsticks import Yardsticks

T = TypeVar("T")

TRACE_SECONDS = 0.25
"""Length of the run that is traced, a separate run after all measurements."""


def run(
    model: Any,
    settings: Settings | None = None,
    *,
    progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> Report:
    """Measure a model on an event loop of its own.

    Args:
        model: as for `open_engine`: a path, a `Plan`, or an object that implements `Backend`; or a
            `Subject`, which has no options.
        settings: how to measure.
        progress: called between samples.
        **options: options of `open_engine`.

    Raises:
        InvalidInput: an option or setting is invalid.
        TrtasyncError: as from `open_engine` and `Engine.infer`.
    """
    return Benchmark(model, settings, progress=progress, **options).run()


def on_loop(loop: Loop, main: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine function on an event loop of this kind.

    Raises:
        InvalidInput: the loop is not installed.
        KeyboardInterrupt: Ctrl-C, unwrapped from the groups of any task groups.
        BaseException: any exception of `main`.
    """
    name, options = LOOPS[loop]
    try:
        return anyio.run(main, backend=name, backend_options=options)
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt) is None:
            raise
        raise KeyboardInterrupt from group  # trio raises it in the task that is running
    except ImportError as error:
        if (error.name or "") not in LOOPS:
            raise
        raise InvalidInput(f"--loop {loop} needs pip install {loop} ({error}).") from error


def _nothing(news: Progress) -> None:
    """The default for `progress`."""


class Benchmark:
    """A benchmark whose report is available at any time, also after Ctrl-C."""

    def __init__(
        self,
        model: Any,
        settings: Settings | None = None,
        *,
        progress: Callable[[Progress], None] | None = None,
        **options: Any,
    ):
        """The arguments are those of `run`."""
        self._subject = model if isinstance(model, Subject) else Local(model, options)
        self._how = settings or Settings()
        self._progress = progress or _nothing
        self._begun: tuple[Report, _Rounds] | None = None

    def run(self) -> Report:
        """Run the benchmark; see `run` of this module."""
        return on_loop(self._how.loop, self._main)

    def report(self) -> Report | None:
        """Return the results so far; None before the first sample."""
        if self._begun is None or not self._begun[1].samples:
            return None
        empty, rounds = self._begun
        return replace(
            empty,
            samples=rounds.samples,
            yardsticks=rounds.yardsticks,
            ended="complete" if rounds.complete else "interrupted",
        )

    async def _main(self) -> Report:
        how = self._how
        async with self._subject.opened() as target:
            made = how.inputs.make(target.inputs)
            requests = [target.prepare(each) for each in made]
            await target.infer(requests[0])  # raises if the requests do not fit
            empty = Report(
                model=target.model,
                backend=target.backend,
                about=target.about,
                parameters=_parameters(how, target),
                samples=(),
            )
            with Pacer() as pacer:
                driver = Driver(target.infer, requests, pacer, how.deadline)
                rounds = _Rounds(target, driver, how, made, self._progress)
                self._begun = empty, rounds
                await rounds.run()
        report = self.report()
        assert report is not None
        return report


class _Rounds:
    """Takes the samples.

    Attributes:
        samples: the samples so far.
        yardsticks: their figures so far, by name.
        complete: all samples have been taken.
    """

    def __init__(
        self,
        target: Target,
        driver: Driver,
        how: Settings,
        requests: Sequence[Any],
        progress: Callable[[Progress], None],
    ):
        self.samples: list[Sample] = []
        self.yardsticks: dict[str, list[Figures]] = {}
        self.complete = False
        self._target = target
        self._driver = driver
        self._how = how
        # closed loads first: they measure the capacity that relative rates refer to
        self._loads = sorted(distinct(how.loads), key=lambda load: isinstance(load, Open))
        opened = target.opened
        self._baselines = Yardsticks(opened, requests) if how.compare and opened else None
        self._progress = progress
        self._capacity = 0.0
        self._step = 0
        self._rate: float | None = None

    async def run(self) -> None:
        """Take all rounds, then the trace."""
        for number in range(1, self._how.rounds + 1):
            for load in self._loads:
                self._tell(load.name)
                self.samples.append(await self._take(load, number))
                self._done(self.samples[-1].figures["requests_per_second"])
            for name in self._baselines.names if self._baselines else ():
                self._tell(name)
                assert self._baselines is not None
                found = await self._baselines.measure(name, self._how.seconds)
                self.yardsticks.setdefault(name, []).append(found)
                self._done(found["rows_per_second"])
        if self._how.trace is not None:
            watch(self._target.engine, self._how.trace)
            await self._take(self._loads[-1], 0, Span(0.0, TRACE_SECONDS))
            watch(self._target.engine, None)
        self.complete = True

    async def _take(self, load: Load, number: int, span: Span | None = None) -> Sample:
        how = self._how
        if isinstance(load, Open) and load.relative and not self._capacity:
            self._learn_capacity()
        rate = load.at(self._capacity) if isinstance(load, Open) else 0.0
        chosen = span or Span(how.warm_up, how.seconds)
        return await take_sample(
            self._target.statistics, self._driver, load, rate, chosen, number, how.inputs.rows
        )

    def _learn_capacity(self) -> None:
        """The best rate of the closed loads of the first round; all rounds refer to it."""
        self._capacity = max(
            (
                sample.figures["requests_per_second"]
                for sample in self.samples
                if isinstance(sample.load, Closed)
            ),
            default=0.0,
        )
        if not self._capacity:
            raise InvalidInput(
                "the closed loads had no answer, so there is no capacity that a rate could be "
                "relative to; raise deadline or max_queue_size, or give requests per second."
            )

    def _tell(self, doing: str) -> None:
        baselines = len(self._baselines.names) if self._baselines else 0
        steps = self._how.rounds * (len(self._loads) + baselines)
        self._progress(Progress(self._step, steps, doing, self._rate))

    def _done(self, rate: float) -> None:
        self._step += 1
        self._rate = rate


def _parameters(how: Settings, target: Target) -> dict[str, Any]:
    inputs = how.inputs
    return {
        "seconds": how.seconds,
        "warm_up": how.warm_up,
        "rounds": how.rounds,
        "deadline": how.deadline,
        "loop": how.loop,
        "rows": inputs.rows,
        "shapes": {name: list(shape) for name, shape in inputs.shapes.items()},
        "input": str(inputs.file) if inputs.file else f"random, seed {inputs.seed}",
        "inputs": [str(spec) for spec in target.inputs],
        **target.parameters,
    }
