"""Stream capture and executable graphs."""

from collections.abc import Callable

from trtasync.errors import CudaError, DeviceLost
from trtasync.runtimes.cuda.calls import CaptureFailed
from trtasync.runtimes.cuda.device import Device
from trtasync.runtimes.cuda.streams import Stream


class Graph:
    """An executable graph: everything a batch enqueues, as one launch.

    Attributes:
        handle: CUDA's own, as an int.
    """

    def __init__(self, device: Device, handle: int):
        """For `capture`."""
        self._device = device
        self.handle: int = handle

    def close(self) -> None:
        """Destroy it. It must not be running."""
        if self.handle:
            self._device.free(self._device.runtime.cudaGraphExecDestroy, self.handle)
            self.handle = 0


def capture(device: Device, stream: Stream, work: Callable[[], None]) -> Graph:
    """Record what `work` enqueues on a stream as a graph; none of it runs.

    `work` must raise if anything cannot be enqueued: a capture that continues after a refusal
    yields a graph that lacks it and replays old results forever. The mode is thread-local, so that
    an allocation by another thread does not end the capture.

    Raises:
        CaptureFailed: nothing is left behind, and the stream is usable.
        DeviceLost: the device died.
    """
    module = device.runtime
    mode = module.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
    try:
        device.call(module.cudaStreamBeginCapture, stream.handle, mode)
    except CudaError as error:
        raise CaptureFailed(str(error)) from error
    problem: Exception | None = None
    try:
        work()
    except Exception as error:
        problem = error
    code, template = module.cudaStreamEndCapture(stream.handle)
    try:
        if problem is None:
            device.check(int(code), "cudaStreamEndCapture")
            handle = int(device.call(module.cudaGraphInstantiate, template, 0))
    except DeviceLost:
        raise
    except Exception as error:
        problem = error
    finally:
        if not int(code) and int(template):
            device.free(module.cudaGraphDestroy, template)
        module.cudaGetLastError()  # a failed capture leaves an error for the next one to find
    if problem is not None:
        if isinstance(problem, DeviceLost):
            raise problem
        raise CaptureFailed(str(problem)) from problem
    graph = Graph(device, handle)
    try:
        device.call(module.cudaGraphUpload, handle, stream.handle)
    except CudaError as error:
        graph.close()
        raise CaptureFailed(str(error)) from error
    return graph
