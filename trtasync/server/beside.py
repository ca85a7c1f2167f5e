"""Work that would hold up the event loop, in a thread."""

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
    """`work(*args)`, in one of the threads of `limiter`; None for those that everybody has.

    What it refuses is raised without the frames that it came from: they would be in a cycle with
    the future that brought it, and keep a body of megabytes until the next collection of garbage.
    """
    outcome = await to_thread.run_sync(_outcome, work, args, limiter=limiter)
    try:
        if isinstance(outcome, _Refused):
            raise outcome.error
        return outcome
    finally:
        del outcome  # which this frame would keep, and it this frame


class _Refused:
    def __init__(self, error: TrtasyncError):
        self.error = error.with_traceback(None)


def _outcome(work: Callable[[*Arguments], Result], args: tuple[*Arguments]) -> "Result | _Refused":
    try:
        return work(*args)
    except TrtasyncError as error:
        return _Refused(error)
