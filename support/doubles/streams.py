"""Streams and events of the pretended machine: queues processed by threads at their own pace.

Every stream has a thread, which takes one operation after the other. A wait for an event is no
operation that blocks a thread, but a condition on the next one, so it is always known whether
anything can go on: `step` and `run` return as soon as nothing can.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

Job = Callable[[], None]
DEFAULT_STREAMS = (1, 2)
"""cudaStreamLegacy and cudaStreamPerThread. Not 0: nobody here means that on purpose."""
PATIENCE = 100.0
"""Seconds until a thread that hangs makes a test fail."""


class Refused(Exception):
    """A call that CUDA would answer with an error."""

    def __init__(self, name: str):
        super().__init__(name)
        self.name = name


class Node(NamedTuple):
    """What a capture records of an operation: all but where it runs."""

    job: Job
    seconds: float


@dataclass(frozen=True, slots=True)
class Operation:
    """One entry of a stream.

    Attributes:
        job: what it does.
        seconds: of pretended time.
        position: its number in its stream, from 1.
        serial: its number among all streams.
        after: not before this stream has completed this many (a wait for an event).
    """

    job: Job
    seconds: float
    position: int
    serial: int
    after: "tuple[Stream, int] | None"


@dataclass(eq=False)
class Stream:
    """A queue.

    Attributes:
        clock: seconds of (pretended) work so far.
        needed: operations up to this one are waited for (which matters in lazy worlds).
        recording: nodes of a capture in progress.
        capturer: the thread that began it.
        spoiled: the capture was invalidated.
        permits: this many operations may run although the stream is stopped.
    """

    handle: int
    device: int
    operations: deque[Operation] = field(default_factory=deque)
    enqueued: int = 0
    completed: int = 0
    needed: int = 0
    clock: float = 0.0
    recording: list[Node] | None = None
    capturer: int = 0
    spoiled: bool = False
    closed: bool = False
    paused: bool = False
    permits: int = 0


@dataclass(eq=False)
class Event:
    """Fired when `seen` has caught up with `recorded`.

    Attributes:
        point: (stream, position) of the last record.
        at: the stream's clock when it fired.
        captured_by: recorded into this capture: it says nothing outside.
    """

    handle: int
    device: int
    timing: bool
    recorded: int = 0
    seen: int = 0
    at: float = 0.0
    point: tuple[Stream, int] | None = None
    captured_by: Stream | None = None


class Scheduler:
    """Decides what runs when.

    Attributes:
        violations: broken rules, in words.
        condition: guards all of the state; notified whenever something could proceed.
        streams: by handle.
        broken: name of the sticky error after which nothing works; "" before.
    """

    def __init__(self) -> None:
        self.violations: list[str] = []
        self.condition = threading.Condition()
        self.streams: dict[int, Stream] = {}
        self.broken = ""
        self._held = False
        self._lazy = False
        self._permits = 0
        self._busy = 0
        self._operations = 0
        self._closing = False
        self._working: list[Stream] = []
        self._threads: list[threading.Thread] = []

    # -- what tests do ---------------------------------------------------------------------------

    @contextmanager
    def held(self) -> Iterator[None]:
        """No operation of any stream runs meanwhile (except those that `step` lets through)."""
        with self.condition:
            self._held = True
        try:
            yield
        finally:
            with self.condition:
                self._held = False
                self.condition.notify_all()

    @property
    def lazy(self) -> bool:
        """Operations run only when somebody waits for them or asks an event, or by `run`."""
        return self._lazy

    @lazy.setter
    def lazy(self, value: bool) -> None:
        with self.condition:
            self._lazy = value
            self.condition.notify_all()

    def pause(self, stream: int) -> None:
        """Stop one stream: waiting for it blocks until `resume`."""
        with self.condition:
            self.streams[int(stream)].paused = True

    def resume(self, stream: int | None = None) -> None:
        """Let one stream run on, or all."""
        with self.condition:
            for each in self._working:
                if stream is None or each.handle == int(stream):
                    each.paused = False
            self.condition.notify_all()

    def step(self, operations: int = 1, stream: int | None = None) -> None:
        """Let so many operations of stopped streams run (of one stream: also of a paused one), in
        the order they were enqueued in, and wait until they have. There must be so many."""
        done = self._let_run(operations, None if stream is None else self.streams[int(stream)])
        assert done == operations, f"only {done} operations of {operations} could run"

    def run(self, operations: int = 1 << 30) -> int:
        """`step` for as many as there are; returns how many ran."""
        return self._let_run(operations, None)

    def _let_run(self, operations: int, stream: Stream | None) -> int:
        holder: Scheduler | Stream = self if stream is None else stream
        with self.condition:
            self._grant(holder, operations)
            self.condition.notify_all()
            idle = self.condition.wait_for(self._is_stuck, PATIENCE)
            left = self._grant(holder, 0)
            assert idle, "an operation did not end"
            return operations - left

    @staticmethod
    def _grant(holder: "Scheduler | Stream", permits: int) -> int:
        """Set how many may run; returns how many still might have."""
        if isinstance(holder, Stream):
            before, holder.permits = holder.permits, permits
        else:
            before, holder._permits = holder._permits, permits
        return before

    def _is_stuck(self) -> bool:
        return not self._busy and not any(map(self._may_run, self._working))

    def stop(self) -> None:
        """End the streams' threads; what is enqueued runs first, whatever it waits for."""
        with self.condition:
            self._held, self._closing = False, True
            for stream in self._working:
                stream.closed = True
            self.condition.notify_all()
        for thread in self._threads:
            thread.join(PATIENCE)
            if thread.is_alive():
                self.violations.append(f"{thread.name} does not end")

    # -- the threads -----------------------------------------------------------------------------

    def start(self, stream: Stream) -> None:
        """Give a stream its thread."""
        name = f"double stream {stream.handle:#x}"
        thread = threading.Thread(target=self._work, args=(stream,), name=name, daemon=True)
        with self.condition:
            self._working.append(stream)
            self._threads.append(thread)
        thread.start()

    def _work(self, stream: Stream) -> None:
        while True:
            with self.condition:
                self.condition.wait_for(lambda: self._may_run(stream) or self._ends(stream))
                if not stream.operations:
                    self._working.remove(stream)
                    return
                operation = self._take(stream)
            try:
                operation.job()
            except Exception as error:  # the thread must survive, or its waiters never wake up
                self.violations.append(f"an operation raised {error!r}")
            with self.condition:
                stream.completed += 1
                self._busy -= 1
                self.condition.notify_all()

    def _take(self, stream: Stream) -> Operation:
        operation = stream.operations.popleft()
        if stream.permits:
            stream.permits -= 1
        elif self._permits and self._is_stopped(stream):
            self._permits -= 1
        stream.clock += operation.seconds
        self._busy += 1
        return operation

    def _may_run(self, stream: Stream) -> bool:
        if not stream.operations:
            return False
        if self._closing or self._must_wait(stream):
            return self._closing
        if stream.permits:
            return True
        if stream.paused:
            return False
        if not self._is_stopped(stream):
            return True
        return self._permits > 0 and not self._busy and self._is_next(stream)

    def _must_wait(self, stream: Stream) -> bool:
        after = stream.operations[0].after
        return after is not None and after[0].completed < after[1]

    def _is_stopped(self, stream: Stream) -> bool:
        return self._held or (self._lazy and stream.needed <= stream.completed)

    def _is_next(self, stream: Stream) -> bool:
        """Permits for all go to what was enqueued first: tests want one order."""
        serials = [
            each.operations[0].serial
            for each in self._working
            if each.operations and not each.paused and not self._must_wait(each)
        ]
        return stream.operations[0].serial == min(serials)

    def _ends(self, stream: Stream) -> bool:
        return stream.closed and not stream.operations

    # -- what calls do ---------------------------------------------------------------------------

    def enqueue(
        self,
        stream: Stream | int,
        job: Job,
        seconds: float = 0.0,
        after: tuple[Stream, int] | None = None,
    ) -> None:
        """Put an operation on a stream, or into what is being captured there.

        Args:
            stream: or its handle.
            job: runs in the stream's thread, later.
            seconds: of pretended time that it takes.
            after: see `Operation`.
        """
        with self.condition:
            found = self.streams[stream] if isinstance(stream, int) else stream
            if found.spoiled:
                raise Refused("cudaErrorStreamCaptureInvalidated")
            if found.recording is not None:
                found.recording.append(Node(job, seconds))
                return
            self._operations += 1
            found.enqueued += 1
            found.operations.append(
                Operation(job, seconds, found.enqueued, self._operations, after)
            )
            self.condition.notify_all()

    def record(self, event: Event, stream: Stream) -> None:
        """Let an event fire when the stream has got so far."""
        with self.condition:
            if stream.recording is not None:
                event.captured_by = stream
                self.enqueue(stream, lambda: None)  # a node, but not visible outside
                return
            event.captured_by = None
            event.recorded += 1
            version = event.recorded

            def fire() -> None:
                with self.condition:
                    if version > event.seen:
                        event.seen, event.at = version, stream.clock

            self.enqueue(stream, fire)
            event.point = stream, stream.enqueued

    def let_wait(self, stream: Stream, event: Event) -> None:
        """Make everything enqueued from now on run after the last record of the event."""
        with self.condition:
            if stream.recording is not None or event.captured_by is not None:
                self._wait_in_capture(stream, event)
                return

            def catch_up() -> None:
                stream.clock = max(stream.clock, event.at)

            self.enqueue(stream, catch_up, after=event.point)

    def _wait_in_capture(self, stream: Stream, event: Event) -> None:
        if event.captured_by is stream and stream.recording is not None:
            return
        stream.spoiled = stream.recording is not None
        # A real stream outside would join the capture; nobody here forks one.
        raise Refused("cudaErrorStreamCaptureIsolation")

    def is_ready(self, event: Event) -> bool:
        """Whether it has fired. In a lazy world, this sets it in motion."""
        with self.condition:
            if event.seen < event.recorded and event.point is not None:
                self._need(*event.point)
                return False
            return True

    def wait_for(self, event: Event) -> None:
        """Block until an event has fired."""
        with self.condition:
            if not self.is_ready(event):
                self.condition.wait_for(lambda: event.seen >= event.recorded or self._is_given_up())

    def wait_stream(self, stream: Stream) -> None:
        """Block until everything enqueued so far has run."""
        with self.condition:
            goal = stream.enqueued
            self._need(stream, goal)
            self.condition.wait_for(lambda: stream.completed >= goal or self._is_given_up())

    def wait_all(self) -> None:
        """Block until all streams are idle."""
        for stream in list(self._working):
            self.wait_stream(stream)

    def ask_for(self, stream: Stream) -> None:
        """In a lazy world: let everything run that is enqueued there."""
        with self.condition:
            self._need(stream, stream.enqueued)

    def _need(self, stream: Stream, position: int) -> None:
        """In a lazy world: let run what leads there, on other streams too."""
        if stream.needed >= position:
            return
        stream.needed = position
        for operation in stream.operations:
            if operation.position <= position and operation.after is not None:
                self._need(*operation.after)
        self.condition.notify_all()

    def _is_given_up(self) -> bool:
        return bool(self.broken) or self._closing
