"""Progress bars of rich. A build has one per running phase, indented below its parent."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
)
from rich.progress import TimeElapsedColumn as Elapsed
from rich.table import Column
from rich.text import Text

from trtasync.plans import BuildProgress
from trtasync.words import shown as printable


def clock(seconds: float) -> str:
    """Format as minutes and seconds."""
    return time.strftime("%M:%S" if seconds < 3600 else "%H:%M:%S", time.gmtime(max(1, seconds)))


class Doing(ProgressColumn):
    """The description, which is cut before anything else where the terminal is narrow."""

    def __init__(self) -> None:
        super().__init__(Column(overflow="ellipsis"))

    def render(self, task: Task) -> Text:
        """On one line."""
        return Text(task.description, no_wrap=True)


class Left(ProgressColumn):
    """The time left if the further steps take as long as those so far. rich's own column looks back
    half a minute only, and shows dashes where steps take longer."""

    def render(self, task: Task) -> Text:
        """Nothing before the first step and after the last."""
        if not task.completed or task.total is None or task.finished or task.elapsed is None:
            return Text()
        left = task.elapsed * (task.total - task.completed) / task.completed
        return Text(f"~{clock(left)} left")


class Bar:
    """A context manager around rich's bars. Outside a terminal it draws nothing, because rich would
    leave an empty line."""

    def __init__(self, console: Console, shown: bool, *columns: ProgressColumn, refresh: bool):
        """Draw nothing before the context is entered.

        Args:
            console: where to draw.
            shown: False draws nothing.
            columns: of each bar.
            refresh: draw by themselves, ten times a second.
        """
        self._progress = Progress(
            *columns,
            console=console,
            disable=not (shown and console.is_terminal),
            auto_refresh=refresh,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        self._progress.refresh()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()


class WaitingBar(Bar):
    """For work whose steps nobody tells: what it is, and since when."""

    def __init__(self, console: Console, shown: bool, doing: str):
        """Say what is done.

        Args:
            console: where to draw.
            shown: False draws nothing.
            doing: the work, in words.
        """
        columns = Doing(), BarColumn(), Elapsed()
        super().__init__(console, shown, *columns, refresh=True)
        self._progress.add_task(printable(doing), total=None)


class BuildBars(Bar):
    """A context manager, and the callback for `build_plan`. Called in the building threads."""

    def __init__(self, console: Console, shown: bool):
        """Start without a bar; every phase of a build adds its own.

        Args:
            console: where to draw.
            shown: False draws nothing.
        """
        columns = Doing(), BarColumn(), MofNCompleteColumn(), Elapsed(), Left()
        super().__init__(console, shown, *columns, refresh=True)
        self._tasks: dict[str, TaskID] = {}
        self._depths: dict[str, int] = {}

    def __call__(self, news: BuildProgress) -> None:
        """Draw an update."""
        if news.finished:
            self._end(news.phase)
            return
        task = self._tasks.get(news.phase)
        if task is None:
            task = self._begin(news)
        self._progress.update(task, completed=news.step, total=news.steps)

    def _begin(self, news: BuildProgress) -> TaskID:
        depth = self._depths.get(news.parent, 0) + 1 if news.parent is not None else 0
        self._depths[news.phase] = depth
        task = self._progress.add_task("  " * depth + printable(news.phase), total=news.steps)
        self._tasks[news.phase] = task
        return task

    def _end(self, phase: str) -> None:
        task = self._tasks.pop(phase, None)
        if task is not None:
            self._progress.remove_task(task)
