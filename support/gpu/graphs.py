"""Models of torch as kernels of the double, on any GPU: torch's own kernels, captured over the
context's addresses.

The first enqueue of a set of (addresses, shapes) builds a `torch.cuda.CUDAGraph` whose inputs and
outputs alias the context's device memory. Later enqueues launch that graph on the stream they are
given, and inside a capture of ours they insert it as a child graph node: a graph launch itself may
be refused there, and the node is what the engine's graphs of real TensorRT plans contain anyway.

All graphs are built by one thread of our own. That thread is never inside a capture of the
engine's (which are thread-local), and cuDNN's choice of algorithms, which torch keeps per thread,
is made once per shape: engine and yardsticks run the very same kernels.
"""

import gc
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from support.gpu.hardware import call, driver, enter, gpu_of, load, new_stream
from support.gpu.kernels import Kernel, situation

TYPES = {"float32": "<f4", "uint8": "|u1", "int32": "<i4", "int64": "<i8"}
WARM_UPS = 3

Forward = Callable[[Sequence[Any], Sequence[Any]], None]
"""forward(inputs, outputs): computes, and writes the outputs in place."""


class Memory:
    """Device memory of somebody else, for `torch.as_tensor`: no copy, no ownership."""

    def __init__(self, address: int, shape: tuple[int, ...], typestr: str):
        self.__cuda_array_interface__ = {
            "shape": shape,
            "typestr": typestr,
            "data": (address, False),
            "strides": None,
            "version": 2,  # 3 would make torch look at a stream
        }


def alias(address: int, shape: tuple[int, ...], dtype: str, gpu: int) -> Any:
    """A tensor over device memory."""
    memory = Memory(address, shape, TYPES[dtype])
    tensor = load("torch").as_tensor(memory, device=f"cuda:{gpu}")
    if tensor.data_ptr() != address:
        raise RuntimeError("torch copied the memory that it should alias")
    return tensor


class Built:
    """One captured graph, its executable form and the memory it works in."""

    def __init__(self, graph: Any, keep: tuple[Any, ...]):
        """`graph`: torch's, captured with `keep_graph=True`; `keep`: what must stay alive with
        it."""
        self._graph = graph
        self._keep = keep
        self._template = driver().CUgraph(int(graph.raw_cuda_graph()))
        self._exec = call(driver().cuGraphInstantiate, self._template, 0)
        self._launch = driver().cuGraphLaunch
        weakref.finalize(self, driver().cuGraphExecDestroy, self._exec).atexit = False

    def enqueue(self, stream: int) -> bool:
        """Launch it, or make it a node of what is being captured."""
        api = driver()
        if int(call(api.cuStreamIsCapturing, stream)) == 0:
            return not int(self._launch(self._exec, stream)[0])
        return self._add_node(stream)

    def _add_node(self, stream: int) -> bool:
        api = driver()
        found = call(api.cuStreamGetCaptureInfo, stream)
        graph, before = found[2], list(found[3] or [])
        node = call(api.cuGraphAddChildGraphNode, graph, before, len(before), self._template)
        flags = api.CUstreamUpdateCaptureDependencies_flags.CU_STREAM_SET_CAPTURE_DEPENDENCIES
        call(api.cuStreamUpdateCaptureDependencies, stream, [node], None, 1, int(flags))
        return True


