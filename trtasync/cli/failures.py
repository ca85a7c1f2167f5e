"""Errors on the command line: one line with a remedy, and an exit code that scripts can tell."""

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
    """Work that can say at any time what came of it so far."""

    def run(self) -> R_co:
        """All of it."""

    def report(self) -> R_co | None:
        """What there is; None for nothing."""


def until_interrupted(work: Interruptible[R_co]) -> tuple[R_co, bool]:
    """(its report, whole or partial; whether Ctrl-C ended it).

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
    """Turn what goes wrong inside into a line on stderr and an exit code.

    Args:
        debug: let it through with its traceback instead.
    """
    _log(debug)
    try:
        yield
    except BrokenPipeError:
        # whoever read our output has seen enough; nothing more may be written at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (typer.Exit, SystemExit):
        raise
    except BaseException as error:
        if debug:
            raise
        code = next((code for kind, code in _CODES if isinstance(error, kind)), UNEXPECTED)
        stop(code, _line(error, code))


def stop(code: int, line: str) -> NoReturn:
    """Say a line on stderr, and end with a code."""
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
