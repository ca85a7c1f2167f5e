"""Streams and events."""

from trtasync.runtimes.cuda.calls import NOT_READY
from trtasync.runtimes.cuda.device import Device


class Stream:
    """A queue of work on a device; non-blocking, so the legacy default stream never waits for it.

    Attributes:
        handle: CUDA's own, as an int.
    """

    def __init__(self, device: Device):
        self._device = device
        flags = device.runtime.cudaStreamNonBlocking
        self.handle: int = int(device.call(device.runtime.cudaStreamCreateWithFlags, flags))

    def synchronize(self) -> None:
        """Wait until everything enqueued has run; releases the GIL."""
        self._device.call(self._device.runtime.cudaStreamSynchronize, self.handle)

    def wait_event(self, event: "Event") -> None:
        """Make everything enqueued from now on run after the event has fired."""
        self._device.call(self._device.runtime.cudaStreamWaitEvent, self.handle, event.handle, 0)

    def close(self) -> None:
        """Destroy it; work that is enqueued still runs."""
        if self.handle:
            self._device.free(self._device.runtime.cudaStreamDestroy, self.handle)
            self.handle = 0


class Event:
    """A point in a stream that can be queried, waited for and, with `timing`, timed.

    Attributes:
        device: where.
    """

    def __init__(self, device: Device, *, blocking: bool = False, timing: bool = False):
        """Create the event; it is not recorded anywhere yet.

        Args:
            device: where.
            blocking: `synchronize` sleeps instead of spinning.
            timing: allows `seconds_since`.
        """
        self.device = device
        module = device.runtime
        flags = int(module.cudaEventBlockingSync) if blocking else int(module.cudaEventDefault)
        if not timing:
            flags |= int(module.cudaEventDisableTiming)
        self.handle: int = int(device.call(module.cudaEventCreateWithFlags, flags))
        self._record = device.fast.event_record
        self._query = device.fast.event_query

    def record(self, stream: int) -> None:
        """Put the event on a stream, behind what is enqueued there."""
        code = self._record(self.handle, stream)
        if code:
            self.device.check(code, "cuEventRecord")

    def fired(self) -> bool:
        """Whether everything before it has run. Keeps the GIL.

        Raises:
            DeviceLost: something before it failed.
        """
        code = self._query(self.handle)
        if code == NOT_READY:
            return False
        if code:
            self.device.check(code, "cuEventQuery")
        return True

    def synchronize(self) -> None:
        """Wait until it has fired; releases the GIL."""
        self.device.call(self.device.runtime.cudaEventSynchronize, self.handle)

    def seconds_since(self, earlier: "Event") -> float:
        """Seconds between two events that have both fired."""
        module = self.device.runtime
        milliseconds = self.device.call(module.cudaEventElapsedTime, earlier.handle, self.handle)
        return float(milliseconds) * 1e-3

    def close(self) -> None:
        """Destroy it."""
        if self.handle:
            self.device.free(self.device.runtime.cudaEventDestroy, self.handle)
            self.handle = 0
