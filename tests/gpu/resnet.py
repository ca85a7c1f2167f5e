"""ResNet-50 as the double's kernel: torch's own kernels, captured over the context's addresses.

The first enqueue of a set of (addresses, shapes) builds a `torch.cuda.CUDAGraph` whose inputs and
outputs alias the context's device memory. Later enqueues launch that graph on the stream they are
given, and inside a capture of ours they insert it as a child graph node: a graph launch itself may
be refused there, and the node is what the engine's graphs of real TensorRT plans contain anyway.

All graphs are built by one thread of our own. That thread is never inside a capture of the
engine's (which are thread-local), and cuDNN's choice of algorithms, which torch keeps per thread,
is made once per shape: engine and yardsticks run the very same kernels.
"""

import gc
import logging
import os
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from tests.gpu.hardware import call, driver, enter, load, new_stream
from tests.gpu.kernels import Kernel, situation

log = logging.getLogger("tests.gpu")

IMAGE, CLASSES = (3, 224, 224), 1000
SEED = 50
WARM_UPS = 3
ALGORITHMS = 4
"""Of each convolution, tried by cuDNN; more take minutes for all batch sizes. The environment
variable GPU_CUDNN_BENCHMARK=0 takes its first guess instead."""
TYPES = {"float32": "<f4", "uint8": "|u1"}


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


def alias(address: int, shape: tuple[int, ...], dtype: str) -> Any:
    """A tensor over device memory."""
    torch = load("torch")
    tensor = torch.as_tensor(Memory(address, shape, TYPES[dtype]), device="cuda:0")
    if tensor.data_ptr() != address:
        raise RuntimeError("torch copied the memory that it should alias")
    return tensor


class Built:
    """One captured graph, its executable form and the memory it works in."""

    def __init__(self, graph: Any, keep: tuple[Any, ...]):
        """`graph`: torch's, captured with `keep_graph=True`; `keep`: what must live as long."""
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


class ResNet50:
    """The model, and the kernels made of it. Random weights of a fixed seed, half precision.

    Attributes:
        fused: bias, addition and ReLU are part of the convolutions (cuDNN's fused calls), as an
            inference compiler would have it; False where this torch refused that.
    """

    def __init__(self, fuse: bool = True) -> None:
        """The model is made now; graphs at the first enqueue of each set of addresses.

        Args:
            fuse: use cuDNN's fused convolutions, which are twice as fast, where they agree.
        """
        self._fuse = fuse
        self._builder = ThreadPoolExecutor(1, "graph-builder", enter)
        self._graphs = _PerContext()
        self._warm: set[Any] = set()
        self.fused = False
        self._builder.submit(self._make).result()

    def kernel(self, dtype: str = "float32", source: str = "x", target: str = "y") -> Kernel:
        """float32 or uint8 [n, 3, 224, 224] -> float32 [n, 1000].

        uint8 is for images as a decoder gives them: they are normalised on the GPU.
        """
        if dtype not in TYPES:
            raise ValueError(f"no ResNet-50 for {dtype}")

        def enqueue(context: Any, stream: int) -> bool:
            known = self._graphs.of(context)
            key = situation(context)
            built = known.get(key)
            if built is None:
                # waits without the GIL; this thread may be capturing, the builder's never is
                job = self._builder.submit(self._build, context, dtype, source, target)
                built = known[key] = job.result()
            return built.enqueue(stream)

        return enqueue

    def close(self) -> None:
        """End the builder's thread and give torch's spare memory back."""
        self._builder.submit(self.trim).result()
        self._builder.shutdown()

    def trim(self) -> None:
        """Give the memory of graphs that are gone back to the device."""
        gc.collect()
        load("torch").cuda.empty_cache()

    def _make(self) -> None:
        torch = load("torch")
        torch.backends.cudnn.benchmark = os.environ.get("GPU_CUDNN_BENCHMARK", "1") != "0"
        torch.backends.cudnn.benchmark_limit = ALGORITHMS
        torch.manual_seed(SEED)
        model = load("torchvision").models.resnet50(weights=None).eval().requires_grad_(False)
        for block in _blocks(model):
            # random weights let the residual sums grow; half precision must not overflow
            block.bn3.weight.mul_(0.25)
        fold_norms(model)
        model = model.to("cuda:0").half().to(memory_format=torch.channels_last)
        mean = torch.tensor([0.485, 0.456, 0.406], device="cuda:0").view(1, 3, 1, 1)
        deviation = torch.tensor([0.229, 0.224, 0.225], device="cuda:0").view(1, 3, 1, 1)
        self._scale = (1 / (255 * deviation)).half()
        self._shift = (-mean / deviation).half()
        self._run: Callable[[Any], Any] = model
        if self._fuse:
            self._try_fused(model)

    def _try_fused(self, model: Any) -> None:
        torch = load("torch")
        with torch.inference_mode():
            sample = torch.rand(2, *IMAGE, device="cuda:0").half()
            sample = sample.contiguous(memory_format=torch.channels_last)
            plain = model(sample).float()
            try:
                found = run_fused(model, sample).float()
            except Exception as error:  # whatever this torch or cuDNN has against it
                log.warning("no fused convolutions: %s", error)
                return
            worst = float((found - plain).abs().max() / plain.abs().max())
        if worst < 0.05:
            self._run, self.fused = lambda x: run_fused(model, x), True
        else:
            log.warning("no fused convolutions: they differ by %.3f", worst)

    def _forward(self, x: Any, y: Any) -> None:
        torch = load("torch")
        half = x.to(dtype=torch.half, memory_format=torch.channels_last)
        if x.dtype == torch.uint8:
            half = torch.addcmul(self._shift, half, self._scale)
        y.copy_(self._run(half))

    def _build(self, context: Any, dtype: str, source: str, target: str) -> Built:
        torch = load("torch")
        shape = tuple(int(size) for size in context._shapes[source])
        x = alias(context._addresses[source], shape, dtype)
        y = alias(context._addresses[target], (shape[0], CLASSES), "float32")
        side = torch.cuda.ExternalStream(new_stream())  # one each: cuBLAS's workspace is per stream
        with torch.inference_mode(), torch.cuda.stream(side):
            if (shape, dtype) not in self._warm:
                self._warm_up(x, y)
                self._warm.add((shape, dtype))
            side.synchronize()
            _forget_workspaces()
            graph = torch.cuda.CUDAGraph(keep_graph=True)
            with _capturing(graph):
                self._forward(x, y)
            _forget_workspaces()
        return Built(graph, (side, x, y))

    def _warm_up(self, x: Any, y: Any) -> None:
        """cuDNN tries its algorithms here, over memory of our own: the context's may be in use."""
        torch = load("torch")
        own_x, own_y = torch.zeros_like(x), torch.empty_like(y)
        for _ in range(WARM_UPS):
            self._forward(own_x, own_y)


