"""The state behind the double of the CUDA runtime: a machine with streams, memory, graphs, faults.

It enforces the rules that the product relies on. Every stream has a thread and processes its
operations at its own pace, later than they were enqueued; a copy reads its source when it runs;
memory is poisoned when it is allocated and when it is freed.
"""

import threading
from collections import Counter
from typing import Any

from support.doubles.memory import ALIGNMENT, FREED, FRESH, Allocation, Memory
from support.doubles.streams import DEFAULT_STREAMS, Event, Node, Refused, Stream

__all__ = [
    "ALIGNMENT",
    "BYTES_PER_SECOND",
    "COPY_SECONDS",
    "FREED",
    "FRESH",
    "Allocation",
    "Event",
    "Refused",
    "Stream",
    "World",
    "current",
    "new_world",
    "replace",
]

COPY_SECONDS, BYTES_PER_SECOND = 1e-6, 50e9


class World(Memory):
    """One pretended machine.

    Attributes:
        devices: how many GPUs there are.
        driver: version that the driver reports (0: there is none).
        calls: how often each function was called.
        events: by handle, as `streams` are.
        graphs: templates, by handle.
        executables: graphs that can be launched, by handle.
        last_error: name of what `cudaGetLastError` gives.
        gpu: name of every GPU.
        capability: their compute capability.
        answered: a call other than for versions has succeeded, so there is a driver.
        survivors: functions that keep working when the device is broken.
    """

    def __init__(self, devices: int = 1, driver: int = 13000):
        super().__init__()
        self.devices = devices
        self.driver = driver
        self.gpu = "Double GPU"
        self.capability = (9, 0)
        self.calls: Counter[str] = Counter()
        self.events: dict[int, Event] = {}
        self.graphs: dict[int, list[Node]] = {}
        self.executables: dict[int, list[Node]] = {}
        self.last_error = "cudaSuccess"
        self.answered = False
        self.survivors: frozenset[str] = frozenset()
        self._failures: dict[str, list[str]] = {}
        self._serial = 0x1000
        self._local = threading.local()
        self._defaults: dict[tuple[int, int], Stream] = {}

    # -- what tests do ---------------------------------------------------------------------------

    def fail(self, function: str, error: str, times: int = 1) -> None:
        """Let the next calls of a function fail."""
        with self.condition:
            self._failures.setdefault(function, []).extend([error] * times)

    def break_device(self, error: str = "cudaErrorLaunchFailure") -> None:
        """A sticky error: from now on every call returns it, and nothing waits any more."""
        with self.condition:
            self.broken = self.last_error = error
            self.condition.notify_all()

    def leftovers(self) -> dict[str, int]:
        """What was not freed, by kind."""
        counts = {
            "allocations": len(self.allocations),
            "streams": len(self.streams),
            "events": len(self.events),
            "graphs": len(self.graphs) + len(self.executables),
        }
        return {kind: count for kind, count in counts.items() if count}

    def close(self) -> None:
        """End the streams' threads."""
        self.stop()

    # -- what the calls do -----------------------------------------------------------------------

    def enter_call(self, name: str, needs_device: bool) -> None:
        """Count a call, and let it fail if it is supposed to."""
        with self.condition:
            self.calls[name] += 1
            failures = self._failures.get(name)
            failure = failures.pop(0) if failures else self.broken
            if name in self.survivors and failure == self.broken:
                failure = ""
        if failure:
            raise Refused(failure)
        if needs_device:
            self.check_thread(name)

    def check_thread(self, what: str) -> None:
        """Record a thread that has not selected a device."""
        if getattr(self._local, "device", None) is None:
            name = threading.current_thread().name
            self.violations.append(f"{what} before cudaSetDevice in thread {name}")

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

    def add_stream(self) -> int:
        """A new stream with its thread."""
        stream = Stream(self.handle(), self.device)
        with self.condition:
            self.streams[stream.handle] = stream
        self.start(stream)
        return stream.handle

    def stream_of(self, handle: Any) -> Stream:
        """The stream of a handle. It may only be used by a thread on its device: stricter than
        CUDA, which demands that for launches only, but nothing here needs more."""
        stream = self._find_stream(int(handle))
        if stream is None:
            self.violations.append(f"use of the unknown or destroyed stream {int(handle):#x}")
            raise Refused("cudaErrorInvalidResourceHandle")
        if stream.device != self.device:
            self.violations.append("a stream of another device than the current one was used")
        return stream

    def _find_stream(self, handle: int) -> Stream | None:
        with self.condition:
            found = self.streams.get(handle)
            if found is None and handle in DEFAULT_STREAMS:
                key = handle, self.device
                found = self._defaults.get(key)
                if found is None:
                    found = self._defaults[key] = Stream(*key)
                    self.start(found)
        return found

    def event_of(self, handle: Any) -> Event:
        """The event of a handle."""
        event = self.events.get(int(handle))
        if event is None:
            self.violations.append(f"use of the unknown or destroyed event {int(handle):#x}")
            raise Refused("cudaErrorInvalidResourceHandle")
        return event

    def graph_of(self, handle: Any, graphs: dict[int, list[Node]]) -> list[Node]:
        """Of `graphs` or of `executables`."""
        nodes = graphs.get(int(handle))
        if nodes is None:
            self.violations.append(f"use of the unknown or destroyed graph {int(handle):#x}")
            raise Refused("cudaErrorInvalidResourceHandle")
        return nodes

    def forbid_in_capture(self, stream: Stream) -> None:
        """A stream being captured must not be queried: nothing on it runs."""
        if stream.recording is not None:
            stream.spoiled = True
            raise Refused("cudaErrorStreamCaptureUnsupported")

    def forbid_while_capturing(self) -> None:
        """What a thread must not call while it captures (thread-local mode: others may)."""
        mine = threading.get_ident()
        for stream in list(self.streams.values()):
            if stream.capturer == mine:
                self.forbid_in_capture(stream)


_current = World(devices=0, driver=0)


def current() -> World:
    """The world that the functions of the double act on."""
    return _current


def replace(world: World) -> World:
    """Make another world current; returns the one before."""
    global _current
    before, _current = _current, world
    return before


def new_world(devices: int = 1, driver: int = 13000) -> World:
    """End the current world and begin another one."""
    world = World(devices, driver)
    replace(world).close()
    return world
