"""Ranges on the timelines of NVIDIA's profilers (NVTX), where `TRTASYNC_NVTX=1` asks for them.

An environment variable, as what is profiled is a command, often one with processes of its own:
`TRTASYNC_NVTX=1 nsys profile --trace=cuda,nvtx trtasync serve model.onnx`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from trtasync.errors import BackendUnavailable, InvalidInput

VARIABLE = "TRTASYNC_NVTX"
DOMAIN = "trtasync"


class Domain(Protocol):
    """What is used of `nvtx.Domain`."""

    def get_event_attributes(
        self, message: str | None = None, *, payload: int | None = None
    ) -> Any: ...

    def push_range(self, attributes: Any, /) -> object: ...

    def pop_range(self) -> object: ...


def wanted_domain() -> Domain | None:
    """Where ranges belong; None where nobody wants any.

    Raises:
        InvalidInput: the variable says something else than 0 or 1.
        BackendUnavailable: they are wanted, and `nvtx` is not installed.
    """
    said = os.environ.get(VARIABLE, "")
    if said in ("", "0"):
        return None
    if said != "1":
        raise InvalidInput(f"{VARIABLE} must be 1 (NVTX ranges) or 0 (none), not {said!r}.")
    try:
        import nvtx
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            f"{VARIABLE}=1 needs pip install 'trtasync[nvtx]' ({error})."
        ) from error
    domain: Domain = nvtx.get_domain(DOMAIN)
    return domain


@contextmanager
def within(domain: Domain, message: str, payload: int | None = None) -> Iterator[None]:
    """A range of this thread around a block that awaits nothing.

    Args:
        domain: of it.
        message: its name.
        payload: a number that goes with it, such as rows.
    """
    domain.push_range(domain.get_event_attributes(message, payload=payload))
    try:
        yield
    finally:
        domain.pop_range()


@contextmanager
def ranged(message: str) -> Iterator[None]:
    """The same, or a decorator, for what happens once per model: it asks anew each time whether
    ranges are wanted."""
    domain = wanted_domain()
    if domain is None:
        yield
    else:
        with within(domain, message):
            yield
