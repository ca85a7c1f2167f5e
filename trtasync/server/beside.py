"""Running work that would hold up the event loop in a thread."""

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread

from trtasync.errors import TrtasyncError

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


async def beside(
    work: Callable[[*Arguments], Result],
    *args: *Arguments,
    limiter: CapacityLimiter | None = None,
) -> Result:
    """Return `work(*args)`, run in a thread under `limiter`; None for AnyIO's default limiter.

    A TrtasyncError is raised without the frames that it came from: with the future that carries it
    they would form a cycle, which keeps a body of megabytes until the next garbage collection.
    """
    outcome = await to_thread.run_sync(_outcome, work, args, limiter=limiter)
    try:
        if isinstance(outcome, _Refused):
            raise outcome.error
        return outcome
    finally:
        del outcome  # it and this frame would refer to each other


class _Refused:
    def __init__(self, error: TrtasyncError):
        self.error = error.with_traceback(None)


def _outcome(work: Callable[[*Arguments], Result], args: tuple[*Arguments]) -> "Result | _Refused":
    try:
        return work(*args)
    except TrtasyncError as error:
        return _Refused(error)
