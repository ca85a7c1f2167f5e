"""A front's signs of life (`host.beats`), as heard by the process that started it."""

from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import AnyByteReceiveStream

from trtasync.host.beats import INTERVAL


async def heard(receive: Callable[[], Awaitable[bytes]], patience: float) -> bytes | None:
    """Return what comes next; None if nothing comes for long enough.

    Args:
        receive: waits for it; may be cancelled and called again.
        patience: seconds, of which each wait for an interval counts as one interval, however long
            it took. So only time in which this process was awake itself counts: a machine that
            sleeps or is overloaded, or a stopped process group, is no silence.
    """
    silent = 0.0
    while silent < patience:
        with anyio.move_on_after(INTERVAL):
            return await receive()
        silent += INTERVAL
    return None


async def silence(beats: AnyByteReceiveStream, patience: float) -> None:
    """Return when no sign of life has come for long enough; see `heard`."""

    async def receive() -> bytes:
        try:
            return await beats.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            # the front is ending; if it never does, that is silence, too
            await anyio.sleep_forever()
            raise

    while await heard(receive, patience) is not None:
        pass
