"""The installed TensorRT, of either flavour: imported on demand, its log bridged to `logging`."""

import importlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, cast

from trtasync.errors import BackendUnavailable, PlanError
from trtasync.runtimes.flavours import FLAVOURS, RTX, TENSORRT, VARIABLE, Flavour, chosen
from trtasync.runtimes.plan_files import PlanFile
from trtasync.runtimes.tensorrt.api import Runtime, TensorRT
from trtasync.system.logs import show_in_logs

log: logging.Logger = logging.getLogger("trtasync.tensorrt")
log.addFilter(show_in_logs)

LINES_KEPT = 64

ECHO = "catchCudaError"
"""Of a line that only follows others."""


class Journal:
    """TensorRT's error lines, so that an exception can carry the reason TensorRT gave.

    TensorRT reports what went wrong only to its logger; its calls return False or None.
    """

    def __init__(self) -> None:
        self._lines: deque[tuple[int, int, str]] = deque(maxlen=LINES_KEPT)
        self._count = 0
        self._quiet: dict[int, Callable[[], bool]] = {}

    @contextmanager
    def quietly(self, when: Callable[[], bool] = lambda: True) -> Iterator[None]:
        """For calls that TensorRT may well refuse: what it logs in this thread meanwhile is kept
        for `since`, and logged only at debug level.

        Args:
            when: called for each line; if it returns False, the line is logged normally.
        """
        thread = threading.get_ident()
        if thread in self._quiet:  # nested in another one, which ends it
            yield
            return
        self._quiet[thread] = when
        try:
            yield
        finally:
            del self._quiet[thread]

    @property
    def is_quiet(self) -> bool:
        """Whether the calling thread is within `quietly`."""
        when = self._quiet.get(threading.get_ident())
        return when is not None and when()

    def add(self, line: str) -> None:
        """Keep a line. Thread-safe."""
        self._count += 1
        self._lines.append((self._count, threading.get_ident(), line.strip()))

    def mark(self) -> int:
        """A point in time, for `since`."""
        return self._count

    def since(self, mark: int) -> str:
        """What was logged since a mark, this thread's lines if it has any; never empty."""
        lines = [line for number, _, line in tuple(self._lines) if number > mark]
        return self.said(mark) or _joined(lines) or "TensorRT gave no reason"

    def said(self, mark: int) -> str:
        """What was logged in this thread since a mark; "" for nothing."""
        me = threading.get_ident()
        return _joined([each[2] for each in tuple(self._lines) if each[0] > mark and each[1] == me])


def _joined(lines: Sequence[str]) -> str:
    """Join lines without repetitions: lacking a driver, RTX adds a line about it to every error."""
    telling = [line for line in lines if ECHO not in line]
    return " | ".join(dict.fromkeys(telling or lines))


class Library:
    """A TensorRT module with its logger. One per flavour: each has a single logger.

    Attributes:
        trt: the module.
        name: how it was imported.
        flavour: which TensorRT it is.
        journal: its recent error lines.
        logger: to be passed to whatever needs one.
    """

    def __init__(self, trt: TensorRT, name: str, flavour: Flavour):
        """Called by `library`."""
        self.trt = trt
        self.name = name
        self.flavour = flavour
        self.journal: Journal = Journal()
        self.logger: Any = _make_logger(trt, self.journal)
        if hasattr(trt, "init_libnvinfer_plugins"):  # the lean runtime has none
            trt.init_libnvinfer_plugins(self.logger, "")

    @property
    def version(self) -> str:
        """E.g. "11.4.0.106"."""
        return self.trt.__version__

    @property
    def title(self) -> str:
        """For messages, e.g. "TensorRT 11.4.0.106"."""
        return f"{self.flavour.title} {self.version}"


