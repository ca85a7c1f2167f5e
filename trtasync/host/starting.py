"""A host that a client starts: what it is to be comes on stdin, what came of it goes to stdout."""

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
    """Be what stdin says, and tell stdout once; returns the exit code."""
    answer = take_stdout()
    try:
        told = json.load(sys.stdin)
        wanted, lock = read_wanted(told), told.get("holds")
        if lock is not None:
            os.set_inheritable(lock, False)
        run(wanted, partial(_tell_ready, answer, lock))
    except TrtasyncError as error:
        tell(answer, describe(error))
        return 1
    return 0


def read_wanted(told: Mapping[str, Any]) -> Wanted:
    """What a client wants.

    Raises:
        BackendUnavailable: the client is of another version.
        InvalidInput: it wants what makes no sense.
    """
    spoken = (told.get("protocol"), told.get("version"))
    if spoken != (PROTOCOL, trtasync.__version__):
        raise BackendUnavailable(
            f"the engine process is trtasync {trtasync.__version__} (protocol {PROTOCOL}), and who "
            f"starts it is trtasync {spoken[1]} (protocol {spoken[0]}): sys.path differs between "
            "the two."
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
    """Stdout as it is now; whatever a library prints later goes to stderr, where it can do no
    harm."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answer


def _tell_ready(answer: TextIO, lock: int | None) -> None:
    """Who started this goes on; or, where that was killed, who waits for the lock."""
    tell(answer, {"ready": os.getpid()})
    if lock is not None:
        os.close(lock)


def tell(answer: TextIO, told: dict[str, Any]) -> None:
    """Say the only line, if it was not said yet; who started this may have been killed."""
    if not answer.closed:
        with suppress(BrokenPipeError), answer:
            answer.write(json.dumps(told) + "\n")
