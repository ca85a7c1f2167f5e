"""The state behind the double of the CUDA runtime: memory, streams, events, graphs, faults.

It keeps the rules that the product relies on. Every stream has a thread and works its operations
off in its own time, later than they were enqueued; a copy reads its source when it runs; memory is
poisoned when it is allocated and when it is freed, and stays readable then, so that a use after
free is noticed and not a crash.
"""

import ctypes
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Operation = Callable[[], None]
Bytes = npt.NDArray[np.uint8]

FRESH, FREED = 0xA5, 0xDD
"""What memory holds when it is new, and when it was given back."""
ALIGNMENT = 512
COPY_SECONDS, BYTES_PER_SECOND = 1e-6, 50e9


class Refused(Exception):
    """A call that CUDA would answer with an error."""

    def __init__(self, name: str):
        super().__init__(name)
        self.name = name


@dataclass
class Allocation:
    """One block of memory, pinned or on the device."""

    address: int
    size: int
    pinned: bool
    memory: Bytes
    device: int


@dataclass(eq=False)
class Stream:
    """A queue and the thread that works it off.

    Attributes:
        clock: seconds of (pretended) work so far.
        recording: operations of a capture in progress.
        spoiled: the capture was invalidated.
    """

    handle: int
    device: int
    operations: deque[Operation] = field(default_factory=deque)
    enqueued: int = 0
    completed: int = 0
    clock: float = 0.0
    recording: list[Operation] | None = None
    spoiled: bool = False
    closed: bool = False


@dataclass(eq=False)
class Event:
    """Fired when `seen` has caught up with `recorded`."""

    handle: int
    device: int
    timing: bool
    recorded: int = 0
    seen: int = 0
    at: float = 0.0