def _make_logger(trt: TensorRT, journal: Journal) -> Any:
    levels = trt.ILogger.Severity
    severities = {
        levels.INTERNAL_ERROR: logging.CRITICAL,
        levels.ERROR: logging.ERROR,
        levels.WARNING: logging.WARNING,
        levels.INFO: logging.INFO,
        levels.VERBOSE: logging.DEBUG,
    }

    class Bridge(cast(Any, trt).ILogger):  # type: ignore[misc]  # a base known at run time only
        """TensorRT's log on the logger "trtasync.tensorrt"."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)  # type: ignore[misc]  # pybind11 demands the direct call

        def log(self, severity: Any, msg: str) -> None:
            level = severities.get(severity, logging.ERROR)
            if level >= logging.ERROR:
                journal.add(msg)
            log.log(logging.DEBUG if journal.is_quiet else level, "%s", msg)

    return Bridge()


@cache
def _library(name: str, flavour: Flavour, module: Any) -> Library:
    return Library(cast(TensorRT, module), name, flavour)


_making = threading.Lock()
"""`cache` lets two threads make one each, and TensorRT keeps the logger of one only."""


def library(flavour: Flavour | None = None) -> Library:
    """The installed TensorRT. Unless it is for RTX, call this only after CUDA has answered: without
    a GPU TensorRT can kill the process.

    Args:
        flavour: the required one; None for the one that the environment selects, or else for the
            first that is installed.

    Raises:
        BackendUnavailable: none of its modules can be imported.
        InvalidInput: the environment selects a flavour that does not exist.
    """
    wanted = chosen(flavour)
    problems = []
    for each in FLAVOURS if wanted is None else (wanted,):
        for name in each.modules:
            try:
                module = importlib.import_module(name)
            except (ImportError, OSError) as error:  # the latter if its libraries do not load
                problems.append(f"{name}: {error}")
            else:
                with _making:
                    return _library(name, each, module)
    raise BackendUnavailable(_missing(flavour, wanted, "; ".join(problems)))


def _missing(flavour: Flavour | None, wanted: Flavour | None, problems: str) -> str:
    if wanted is None:
        return (
            f"the TensorRT backend needs TensorRT: {TENSORRT.needs}. On an RTX GPU {RTX.title} "
            f"will do: {RTX.needs}. ({problems})"
        )
    why = "is needed" if wanted is flavour else f"is insisted on by {VARIABLE}"
    return f"{wanted.title} {why} and not installed: {wanted.needs}. ({problems})"


def is_installed(flavour: Flavour) -> bool:
    """Whether it can be imported."""
    try:
        return library(flavour) is not None
    except BackendUnavailable:
        return False


def library_of(plan: PlanFile, wanted: Flavour | None = None) -> Library:
    """The TensorRT that a plan was built with, whatever else is installed.

    Args:
        plan: the file whose first bytes decide.
        wanted: the required flavour, if any.

    Raises:
        PlanError: it cannot be read, or is of the other flavour.
        BackendUnavailable: that TensorRT is not installed.
    """
    return library(flavour_of(plan, wanted) or wanted)


def flavour_of(plan: PlanFile, wanted: Flavour | None = None) -> Flavour | None:
    """The flavour of a plan, as far as its first bytes tell; see `library_of`. Needs no TensorRT.

    Raises:
        PlanError: it cannot be read, or is of the other flavour.
    """
    found = plan.header().flavour
    if found is not None and wanted not in (None, found):
        raise PlanError(of_other_flavour(str(plan.path), found, wanted.title))
    return found


def of_other_flavour(name: str, found: Flavour, reader: str) -> str:
    """The message for a plan that `reader` cannot read."""
    return (
        f"{name} is a plan of {found.title}, which {reader} cannot read: open it with "
        f"{found.title} ({found.install}), or build the model again."
    )


def make_runtime(lib: Library, engine_host_code_allowed: bool) -> Runtime:
    """Create what deserializes plans, on the current device.

    Raises:
        BackendUnavailable: TensorRT created none, with its own words.
    """
    mark = lib.journal.mark()
    try:
        runtime = lib.trt.Runtime(lib.logger)
    except Exception as error:  # pybind11 raises TypeError if C++ returns null
        raise BackendUnavailable(
            f"{lib.title} created no runtime: {error}. {lib.journal.since(mark)}."
        ) from error
    if engine_host_code_allowed:
        runtime.engine_host_code_allowed = True
    return runtime
