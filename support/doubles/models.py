"""How a test declares a model for the double of TensorRT, and the plans made of it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

MAGIC = b"ftrt-double\n"

Shape = tuple[int, ...]
Range = tuple[Shape, Shape, Shape]
Kernel = Callable[[Any, int], bool]
"""kernel(context, stream) -> accepted. Puts the network's work on the stream."""


@dataclass(frozen=True)
class Tensor:
    """One input or output.

    Attributes:
        name: of the tensor.
        dtype: numpy's.
        shape: -1 where dynamic.
        profiles: inputs: (min, opt, max) shapes, or values (host), per optimization profile.
        host: it is a shape tensor.
        infer: outputs: from the input shapes (and values) by name to its shape; by default every -1
            is the same axis of the first input.
        data_dependent: outputs: its size is known only after it was computed.
        alias_of: outputs: the input whose memory it shares.
        format: how TensorRT describes its layout; row-major where empty.
    """

    name: str
    dtype: Any
    shape: Shape
    profiles: Sequence[Range] = ()
    host: bool = False
    infer: Callable[[dict[str, Shape]], Shape] | None = None
    data_dependent: bool = False
    alias_of: str = ""
    format: str = ""


@dataclass(frozen=True)
class Model:
    """A network and what its engine reports.

    Attributes:
        name: it is registered under this name, which its plan holds.
        inputs: in order.
        outputs: in order.
        kernel: what an enqueue does.
        activation_bytes: of one context; or a function of the profile's index.
        capturable: an enqueue inside a stream capture is accepted.
        version: of the TensorRT that "built" the plan.
        capability: of the GPU it was built for.
        largest: output name -> upper bound in bytes of a data-dependent output; unknown without.
        gpu: name of the GPU it was built on; "" if that does not matter.
        compatibility: name of a HardwareCompatibilityLevel.
        version_compatible: newer TensorRT of the same major version accepts it.
        host_code: the plan holds a lean runtime, which needs `engine_host_code_allowed`.
        layers: what the engine inspector reports about each, in full.
        verbosity: name of the ProfilingVerbosity it was built with.
        refittable: its weights can be replaced.
        streamable: bytes of its weights that can be streamed.
        weight_bytes: what an engine needs on the device; they are not allocated.
    """

    name: str
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    kernel: Kernel
    activation_bytes: int | Callable[[int], int] = 1024
    capturable: bool = True
    version: str = "11.4.0"
    capability: str = "9.0"
    largest: dict[str, int] = field(default_factory=dict)
    gpu: str = ""
    compatibility: str = "NONE"
    version_compatible: bool = False
    host_code: bool = False
    layers: Sequence[dict[str, Any]] = ()
    verbosity: str = "LAYER_NAMES_ONLY"
    refittable: bool = False
    streamable: int = 0
    weight_bytes: int = 0

    def tensor(self, name: str) -> Tensor | None:
        """By name."""
        found = [tensor for tensor in (*self.inputs, *self.outputs) if tensor.name == name]
        return found[0] if found else None

    def activation(self, profile: int) -> int:
        """Bytes of activation memory of one context on a profile."""
        size = self.activation_bytes
        return size if isinstance(size, int) else size(profile)

    @property
    def profile_count(self) -> int:
        """At least one."""
        return max(1, *(len(tensor.profiles) for tensor in self.inputs), 1)


_models: dict[str, Model] = {}


def plan(model: Model) -> bytes:
    """A plan file's content."""
    _models[model.name] = model
    head = {"model": model.name, "version": model.version, "capability": model.capability}
    return MAGIC + json.dumps(head).encode() + b"\n" + bytes(64)


def find(data: bytes) -> Model | None:
    """The model of a plan that `plan` made in this process; None for anything else."""
    if not data.startswith(MAGIC) or not data.endswith(b"\n" + bytes(64)):
        return None
    try:
        head = json.loads(data[len(MAGIC) : -65])
    except ValueError:
        return None
    if not isinstance(head, dict) or head.get("model") not in _models:
        return None
    model = _models[head["model"]]
    return replace(model, version=head["version"], capability=head["capability"])


def host_kernel(function: Callable[..., Any], seconds: float = 1e-5) -> Kernel:
    """A kernel from a numpy function of all inputs (in order) to the output(s).

    It is two operations of its stream. The first fills the activation memory; the second reads the
    inputs (then, not when it is enqueued), looks at the activation memory again and writes the
    outputs. A context that shares that memory at the same time, on another stream, makes the
    answers wrong.

    Args:
        function: gets shape tensors with their values at the enqueue.
        seconds: the stream's pretended time that it takes.
    """
    from support.doubles import kernels

    return kernels.HostKernel(function, seconds)


def elementwise(
    function: Callable[[Any], Any], width: int = 4, most: int = 8, **more: Any
) -> Model:
    """float32 x[n, width] -> y[n, width], one profile of 1 to `most` rows."""
    name = more.pop("name", "elementwise")
    ranges = [((1, width), (most, width), (most, width))]
    x = Tensor("x", np.float32, (-1, width), ranges)
    y = Tensor("y", np.float32, (-1, width))
    kernel = more.pop("kernel", None) or host_kernel(function)
    return Model(name, [x], [y], kernel, **more)