class World:
    """One pretended machine.

    Attributes:
        devices: how many GPUs there are.
        driver: version that the driver reports (0: there is none).
        calls: how often each function was called.
        violations: broken rules, in words.
    """

    def __init__(self, devices: int = 1, driver: int = 13000):
        self.devices = devices
        self.driver = driver
        self.calls: Counter[str] = Counter()
        self.violations: list[str] = []
        self.condition = threading.Condition()
        self.allocations: dict[int, Allocation] = {}
        self.freed: list[Allocation] = []
        self.streams: dict[int, Stream] = {}
        self.events: dict[int, Event] = {}
        self.graphs: dict[int, list[Operation]] = {}
        self.executables: dict[int, list[Operation]] = {}
        self.last_error = "cudaSuccess"
        self.broken = ""
        self._held = False
        self._permits = 0
        self._failures: dict[str, list[str]] = {}
        self._serial = 0x1000
        self._local = threading.local()
        self._threads: list[threading.Thread] = []

    # -- what tests do ---------------------------------------------------------------------------

    @contextmanager
    def held(self) -> Iterator[None]:
        """No operation of any stream runs meanwhile (but for those that `step` lets through)."""
        with self.condition:
            self._held = True
        try:
            yield
        finally:
            with self.condition:
                self._held = False
                self.condition.notify_all()

    def step(self, operations: int = 1) -> None:
        """While held: let so many operations run, and wait until they have."""
        with self.condition:
            done = sum(stream.completed for stream in self.streams.values()) + operations
            self._permits += operations
            self.condition.notify_all()
            assert self.condition.wait_for(
                lambda: sum(stream.completed for stream in self.streams.values()) >= done, 10
            )

    def fail(self, function: str, error: str, times: int = 1) -> None:
        """Let the next calls of a function fail."""
        self._failures.setdefault(function, []).extend([error] * times)

    def break_device(self, error: str = "cudaErrorLaunchFailure") -> None:
        """A sticky error: from now on every call gives it."""
        self.broken = self.last_error = error

    def live_bytes(self, pinned: bool) -> int:
        """Bytes allocated now, of pinned memory or of device memory."""
        found = [block.size for block in self.allocations.values() if block.pinned is pinned]
        return sum(found)

    def leftovers(self) -> dict[str, int]:
        """What was not given back, by kind."""
        counts = {
            "allocations": len(self.allocations),
            "streams": len(self.streams),
            "events": len(self.events),
            "graphs": len(self.graphs) + len(self.executables),
        }
        return {kind: count for kind, count in counts.items() if count}

    def close(self) -> None:
        """End the streams' threads."""
        with self.condition:
            self._held = False
            for stream in self.streams.values():
                stream.closed = True
            self.condition.notify_all()
        for thread in self._threads:
            thread.join(10)

    # -- what the calls do -----------------------------------------------------------------------

    def enter_call(self, name: str, needs_device: bool) -> None:
        """Count a call, and let it fail if it shall."""
        self.calls[name] += 1
        failures = self._failures.get(name)
        if failures:
            raise Refused(failures.pop(0))
        if self.broken:
            raise Refused(self.broken)
        if needs_device and getattr(self._local, "device", None) is None:
            self.violations.append(f"{name} before cudaSetDevice in {threading.current_thread()}")

    @property
    def device(self) -> int:
        """The calling thread's current device."""
        return int(getattr(self._local, "device", None) or 0)

    @device.setter
    def device(self, index: int) -> None:
        self._local.device = index

    def handle(self) -> int:
        """A new one."""
        with self.condition:
            self._serial += 0x10
            return self._serial

    def allocate(self, size: int, pinned: bool) -> int:
        """Poisoned memory; its address."""
        raw = np.empty(size + 2 * ALIGNMENT, np.uint8)
        raw[:] = FRESH
        start = -raw.ctypes.data % ALIGNMENT
        address = int(raw.ctypes.data) + start
        with self.condition:
            self.allocations[address] = Allocation(address, size, pinned, raw, self.device)
        return address

    def free(self, address: int, pinned: bool) -> None:
        """Give memory back; waits for the streams first, as CUDA does."""
        self.wait_all()
        with self.condition:
            block = self.allocations.pop(int(address), None)
        if block is None or block.pinned is not pinned:
            self.violations.append(f"free of {address:#x}, which is no such allocation")
            raise Refused("cudaErrorInvalidValue")
        block.memory[:] = FREED
        self.freed.append(block)

    def find(self, address: int, size: int) -> Allocation | None:
        """The live block that holds this range."""
        with self.condition:
            for block in self.allocations.values():
                if block.address <= address and address + size <= block.address + block.size:
                    return block
        return None

    def check_range(self, address: int, size: int, what: str) -> None:
        """Note a use of memory that is not (or not any more) allocated."""
        if size and self.find(address, size) is None:
            self.violations.append(f"{what} touches {address:#x} + {size}: not allocated")

    def copy(self, target: int, source: int, size: int) -> None:
        """Happens when the stream has got so far: it reads what is there then."""
        self.check_range(target, size, "a copy's target")
        self.check_range(source, size, "a copy's source")
        ctypes.memmove(target, source, size)

    def add_stream(self) -> int:
        """A new stream with its thread."""
        stream = Stream(self.handle(), self.device)
        self.streams[stream.handle] = stream
        thread = threading.Thread(
            target=self._work, args=(stream,), name=f"double stream {stream.handle:#x}", daemon=True
        )
        self._threads.append(thread)
        thread.start()
        return stream.handle

    def _work(self, stream: Stream) -> None:
        while True:
            with self.condition:
                self.condition.wait_for(lambda: self._may_run(stream) or self._ends(stream))
                if not stream.operations:
                    return
                if self._held:
                    self._permits -= 1
                operation = stream.operations.popleft()
            operation()
            with self.condition:
                stream.completed += 1
                self.condition.notify_all()

    def _may_run(self, stream: Stream) -> bool:
        return bool(stream.operations) and (not self._held or self._permits > 0)

    def _ends(self, stream: Stream) -> bool:
        return stream.closed and not stream.operations

    def stream_of(self, handle: Any) -> Stream:
        """The stream of a handle."""
        stream = self.streams.get(int(handle))
        if stream is None:
            self.violations.append(f"use of the unknown or destroyed stream {int(handle):#x}")
            raise Refused("cudaErrorInvalidResourceHandle")
        if stream.device != self.device:
            self.violations.append("a stream of another device than the current one was used")
        return stream

    def event_of(self, handle: Any) -> Event:
        """The event of a handle."""
        event = self.events.get(int(handle))
        if event is None:
            self.violations.append(f"use of the unknown or destroyed event {int(handle):#x}")
            raise Refused("cudaErrorInvalidResourceHandle")
        return event

    def enqueue(self, stream: Stream, operation: Operation) -> None:
        """Put an operation on a stream, or into what is being captured."""
        with self.condition:
            if stream.recording is not None:
                stream.recording.append(operation)
                return
            stream.operations.append(operation)
            stream.enqueued += 1
            self.condition.notify_all()

    def record(self, event: Event, stream: Stream) -> None:
        """Let an event fire when the stream has got so far."""
        with self.condition:
            event.recorded += 1
            version = event.recorded

        def fire() -> None:
            with self.condition:
                event.seen = max(event.seen, version)
                event.at = stream.clock
                self.condition.notify_all()

        self.enqueue(stream, fire)

    def wait_for(self, event: Event) -> None:
        """Block until an event has fired."""
        with self.condition:
            self.condition.wait_for(lambda: event.seen >= event.recorded)

    def wait_stream(self, stream: Stream) -> None:
        """Block until everything enqueued so far has run."""
        with self.condition:
            goal = stream.enqueued
            self.condition.wait_for(lambda: stream.completed >= goal)

    def wait_all(self) -> None:
        """Block until all streams are idle."""
        for stream in list(self.streams.values()):
            self.wait_stream(stream)


_current = World(devices=0, driver=0)


def current() -> World:
    """The world that the functions of the double act on."""
    return _current


def replace(world: World) -> World:
    """Make another world current; returns the one before."""
    global _current
    before, _current = _current, world
    return before
