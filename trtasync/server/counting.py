"""The counts of an engine, whichever process it is in."""

from anyio import to_thread

from trtasync.core.metrics import Statistics
from trtasync.engine import Engine
from trtasync.shared.protocol import AnyEngine


async def statistics_of(engine: AnyEngine) -> Statistics:
    """Return `engine.statistics()`, in a thread for a shared engine, whose process may be slow.

    Raises:
        TrtasyncError: that process does not answer.
    """
    if isinstance(engine, Engine):
        return engine.statistics()
    return await to_thread.run_sync(engine.statistics)