class TorchModel:
    """A model whose graphs are built on demand; subclasses say what it computes.

    It is created on each GPU when the first context there runs it.
    """

    def __init__(self) -> None:
        self._builder = ThreadPoolExecutor(1, "graph-builder", enter)
        self._graphs = _PerContext()
        self._forwards: dict[int, Forward] = {}
        self._warm: set[Any] = set()
        self._builder.submit(self._forward_on, 0).result()

    def make(self, gpu: int) -> Forward:
        """The model on a GPU, which is torch's current one. In the builder's thread."""
        raise NotImplementedError

    def torch_kernel(self, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> Kernel:
        """The kernel for the double's model.

        Args:
            inputs: tensor name -> dtype (of `TYPES`), in the order of `Forward`.
            outputs: the same for outputs.
        """
        for dtype in (*inputs.values(), *outputs.values()):
            if dtype not in TYPES:
                raise ValueError(f"no tensors of {dtype} here, only of {', '.join(TYPES)}")

        def enqueue(context: Any, stream: int) -> bool:
            known = self._graphs.of(context)
            key = situation(context)
            built = known.get(key)
            if built is None:
                # waits without the GIL; this thread may be capturing, the builder's never is
                job = self._builder.submit(self._build, context, inputs, outputs)
                built = known[key] = job.result()
            return built.enqueue(stream)

        return enqueue

    def in_builder(self, work: Callable[[Forward, int], Any], gpu: int = 0) -> Any:
        """`work(forward, gpu)` in the thread that builds graphs, with that GPU current."""

        def job() -> Any:
            forward = self._forward_on(gpu)
            enter(gpu)
            with load("torch").cuda.device(gpu), load("torch").inference_mode():
                return work(forward, gpu)

        return self._builder.submit(job).result()

    def close(self) -> None:
        """End the builder's thread and release torch's spare memory."""
        self.trim()
        self._builder.shutdown()

    def trim(self) -> None:
        """Release the memory of graphs that are gone."""
        gc.collect()
        self._builder.submit(lambda: load("torch").cuda.empty_cache()).result()

    def _forward_on(self, gpu: int) -> Forward:
        forward = self._forwards.get(gpu)
        if forward is None:
            enter(gpu)
            with load("torch").cuda.device(gpu):
                forward = self._forwards[gpu] = self.make(gpu)
        return forward

    def _build(self, context: Any, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> Built:
        torch = load("torch")
        gpu = gpu_of(context._addresses[next(iter(inputs))])
        forward = self._forward_on(gpu)
        enter(gpu)

        def tensors(types: Mapping[str, str]) -> list[Any]:
            return [
                alias(context._addresses[name], _shape(context, name), dtype, gpu)
                for name, dtype in types.items()
            ]

        x, y = tensors(inputs), tensors(outputs)
        # a stream of its own: cuBLAS's workspace is per stream
        side = torch.cuda.ExternalStream(new_stream(), device=gpu)
        shapes = gpu, tuple((tuple(tensor.shape), tensor.dtype) for tensor in x)
        with torch.inference_mode(), torch.cuda.device(gpu), torch.cuda.stream(side):
            if shapes not in self._warm:
                _warm_up(forward, x, y)
                self._warm.add(shapes)
            side.synchronize()
            _forget_workspaces()
            graph = torch.cuda.CUDAGraph(keep_graph=True)
            with _capturing(graph):
                forward(x, y)
            _forget_workspaces()
        return Built(graph, (side, x, y))


def _shape(context: Any, name: str) -> tuple[int, ...]:
    return tuple(int(size) for size in context._shapes[name])


def _warm_up(forward: Forward, x: Sequence[Any], y: Sequence[Any]) -> None:
    """cuDNN tries its algorithms here, over memory of our own: the context's may be in use."""
    torch = load("torch")
    own_x = [torch.zeros_like(tensor) for tensor in x]
    own_y = [torch.empty_like(tensor) for tensor in y]
    for _ in range(WARM_UPS):
        forward(own_x, own_y)


class _PerContext:
    """The graphs of each context, which are freed with it."""

    def __init__(self) -> None:
        self._known: weakref.WeakKeyDictionary[Any, dict[Any, Built]] = weakref.WeakKeyDictionary()
        self._pinned: dict[int, tuple[Any, dict[Any, Built]]] = {}

    def of(self, context: Any) -> dict[Any, Built]:
        """What was built for a context."""
        try:
            return self._known.setdefault(context, {})
        except TypeError:  # no weak references to it, or no hash: it is kept forever
            return self._pinned.setdefault(id(context), (context, {}))[1]


@contextmanager
def _capturing(graph: Any) -> Iterator[None]:
    """`torch.cuda.graph` without its wait for the device, which a capture elsewhere forbids."""
    graph.capture_begin(capture_error_mode="thread_local")
    try:
        yield
    finally:
        graph.capture_end()


def _forget_workspaces() -> None:
    """Let cuBLAS take its workspace from the pool of the graph being captured.

    It is kept per thread and stream otherwise, and graphs that run at the same time would share it.
    """
    with suppress(AttributeError):
        load("torch")._C._cuda_clearCublasWorkspaces()
