"""A host started by a client: its configuration comes on stdin; signs of life, and then the
outcome, go to stdout."""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import trtasync
from trtasync.errors import BackendUnavailable, InvalidInput, TrtasyncError
from trtasync.host.limits import default_limits
from trtasync.host.process import Wanted, run
from trtasync.opening.plain import options_from_plain
from trtasync.shared.records import PROTOCOL
from trtasync.shared.refusals import describe


def start() -> int:
    """Run as stdin says, and report on stdout; returns the exit code."""
    answer = take_stdout()
    try:
        told = json.load(sys.stdin)
        wanted, lock = read_wanted(told), told.get("holds")
        if lock is not None:
            os.set_inheritable(lock, False)
        run(wanted, partial(_tell_ready, answer, lock), os.dup(answer.fileno()))
    except TrtasyncError as error:
        tell(answer, describe(error))
        return 1
    return 0


def read_wanted(told: Mapping[str, Any]) -> Wanted:
    """Read the configuration that a client wants.

    Raises:
        BackendUnavailable: the client is of another version.
        InvalidInput: it makes no sense.
    """
    spoken = (told.get("protocol"), told.get("version"))
    if spoken != (PROTOCOL, trtasync.__version__):
        raise BackendUnavailable(
            f"the engine process runs trtasync {trtasync.__version__} (protocol {PROTOCOL}), but "
            f"its starter runs trtasync {spoken[1]} (protocol {spoken[0]}): sys.path differs "
            "between the two."
        )
    try:
        models = [
            options_from_plain(Path(model["model"]), model["options"], model["name"])
            for model in told["models"]
        ]
        limits = default_limits(
            linger=float(told["linger"]),
            hang_timeout=float(told["hang_timeout"]),
            **told.get("limits", {}),
        )
        return Wanted(models, str(told["socket"]), limits, str(told["lock"]), told.get("traces"))
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"the engine process was told to be {told}: {error!r}.") from error


def take_stdout() -> TextIO:
    """Take over stdout; whatever a library prints later goes to stderr, where it does no harm."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answer


def _tell_ready(answer: TextIO, lock: int | None) -> None:
    """Let the starter continue, or, if that was killed, the next one waiting for the lock."""
    tell(answer, {"ready": os.getpid()})
    if lock is not None:
        os.close(lock)


def tell(answer: TextIO, told: dict[str, Any]) -> None:
    """Write the only line with words, if not yet written; the starter may have been killed."""
    if not answer.closed:
        with suppress(BrokenPipeError), answer:
            answer.write(json.dumps(told) + "\n")
