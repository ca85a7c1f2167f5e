"""A stand-in for the package nvtx, which keeps what profilers would see."""

import threading
from dataclasses import dataclass, field
from types import ModuleType


@dataclass(eq=False)
class Range:
    """One of them.

    Attributes:
        message: its name.
        payload: its number.
        outer: names of those around it, the outermost first.
        thread: in which it was.
        is_over: it has ended.
    """

    message: str
    payload: int | None
    outer: tuple[str, ...]
    thread: str
    is_over: bool = False


@dataclass
class Marks:
    """Ranges in the order in which they began. An end without a beginning raises.

    Attributes:
        ranges: all of them.
    """

    ranges: list[Range] = field(default_factory=list)
    _open: threading.local = field(default_factory=threading.local)

    def get_event_attributes(
        self, message: str | None = None, *, payload: int | None = None
    ) -> tuple[str, int | None]:
        """See `nvtx.Domain`."""
        return message or "", payload

    def push_range(self, attributes: tuple[str, int | None], /) -> None:
        """See `nvtx.Domain`."""
        stack = self._stack()
        outer = tuple(each.message for each in stack)
        stack.append(Range(*attributes, outer, threading.current_thread().name))
        self.ranges.append(stack[-1])

    def pop_range(self) -> None:
        """See `nvtx.Domain`."""
        self._stack().pop().is_over = True

    def _stack(self) -> list[Range]:
        if not hasattr(self._open, "stack"):
            self._open.stack = []
        stack: list[Range] = self._open.stack
        return stack

    def named(self, message: str) -> list[Range]:
        """Those of a name."""
        return [each for each in self.ranges if each.message == message]

    def package(self) -> ModuleType:
        """To be imported as `nvtx`; every domain is this one."""
        module = ModuleType("nvtx")
        module.get_domain = lambda name: self  # type: ignore[attr-defined]  # made here
        return module
