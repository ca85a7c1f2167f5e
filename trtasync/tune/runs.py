"""A whole tuning: examines the model, follows the search, and reports at any time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from trtasync.measure.runs import on_loop
from trtasync.plans.paths import read_path
from trtasync.tune.probes import MOST_UNDER_WAY, Aim, Outcome, Probe, written_rate
from trtasync.tune.report import Ended, Report
from trtasync.tune.search import Search
from trtasync.tune.settings import Progress, Settings
from trtasync.tune.state import State, default_path
from trtasync.tune.subject import Subject, examine
from trtasync.tune.work import Runner

Tell = Callable[[Progress], None]


def run(
    model: Any,
    settings: Settings | None = None,
    *,
    progress: Tell | None = None,
    **options: Any,
) -> Report:
    """Measure a model in many configurations, and recommend one; on an event loop of its own.

    Args:
        model: a path as for `open_engine`, a `Plan`, or a function that makes a backend.
        settings: the goal, the search space and the time.
        progress: called between measurements.
        **options: options of `open_engine` that are not tuned.

    Raises:
        InvalidInput: an option or setting is invalid, or the state file contains something else.
        TrtasyncError: as from `open_engine`, before the first measurement. Later failures of a
            configuration are recorded with their reason.
    """
    return Tuning(model, settings, progress=progress, **options).run()


class Tuning:
    """A tuning whose report is available at any time, also after Ctrl-C."""

    def __init__(
        self,
        model: Any,
        settings: Settings | None = None,
        *,
        progress: Tell | None = None,
        **options: Any,
    ):
        """The arguments are those of `run`."""
        self._model = model
        self._how = settings or Settings()
        self._options = options
        self._progress = progress or _nothing
        self._reused = 0
        self._begun: tuple[Subject, Search, State] | None = None

    def run(self) -> Report:
        """Measure until the search ends; see `run` of this module."""
        return on_loop(self._how.loop, self._main)

    def report(self) -> Report | None:
        """Return the results so far; None before the first measurement has ended."""
        if self._begun is None or not self._begun[1].results:
            return None
        subject, search, state = self._begun
        ended: Ended = search.ended or "interrupted"
        path = "" if state.path is None else str(state.path)
        return Report(
            subject, self._how, search.verdict(), search.results, ended, self._reused, path
        )

    async def _main(self) -> Report:
        how = self._how
        self._progress(Progress("opening", "the model"))
        subject = await examine(self._model, how, self._options)
        aim = Aim(
            p99=how.p99,
            budget=how.budget,
            rounds=how.rounds,
            rows=how.inputs.rows,
            devices=subject.devices,
            most_rows=int(self._options.get("max_queue_size") or MOST_UNDER_WAY),
        )
        search = Search(subject.space, aim, subject.start)
        self._reused = 0
        with _state(subject, how) as state:
            self._begun = subject, search, state
            async with Runner(subject, how) as place:
                await self._follow(search, state, place)
        report = self.report()
        assert report is not None
        return report

    async def _follow(self, search: Search, state: State, place: Runner) -> None:
        last = ""
        while (probe := search.ask()) is not None:
            outcome = state.find(probe)
            if outcome is not None:
                self._reused += 1
            else:
                self._tell(search, probe, last)
                state.begin(probe)
                try:
                    outcome = await place.measure(probe)
                except BaseException:
                    state.drop(probe)
                    raise
                state.end(probe, outcome)
                last = _said(outcome)
            search.tell(outcome)

    def _tell(self, search: Search, probe: Probe, last: str) -> None:
        best = search.verdict().best
        self._progress(
            Progress(
                phase=search.phase,
                doing=f"{probe.config.name}: {probe.load.name}",
                step=len(search.results),
                spent=search.spent,
                left=search.left,
                last=last,
                best=None if best is None else best.config,
                score=0.0 if best is None or best.score is None else best.score,
            )
        )


def _state(subject: Subject, how: Settings) -> State:
    path: Path | None = None
    given = not isinstance(how.state, bool)
    if given:
        path = read_path("state", how.state).absolute()
    elif how.state and subject.identity is not None:
        path = default_path(subject.name, subject.identity)
    facts = subject.identity or {"model": subject.name, "backend": subject.backend}
    return State(path, facts, fresh=how.fresh, given=given)


def _said(outcome: Outcome) -> str:
    if outcome.failure:
        return f"failed: {outcome.failure}"
    p99 = outcome.figures.get("tail_us")
    end = "no p99: too many without an answer" if p99 is None else f"p99 {p99 / 1e3:.3g} ms"
    return f"{written_rate(outcome.rate)}/s, {end}"


def _nothing(news: Progress) -> None:
    """The default for `progress`."""
