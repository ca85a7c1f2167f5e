"""Turns functions of the double into ones of the CUDA runtime, with its error handling."""

import functools
from collections.abc import Callable
from typing import Any, get_args

from cuda.bindings import runtime as genuine  # noqa: TID253 - the double of it

from support.doubles.streams import Refused
from support.doubles.world import current

ERRORS = genuine.cudaError_t
SUCCESS = ERRORS.cudaSuccess

_VERSIONS = {"cudaDriverGetVersion", "cudaRuntimeGetVersion"}
_WITHOUT_DEVICE = {*_VERSIONS, "cudaGetDeviceCount", "cudaSetDevice"}


def call(function: Callable[..., Any]) -> Callable[..., tuple[Any, ...]]:
    """Give a function the runtime's convention: (code,) or (code, value ...)."""
    name = function.__name__
    failed = _empty(function.__annotations__["return"])

    @functools.wraps(function)
    def called(*arguments: Any, **named: Any) -> tuple[Any, ...]:
        world = current()
        try:
            world.enter_call(name, name not in _WITHOUT_DEVICE)
            value = function(*arguments, **named)
        except Refused as refused:
            if refused.name != "cudaErrorNotReady":
                world.last_error = world.broken or refused.name
            return getattr(ERRORS, refused.name), *failed
        world.answered |= name not in _VERSIONS
        if value is None:
            return (SUCCESS,)
        return (SUCCESS, *value) if isinstance(value, tuple) else (SUCCESS, value)

    return called


def _empty(kind: Any) -> tuple[None, ...]:
    """The values beside an error code: None for every missing result."""
    if kind is None:
        return ()
    return (None,) * max(1, len(get_args(kind)))


def _count(name: str) -> None:
    world = current()
    with world.condition:
        world.calls[name] += 1


def cudaGetLastError() -> tuple[Any, ...]:  # noqa: N802
    """The last error, which is forgotten unless it is sticky."""
    _count("cudaGetLastError")
    world = current()
    last, world.last_error = world.last_error, world.broken or "cudaSuccess"
    return (getattr(ERRORS, last),)


def cudaPeekAtLastError() -> tuple[Any, ...]:  # noqa: N802
    """The last error."""
    _count("cudaPeekAtLastError")
    return (getattr(ERRORS, current().last_error),)


def cudaGetErrorName(error: Any) -> tuple[Any, ...]:  # noqa: N802
    """As bytes."""
    return SUCCESS, error.name.encode()


def cudaGetErrorString(error: Any) -> tuple[Any, ...]:  # noqa: N802
    """In words."""
    return SUCCESS, f"the double says {error.name}".encode()


def cudaGetDriverEntryPointByVersion(  # noqa: N802
    symbol: bytes,
    cudaVersion: int,  # noqa: N803
    flags: int,
) -> tuple[Any, ...]:
    """There is no driver: the runtime's functions have to be used."""
    missing = genuine.cudaDriverEntryPointQueryResult.cudaDriverEntryPointSymbolNotFound
    return SUCCESS, None, missing
