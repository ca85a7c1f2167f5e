"""An AnyIO that has other internals than those read here is asked by its public functions."""

import weakref
from collections.abc import Callable
from types import SimpleNamespace

import anyio
import anyio.lowlevel
import pytest
from anyio._backends import _asyncio as internals

from trtasync.loops import on_asyncio
from trtasync.loops.choice import current_loop

Patch = Callable[[pytest.MonkeyPatch], None]


class OtherState:
    """A task's state that keeps its scopes elsewhere."""


OTHERS: dict[str, Patch] = {
    "no table": lambda patch: patch.delattr(internals, "_task_states"),
    "no states": lambda patch: patch.delattr(internals, "TaskState"),
    "a table of another kind": lambda patch: patch.setattr(
        internals, "_task_states", SimpleNamespace(data={})
    ),
    "a table with other insides": lambda patch: patch.setattr(
        internals, "_task_states", weakref.WeakKeyDictionary.__new__(weakref.WeakKeyDictionary)
    ),
    "a state without scopes": lambda patch: patch.setattr(internals, "TaskState", OtherState),
    "a scope without an attribute": lambda patch: patch.setattr(
        on_asyncio, "_SCOPE_ATTRIBUTES", ("_deadline", "_gone")
    ),
}


async def read(change: Patch, patch: pytest.MonkeyPatch) -> tuple[bool, float, float]:
    """(whether internals are read; the deadline we find; AnyIO's) below a scope.

    The change is there while a loop is looked at only: AnyIO needs its own internals.
    """
    with patch.context() as changed:
        change(changed)
        known = on_asyncio._task_scopes() is not None
        loop = current_loop()
    with anyio.CancelScope(deadline=anyio.current_time() + 50):
        await anyio.lowlevel.checkpoint()
        found = known, loop.deadline(), anyio.current_effective_deadline()
    loop.close()
    return found


def test_the_internals_of_the_installed_anyio_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise every request pays for asking; right all the same."""
    known, ours, theirs = anyio.run(read, lambda patch: None, monkeypatch)
    assert known
    assert ours == theirs


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS.keys())
def test_other_internals_are_not_read(monkeypatch: pytest.MonkeyPatch, change: Patch) -> None:
    known, ours, theirs = anyio.run(read, change, monkeypatch)
    assert not known
    assert ours == theirs
