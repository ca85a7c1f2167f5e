"""The slots of one connection: free lists per size, and the memory behind them."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from trtasync.errors import BackendUnavailable, QueueFull
from trtasync.shared.arena import (
    FIRST_BYTES,
    FIRST_SLOTS,
    LEAST_SLOTS,
    MOST_SLOTS,
    Segment,
    make_segment,
    size_class,
)
from trtasync.shared.slots import Slot

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds after which memory is offered again to a host that took none; they double until it takes
some."""


class Credit:
    """Slots for requests, as many as are in use at once. Thread-safe.

    Attributes:
        slots: all of them, by number.
        news: segments that the host does not know about yet.
    """

    def __init__(self, limit: int | None, tell: Callable[[], None]):
        """Start without memory.

        Args:
            limit: bytes of all slots together; None for any.
            tell: called, in any thread, when there are news.
        """
        self.slots: list[Slot] = []
        self.news: deque[Segment] = deque()
        self._limit = limit
        self._tell = tell
        self._free: dict[int, list[Slot]] = {}
        self._counts: dict[int, int] = {}
        self._segments: dict[int, Segment] = {}
        self._held = 0
        self._was_refused = False
        self._resume = 0.0
        self._pause = FIRST_PAUSE
        self._lock = threading.Lock()

    def free_of(self, wanted: int) -> list[Slot]:
        """The free slots of the size that holds `wanted` bytes, the last used one last."""
        return self._free.setdefault(size_class(wanted), [])

    def take(self, wanted: int) -> Slot:
        """Take a slot that holds `wanted` bytes.

        Raises:
            QueueFull: as much memory as is allowed is in use, or the system has no more.
        """
        free = self.free_of(wanted)
        while True:
            try:
                return free.pop()
            except IndexError:
                try:
                    self._grow(size_class(wanted), free)
                except QueueFull:
                    slot = self._larger(size_class(wanted))
                    if slot is None:
                        raise
                    return slot

    def _larger(self, size: int) -> Slot | None:
        """The smallest free slot that is larger: memory shared for requests of one size serves
        smaller ones, too."""
        for each in sorted(self._free):
            if each > size:
                with suppress(IndexError):
                    return self._free[each].pop()
        return None

    def _grow(self, size: int, free: list[Slot]) -> None:
        """Double the number of slots of a size."""
        with self._lock:
            if free:
                return  # another thread has done it
            first = max(LEAST_SLOTS, min(FIRST_SLOTS, FIRST_BYTES // size))
            count = self._counts.get(size, 0)
            number = len(self.slots)
            room = MOST_SLOTS - number if time.monotonic() >= self._resume else 0
            if self._limit is not None:
                room = min(room, (self._limit - self._held) // size)
            more = min(first if self._was_refused else count or first, room)
            if more < 1:
                raise self._full(size)
            try:
                segment = make_segment(number, size, more)
            except BackendUnavailable:
                raise
            except OSError as error:
                raise QueueFull(
                    f"there is no memory for {more} slots of {size} bytes ({error}): too much is "
                    "in use by requests, answers and arrays of empty_input()."
                ) from error
            memory, start = segment.memory, segment.memory.__array_interface__["data"][0]
            made = [
                Slot(number + at, memory[at * size : (at + 1) * size], start + at * size, free)
                for at in range(more)
            ]
            self._counts[size] = count + more
            self._held += size * more
            self._segments[number] = segment
            self.slots.extend(made)
            self.news.append(segment)
            free.extend(reversed(made))
        self._tell()

    def _full(self, size: int) -> QueueFull:
        if time.monotonic() < self._resume:
            return QueueFull(
                f"{self._held} bytes are shared with the engine's process, which had no memory for "
                f"more a moment ago, and {size} more are wanted; back off, or give the host a "
                "larger limit.",
                limit=self._held,
            )
        limit = self._limit if self._limit is not None else MOST_SLOTS * size
        return QueueFull(
            f"{self._held} of {limit} bytes that this client may share with the engine's process "
            "are in use by requests, answers and arrays of empty_input(), or kept for those of "
            f"smaller sizes, and {size} more are wanted; back off, or give the host a larger "
            "limit.",
            limit=limit,
        )

    def refused(self, first: int) -> None:
        """The host refuses the segment that begins with this slot. Other clients may free some
        later, so it will be asked again, for little.

        Raises:
            KeyError: there is none.
        """
        with self._lock:
            segment = self._segments.pop(first)
            gone = self.slots[first : first + segment.slots]
            free = self._free[segment.slot_bytes]
            for slot in gone:
                slot.free = None
            left = []
            with suppress(IndexError):  # one by one: other threads may take from it meanwhile
                while True:
                    left.append(free.pop())
            free.extend([slot for slot in reversed(left) if slot.free is not None])
            self._counts[segment.slot_bytes] -= segment.slots
            self._held -= segment.slot_bytes * segment.slots
            self._was_refused = True
            self._resume = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def taken(self) -> None:
        """The host accepts what it was offered."""
        self._pause = FIRST_PAUSE

    def in_use(self) -> int:
        """Slots in use: by requests, lent answers or arrays."""
        free = sum(map(len, self._free.values()))
        return sum(slot.free is not None for slot in self.slots) - free

    def forget(self) -> None:
        """The host is gone: whatever still uses the memory keeps it, and it is not handed out
        again."""
        with self._lock:
            for slot in self.slots:
                slot.free = None
            for free in self._free.values():
                free.clear()
            self.slots = []
            while self.news:
                os.close(self.news.popleft().descriptor)
            self._segments.clear()
            self._limit = 0