class _PerContext:
    """The graphs of each context, gone when it is gone."""

    def __init__(self) -> None:
        self._known: weakref.WeakKeyDictionary[Any, dict[Any, Built]] = weakref.WeakKeyDictionary()
        self._pinned: dict[int, tuple[Any, dict[Any, Built]]] = {}

    def of(self, context: Any) -> dict[Any, Built]:
        """What was built for a context."""
        try:
            return self._known.setdefault(context, {})
        except TypeError:  # no weak references to it, or no hash: it is kept for good
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


def _blocks(model: Any) -> list[Any]:
    return [block for layer in _layers(model) for block in layer]


def _layers(model: Any) -> tuple[Any, ...]:
    return (model.layer1, model.layer2, model.layer3, model.layer4)


def fold_norms(model: Any) -> None:
    """Fold every batch norm into its convolution, as TensorRT does."""
    torch = load("torch")
    fuse = load("torch.nn.utils.fusion").fuse_conv_bn_eval
    identity = torch.nn.Identity
    model.conv1, model.bn1 = fuse(model.conv1, model.bn1), identity()
    for block in _blocks(model):
        for number in (1, 2, 3):
            conv, norm = getattr(block, f"conv{number}"), getattr(block, f"bn{number}")
            setattr(block, f"conv{number}", fuse(conv, norm))
            setattr(block, f"bn{number}", identity())
        if block.downsample is not None:
            block.downsample = torch.nn.Sequential(fuse(*block.downsample))


def run_fused(model: Any, x: Any) -> Any:
    """The forward pass with cuDNN's fused convolutions; norms must be folded."""
    x = model.maxpool(_conv_relu(model.conv1, x))
    for block in _blocks(model):
        residual = x if block.downsample is None else block.downsample(x)
        x = _conv_relu(block.conv2, _conv_relu(block.conv1, x))
        x = _conv_add_relu(block.conv3, x, residual)
    return model.fc(model.avgpool(x).flatten(1))


def _conv_relu(conv: Any, x: Any) -> Any:
    return load("torch").cudnn_convolution_relu(
        x, conv.weight, conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups
    )


def _conv_add_relu(conv: Any, x: Any, z: Any) -> Any:
    return load("torch").cudnn_convolution_add_relu(
        x, conv.weight, z, 1.0, conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups
    )
