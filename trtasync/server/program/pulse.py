"""A front's signs of life (`host.beats`), as who started it hears them."""

from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import AnyByteReceiveStream

from trtasync.host.beats import INTERVAL


async def heard(receive: Callable[[], Awaitable[bytes]], patience: float) -> bytes | None:
    """What comes next; None if nothing came for long enough.

    Args:
        receive: waits for it; may be cancelled and called again.
        patience: seconds. Only those count in which this process was awake itself: each wait for an
            interval, however long it took. So a machine that sleeps, or is overloaded, or a group
            of processes that is stopped, is no silence.
    """
    silent = 0.0
    while silent < patience:
        with anyio.move_on_after(INTERVAL):
            return await receive()
        silent += INTERVAL
    return None


async def silence(beats: AnyByteReceiveStream, patience: float) -> None:
    """Return when no sign of life came for long enough; see `heard`."""

    async def receive() -> bytes:
        try:
            return await beats.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            # it is ending; if it does not, that is silence, too
            await anyio.sleep_forever()
            raise

    while await heard(receive, patience) is not None:
        pass
