"""The CUDA double's functions for streams, events, captures and graphs."""
# ruff: noqa: N802, N803 - the genuine names

import threading
import time
from typing import Any

from cuda.bindings import runtime as genuine  # noqa: TID253 - the double of it

from support.doubles.cuda_calls import call
from support.doubles.streams import Event, Refused
from support.doubles.world import current

_STATUS = genuine.cudaStreamCaptureStatus


@call
def cudaStreamCreateWithFlags(flags: int) -> int:
    if flags != int(genuine.cudaStreamNonBlocking):
        current().violations.append("a stream that waits for the default stream")
    return current().add_stream()


@call
def cudaStreamDestroy(stream: Any) -> None:
    world = current()
    found = world.stream_of(stream)
    with world.condition:
        found.closed = True
        del world.streams[found.handle]
        world.condition.notify_all()


@call
def cudaStreamSynchronize(stream: Any) -> None:
    world = current()
    found = world.stream_of(stream)
    world.forbid_in_capture(found)
    world.wait_stream(found)
    _raise_if_broken()


@call
def cudaStreamQuery(stream: Any) -> None:
    world = current()
    found = world.stream_of(stream)
    world.forbid_in_capture(found)
    with world.condition:
        if found.completed < found.enqueued:
            world.ask_for(found)
            raise Refused("cudaErrorNotReady")


@call
def cudaStreamWaitEvent(stream: Any, event: Any, flags: int) -> None:
    world = current()
    world.let_wait(world.stream_of(stream), world.event_of(event))


def _raise_if_broken() -> None:
    if current().broken:
        raise Refused(current().broken)


# -- events --------------------------------------------------------------------------------------


@call
def cudaEventCreateWithFlags(flags: int) -> int:
    world = current()
    timing = not flags & int(genuine.cudaEventDisableTiming)
    event = Event(world.handle(), world.device, timing)
    world.events[event.handle] = event
    return event.handle


@call
def cudaEventDestroy(event: Any) -> None:
    del current().events[current().event_of(event).handle]


@call
def cudaEventRecord(event: Any, stream: Any) -> None:
    world = current()
    found, on = world.event_of(event), world.stream_of(stream)
    if found.device != on.device:
        world.violations.append("an event was recorded on a stream of another device")
        raise Refused("cudaErrorInvalidResourceHandle")
    world.record(found, on)


def _asked(event: Any) -> Event:
    """An event that is asked for or waited for: not one of a capture."""
    found = current().event_of(event)
    if found.captured_by is not None:
        found.captured_by.spoiled = found.captured_by.recording is not None
        raise Refused("cudaErrorCapturedEvent")
    return found


@call
def cudaEventQuery(event: Any) -> None:
    if not current().is_ready(_asked(event)):
        time.sleep(0)  # whoever polls lets the streams' threads have the GIL
        raise Refused("cudaErrorNotReady")


@call
def cudaEventSynchronize(event: Any) -> None:
    current().wait_for(_asked(event))
    _raise_if_broken()


@call
def cudaEventElapsedTime(start: Any, end: Any) -> float:
    first, last = _asked(start), _asked(end)
    if not (first.timing and last.timing and first.recorded and last.recorded):
        raise Refused("cudaErrorInvalidResourceHandle")
    if first.seen < first.recorded or last.seen < last.recorded:
        raise Refused("cudaErrorNotReady")
    return (last.at - first.at) * 1e3


# -- captures and graphs -------------------------------------------------------------------------


@call
def cudaStreamBeginCapture(stream: Any, mode: Any) -> None:
    found = current().stream_of(stream)
    if mode != genuine.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal:
        current().violations.append("a capture that any thread's allocation would end")
    if found.recording is not None:
        raise Refused("cudaErrorIllegalState")
    found.capturer = threading.get_ident()
    found.recording, found.spoiled = [], False


@call
def cudaStreamEndCapture(stream: Any) -> int:
    world = current()
    found = world.stream_of(stream)
    if found.recording is None:
        raise Refused("cudaErrorIllegalState")
    if found.capturer != threading.get_ident():
        raise Refused("cudaErrorStreamCaptureWrongThread")
    nodes, spoiled = found.recording, found.spoiled
    found.recording, found.spoiled, found.capturer = None, False, 0
    if spoiled:
        raise Refused("cudaErrorStreamCaptureInvalidated")
    handle = world.handle()
    world.graphs[handle] = nodes
    return handle


@call
def cudaStreamIsCapturing(stream: Any) -> Any:
    found = current().stream_of(stream)
    if found.recording is None:
        return _STATUS.cudaStreamCaptureStatusNone
    if found.spoiled:
        return _STATUS.cudaStreamCaptureStatusInvalidated
    return _STATUS.cudaStreamCaptureStatusActive


@call
def cudaGraphInstantiate(graph: Any, flags: int) -> int:
    world = current()
    nodes = world.graph_of(graph, world.graphs)
    handle = world.handle()
    world.executables[handle] = list(nodes)
    return handle


@call
def cudaGraphUpload(graphExec: Any, stream: Any) -> None:
    world = current()
    world.graph_of(graphExec, world.executables)
    world.stream_of(stream)


@call
def cudaGraphLaunch(graphExec: Any, stream: Any) -> None:
    world = current()
    nodes, found = world.graph_of(graphExec, world.executables), world.stream_of(stream)
    with world.condition:
        for node in nodes:
            world.enqueue(found, node.job, node.seconds)


@call
def cudaGraphDestroy(graph: Any) -> None:
    world = current()
    world.graph_of(graph, world.graphs)
    del world.graphs[int(graph)]


@call
def cudaGraphExecDestroy(graphExec: Any) -> None:
    world = current()
    world.graph_of(graphExec, world.executables)
    world.wait_all()
    del world.executables[int(graphExec)]
