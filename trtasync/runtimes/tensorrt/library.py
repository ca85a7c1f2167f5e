"""The installed TensorRT: imported on demand, its log bridged to Python's `logging`."""

import importlib
import logging
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, cast

from trtasync.errors import BackendUnavailable
from trtasync.runtimes.tensorrt.api import Runtime, TensorRT
from trtasync.system.logs import show_in_logs

log: logging.Logger = logging.getLogger("trtasync.tensorrt")
log.addFilter(show_in_logs)

MODULES = ("tensorrt", "tensorrt_lean", "tensorrt_bindings", "tensorrt_lean_bindings")
"""Tried in this order: the packages, then the bindings alone (beside a TensorRT of the system). The
lean runtime runs version-compatible plans only."""

LINES_KEPT = 64


class Journal:
    """TensorRT's error lines, so that an exception can carry the reason TensorRT gave.

    TensorRT says what went wrong to its logger only; its calls return False or None.
    """

    def __init__(self) -> None:
        self._lines: deque[tuple[int, int, str]] = deque(maxlen=LINES_KEPT)
        self._count = 0
        self._quiet: set[int] = set()

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Ask TensorRT what it may well refuse: what it says in this thread meanwhile is kept for
        `since`, and logged as no more than a detail."""
        thread = threading.get_ident()
        others = {thread} - self._quiet  # within another one it ends with that
        self._quiet |= others
        try:
            yield
        finally:
            self._quiet -= others

    @property
    def is_quiet(self) -> bool:
        """The calling thread is within `quietly`."""
        return threading.get_ident() in self._quiet

    def add(self, line: str) -> None:
        """Keep a line. Called by any thread."""
        self._count += 1
        self._lines.append((self._count, threading.get_ident(), line.strip()))

    def mark(self) -> int:
        """A point to ask from."""
        return self._count

    def since(self, mark: int) -> str:
        """What was said since a mark, this thread's lines if it has any; never empty."""
        lines = [entry for entry in tuple(self._lines) if entry[0] > mark]
        mine = [line for _, thread, line in lines if thread == threading.get_ident()]
        found = mine or [line for _, _, line in lines]
        return " | ".join(dict.fromkeys(found)) or "TensorRT gave no reason"


class Library:
    """A TensorRT module with its logger. One per process: TensorRT keeps a single logger.

    Attributes:
        trt: the module.
        name: how it was imported.
        journal: its recent error lines.
        logger: to be given to whatever wants one.
    """

    def __init__(self, trt: TensorRT, name: str):
        """For `library`."""
        self.trt = trt
        self.name = name
        self.journal: Journal = Journal()
        self.logger: Any = _make_logger(trt, self.journal)
        if hasattr(trt, "init_libnvinfer_plugins"):  # the lean runtime has none
            trt.init_libnvinfer_plugins(self.logger, "")

    @property
    def version(self) -> str:
        """E.g. "11.4.0.106"."""
        return self.trt.__version__


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
def _library(name: str, module: Any) -> Library:
    return Library(cast(TensorRT, module), name)


_making = threading.Lock()
"""`cache` lets two threads make one each, and TensorRT keeps the logger of one only."""


def library() -> Library:
    """The installed TensorRT. Only after CUDA has answered: without a GPU it can kill the process.

    Raises:
        BackendUnavailable: none of `MODULES` can be imported.
    """
    problems = []
    for name in MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            problems.append(f"{name}: {error}")
        else:
            with _making:
                return _library(name, module)
    raise BackendUnavailable(
        "the TensorRT backend needs TensorRT: pip install 'trtasync[cu13]' (driver R580 or newer) "
        "or 'trtasync[cu12]' (driver R535 or newer). Its libraries come from NVIDIA's own package "
        f"index. ({'; '.join(problems)})"
    )


def make_runtime(lib: Library, engine_host_code_allowed: bool) -> Runtime:
    """What deserializes plans, on the current device.

    Raises:
        BackendUnavailable: TensorRT made none, with its own words.
    """
    mark = lib.journal.mark()
    try:
        runtime = lib.trt.Runtime(lib.logger)
    except Exception as error:  # pybind11 raises TypeError where C++ gives null
        raise BackendUnavailable(
            f"TensorRT {lib.version} made no runtime: {error}. {lib.journal.since(mark)}."
        ) from error
    if engine_host_code_allowed:
        runtime.engine_host_code_allowed = True
    return runtime
