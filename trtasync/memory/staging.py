"""Threads that copy large rows into their slots while the event loop continues.

Copying a row of a few hundred kilobytes takes as long as reading ten requests. numpy releases the
GIL in such copies, so a few threads reach the bandwidth of the memory bus (on an H200's host 9 GB/s
with one, 30 GB/s with four). Small rows are copied inline, because the hand-over would cost more.
"""

import logging
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from trtasync.system.cores import cores
from trtasync.system.threads import NoThread, start_thread

Write = Callable[[int, int, Any], None]

log: logging.Logger = logging.getLogger("trtasync")

MOST_INLINE = 4 << 20
"""Up to this size, about half a ms, the first row for an idle device is copied by its caller."""

MOST_COPY_THREADS = 4
"""Most copy threads: four saturate the memory bus (measured on an H200's host)."""


def default_threads() -> int:
    """A quarter of the cores this process may use, 1 to `MOST_COPY_THREADS`."""
    return max(1, min(MOST_COPY_THREADS, cores() // 4))


class CopyThreads:
    """A few threads and their queue; shared by the slots of one backend.

    Attributes:
        in_flight: what runs on the device now, kept by the lanes. While it is empty, the first row
            of a batch is copied inline, because nobody but its caller waits.
    """

    def __init__(self, threads: int):
        """Start no thread yet.

        Args:
            threads: how many; they start with the first copy.
        """
        self._wanted = threads
        self._threads: list[threading.Thread] = []
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._closed = False
        self._lock = threading.RLock()  # the garbage collector may free memory while it is held
        self.in_flight: set[Any] = set()

    def put(self, job: Callable[[], None]) -> bool:
        """Let a thread run a job; False if they have ended or cannot be started."""
        with self._lock:  # memory is freed in any thread, even while another closes this
            if self._closed:
                return False
            if not self._threads:
                self._start()
            if not self._threads:
                return False
            self._jobs.put(job)
            return True

    def _start(self) -> None:
        for index in range(self._wanted):
            try:
                self._threads.append(start_thread(self._run, f"trtasync copy {index}"))
            except NoThread:
                return  # fewer will do

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:  # the next job must not wait forever
                log.exception("a job of a copy thread failed")
            del job  # an idle thread must not keep the last caller's array alive

    def close(self) -> None:
        """Let the threads finish their jobs and end, and wait for them."""
        with self._lock:
            self._closed = True
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()


class Copies:
    """The copies into one slot that are in progress. `start` is for the event loop's thread."""

    def __init__(self, threads: CopyThreads, inline_bytes: int):
        """Start without copies in progress.

        Args:
            threads: the threads that copy.
            inline_bytes: requests up to this size are copied by the caller itself.
        """
        self._threads = threads
        self._inline_bytes = inline_bytes
        self.unfinished: set[_Copy] = set()
        self._condition = threading.Condition()
        self._wake: Callable[[], None] | None = None
        self.problem: Exception | None = None

    def wrap(self, write: Write, row_bytes: int) -> Write:
        """A writer that copies small requests at once and lets a thread copy large ones."""
        inline_bytes, threads = self._inline_bytes, self._threads
        top = 0  # the row after the last one that was handed to a thread

        def write_or_hand_over(row: int, count: int, source: Any) -> None:
            nonlocal top
            if row < top:  # it has a new owner: the previous owner's copy must not come later
                self.wait()
                top = row
            alone = row == 0 and not threads.in_flight
            size = count * row_bytes
            if size <= inline_bytes or (alone and count == 1 and size <= MOST_INLINE):
                write(row, count, source)
                return
            top = max(top, row + count)
            copy = _Copy(partial(write, row, count, source))
            try:
                self.unfinished.add(copy)
                handed_over = threads.put(partial(self._make, copy))
            except BaseException:
                self._call_off(copy)
                raise
            if not handed_over:
                self._call_off(copy)
                write(row, count, source)

        return write_or_hand_over

    def _call_off(self, copy: "_Copy") -> None:
        if copy.take() is not None:
            self.unfinished.discard(copy)

    def _make(self, copy: "_Copy") -> None:
        work = copy.take()
        if work is None:
            return
        problem: Exception | None = None
        try:
            work()
        except Exception as error:
            problem = error
        with self._condition:
            self.problem = self.problem or problem  # first: without copies, readers take no lock
            self.unfinished.discard(copy)
            wake = None
            if not self.unfinished:
                wake, self._wake = self._wake, None
                self._condition.notify_all()
        if wake is not None:
            wake()

    def done(self, wake: Callable[[], None]) -> bool:
        """Whether every copy so far is done. If not, `wake` is called when it is, by a copy thread.

        Raises whatever a copy raised.
        """
        if self.unfinished:
            with self._condition:
                if self.unfinished:
                    self._wake = wake
                    return False
        if self.problem is not None:
            problem, self.problem = self.problem, None
            raise problem
        return True

    def wait(self) -> None:
        """Block until every copy so far is done: rare (rows are moved or get new owners)."""
        if self.unfinished:
            with self._condition:
                self._condition.wait_for(lambda: not self.unfinished)

    def forget(self) -> None:
        """The slot is reused: nobody waits for any of the rows any more."""
        self.wait()
        self.problem = None


class _Copy:
    """A copy that is made once, or cancelled before it starts."""

    __slots__ = ("_work",)

    def __init__(self, work: Callable[[], None]):
        self._work = [work]

    def take(self) -> Callable[[], None] | None:
        """Return the work to the first caller; None to the other."""
        try:
            return self._work.pop()
        except IndexError:
            return None
