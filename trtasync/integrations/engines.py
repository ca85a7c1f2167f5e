"""The engines of an application, whatever its framework: opened with it, found by their names."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from types import MappingProxyType
from typing import Any

from trtasync.core.metrics import Statistics
from trtasync.errors import TrtasyncError
from trtasync.server.counting import statistics_of
from trtasync.server.departures import Receive, while_connected
from trtasync.shared.protocol import AnyEngine

ENGINES = "engines"
"""Where the state of an application or of a request has them."""

Opener = Callable[[], AbstractAsyncContextManager[AnyEngine]]
Engines = Mapping[str, AnyEngine]


@asynccontextmanager
async def opened(openers: Mapping[str, Opener]) -> AsyncIterator[Engines]:
    """Engines by name; they are drained at the end of the block.

    Args:
        openers: of each engine a name and what opens it.
    """
    async with AsyncExitStack() as stack:
        engines = {
            name: await stack.enter_async_context(opener()) for name, opener in openers.items()
        }
        yield MappingProxyType(engines)


def engines_of(state: Any) -> Engines:
    """Those that a state has.

    Raises:
        TrtasyncError: it has none.
    """
    engines: Engines | None = getattr(state, ENGINES, None)
    if engines is None:
        raise TrtasyncError("the application has no engines; give it a lifespan of this module.")
    return engines


def engine_of(engines: Engines, name: str) -> AnyEngine:
    """The one of this name.

    Raises:
        TrtasyncError: there is none.
    """
    engine = engines.get(name)
    if engine is None:
        raise TrtasyncError(f"the application has opened no engine '{name}'.")
    return engine


async def infer_for(
    receive: Receive, engines: Engines, name: str, inputs: Any, options: Mapping[str, Any]
) -> Any:
    """`Engine.infer` for as long as a client of an ASGI server waits.

    Args:
        receive: of the request, whose body has been read.
        engines: of the application.
        name: of the one that is asked.
        inputs: as `Engine.infer` takes them.
        options: likewise.

    Raises:
        ClientGone: the client left, so nobody gets the answer.
        TrtasyncError: what `Engine.infer` raises; there is no such engine; the body was not read.
    """
    engine = engine_of(engines, name)
    return await while_connected(receive, lambda: engine.infer(inputs, **options))


def health_of(engines: Engines) -> tuple[dict[str, Any], int]:
    """What a health route answers, and its status: 503 if one has no stream left to compute on."""
    states = {name: engine.is_alive for name, engine in engines.items()}
    return {ENGINES: states}, 200 if all(states.values()) else 503


async def counts_of(engines: Engines) -> dict[str, Statistics]:
    """What the engines have counted, without those in a process that does not answer."""
    counts = {}
    for name, engine in engines.items():
        with suppress(TrtasyncError):
            counts[name] = await statistics_of(engine)
    return counts
