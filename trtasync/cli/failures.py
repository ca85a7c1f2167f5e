"""Errors on the command line: one line with a remedy, and an exit code for scripts."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn, Protocol, TypeVar

import typer

from trtasync.errors import BackendUnavailable, InvalidInput, PlanError, TrtasyncError
from trtasync.words import one_line

UNEXPECTED, ARGUMENTS, UNAVAILABLE, MODEL, OTHER, GOAL_MISSED, INTERRUPTED = 1, 2, 3, 4, 5, 6, 130

_CODES: list[tuple[type[BaseException], int]] = [
    (InvalidInput, ARGUMENTS),
    (BackendUnavailable, UNAVAILABLE),
    (PlanError, MODEL),
    (TrtasyncError, OTHER),
    (KeyboardInterrupt, INTERRUPTED),
]


R_co = TypeVar("R_co", covariant=True)


class Interruptible(Protocol[R_co]):
    """Work that can report its partial results at any time."""

    def run(self) -> R_co:
        """Do all of the work and return the report."""

    def report(self) -> R_co | None:
        """The report so far; None if there is none."""


def until_interrupted(work: Interruptible[R_co]) -> tuple[R_co, bool]:
    """Run it; return its report (complete or partial) and whether Ctrl-C ended it.

    Raises:
        KeyboardInterrupt: there is nothing to report.
    """
    try:
        return work.run(), False
    except KeyboardInterrupt:
        report = work.report()
        if report is None:
            raise
        return report, True


@contextmanager
def failures(debug: bool) -> Iterator[None]:
    """Turn exceptions raised inside into one line on stderr and an exit code.

    Args:
        debug: let it through with its traceback instead.
    """
    _log(debug)
    try:
        yield
    except BrokenPipeError:
        # the reader of our output has closed the pipe; nothing more may be written at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (typer.Exit, SystemExit):
        raise
    except BaseException as error:
        if debug:
            raise
        code = next((code for kind, code in _CODES if isinstance(error, kind)), UNEXPECTED)
        stop(code, _line(error, code))


def stop(code: int, line: str) -> NoReturn:
    """Print a line on stderr and exit with a code."""
    print(f"trtasync: {one_line(line)}", file=sys.stderr)  # noqa: T201 - the one output
    raise typer.Exit(code)


def _log(debug: bool) -> None:
    """The error line repeats what TensorRT logged; with --debug the whole log is shown."""
    if debug:
        logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s: %(message)s")
    else:
        logging.getLogger("trtasync").addHandler(logging.NullHandler())


def _line(error: BaseException, code: int) -> str:
    if code == INTERRUPTED:
        return "interrupted; nothing was written."
    words = " ".join(str(error).split())
    if code == UNEXPECTED:
        return f"{type(error).__name__}: {words} (unexpected; --debug shows where)"
    return words
