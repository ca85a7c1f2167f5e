"""CUDA as this library uses it: checked objects, each with one owner, closed in reverse order.

Nothing here is freed in `__del__`: freeing waits for the device, and the garbage collector runs in
any thread. No object is created before `find_device` has confirmed a device and a new enough
driver.
"""

from trtasync.runtimes.cuda.arrays import ArrayIntake, DeviceArray, LentInput, OutputPool
from trtasync.runtimes.cuda.calls import NOT_READY, CaptureFailed
from trtasync.runtimes.cuda.device import Device, driver_report, find_device
from trtasync.runtimes.cuda.graphs import Graph, capture
from trtasync.runtimes.cuda.memory import ALIGNMENT, DeviceBuffer, PinnedBuffer, aligned, copy_all
from trtasync.runtimes.cuda.pinned import PinnedPool, Registered, as_lent
from trtasync.runtimes.cuda.streams import Event, Stream

__all__ = [
    "ALIGNMENT",
    "NOT_READY",
    "ArrayIntake",
    "CaptureFailed",
    "Device",
    "DeviceArray",
    "DeviceBuffer",
    "Event",
    "Graph",
    "LentInput",
    "OutputPool",
    "PinnedBuffer",
    "PinnedPool",
    "Registered",
    "Stream",
    "aligned",
    "as_lent",
    "capture",
    "copy_all",
    "driver_report",
    "find_device",
]
