"""Plans of the builder: files that hold all they need, and who may read them."""

import hashlib
import json
import pickle
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from support.doubles.models import Model, Range, Shape, Tensor, host_kernel
from support.doubles.trt_graph import Graph, on_zeros

MAGIC = b"ftrt-built\n"
DIGEST = 32

NOT_A_PLAN = (
    "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Serialization assertion "
    "magicTagRead == kMAGIC_TAG failed.Magic tag does not match)"
)
NEEDS_HOST_CODE = (
    "IRuntime::deserializeCudaEngine: Error Code 3: API Usage Error (Parameter check failed, "
    "condition: getEngineHostCodeAllowed(). The engine contains host code, which this runtime is "
    "not allowed to load; see setEngineHostCodeAllowed.)"
)

OTHER_GPU = (
    "Using an engine plan file across different models of devices is not recommended and is likely "
    "to affect performance or even cause errors."
)
NO_ROOM = "IRuntime::deserializeCudaEngine: Error Code 2: OutOfMemory (no further information)"
NOT_LEAN = (
    "IRuntime::deserializeCudaEngine: Error Code 6: API Usage Error (The lean runtime only runs "
    "version compatible engines.)"
)


@dataclass(frozen=True)
class Head:
    """What a plan is for.

    Attributes:
        version: of TensorRT, three numbers.
        capability: of the GPU, e.g. "9.0".
        gpu: its name; "" for any.
        compatibility: name of a HardwareCompatibilityLevel.
        version_compatible: newer TensorRT of the same major version reads it too.
        host_code: it holds a lean runtime.
    """

    version: str
    capability: str
    gpu: str = ""
    compatibility: str = "NONE"
    version_compatible: bool = False
    host_code: bool = False


@dataclass(frozen=True)
class Port:
    """An input or output of a plan; see `models.Tensor`."""

    name: str
    dtype: str
    shape: Shape
    profiles: tuple[Range, ...] = ()
    host: bool = False
    data_dependent: bool = False


@dataclass(frozen=True)
class Built:
    """What a build has made."""

    name: str
    graph: Graph
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    layers: tuple[dict[str, Any], ...] = ()
    verbosity: str = "LAYER_NAMES_ONLY"
    refittable: bool = False
    streamable: int = 0


def serialize(head: Head, built: Built) -> bytes:
    """A plan file's content. The digest at its end finds whatever happens to it."""
    body = MAGIC + json.dumps(asdict(head)).encode() + b"\n" + pickle.dumps(built)
    return body + hashlib.sha256(body).digest()


def read(data: bytes) -> tuple[Head, Built] | None:
    """None for what is no whole plan."""
    body, digest = data[:-DIGEST], data[-DIGEST:]
    if not body.startswith(MAGIC) or hashlib.sha256(body).digest() != digest:
        return None
    head, _, rest = body[len(MAGIC) :].partition(b"\n")
    try:
        return Head(**json.loads(head)), pickle.loads(rest)
    except (AttributeError, ImportError, TypeError):  # of the doubles as they were another day
        return None


def problem(model: Model, version: str, capability: str) -> str:
    """Why this TensorRT on this GPU cannot run it; "" if it can."""
    if not _suits_version(model, version):
        return (
            "IRuntime::deserializeCudaEngine: Error Code 6: API Usage Error (The engine plan file "
            f"is not compatible with this version of TensorRT, expecting library version {version} "
            f"got {model.version}, please rebuild.)"
        )
    major = int(capability.split(".")[0])
    if model.capability != capability and not (model.compatibility == "AMPERE_PLUS" and major >= 8):
        return (
            "IRuntime::deserializeCudaEngine: Error Code 6: API Usage Error (The engine plan file "
            f"is generated on an incompatible device, expecting compute {capability} got compute "
            f"{model.capability}, please rebuild.)"
        )
    return ""


def _suits_version(model: Model, version: str) -> bool:
    mine, theirs = (tuple(map(int, text.split("."))) for text in (model.version, version))
    newer = model.version_compatible and mine[0] == theirs[0] and mine <= theirs
    return mine == theirs or newer


def model_of(head: Head, built: Built) -> Model:
    """What an engine is made of."""
    inputs = [
        Tensor(port.name, np.dtype(port.dtype), port.shape, port.profiles, port.host)
        for port in built.inputs
    ]
    return Model(
        built.name,
        inputs,
        _outputs(built),
        host_kernel(built.graph),
        **asdict(head),
        layers=built.layers,
        verbosity=built.verbosity,
        refittable=built.refittable,
        streamable=built.streamable,
    )


def _outputs(built: Built) -> Sequence[Tensor]:
    kinds = [(port.name, np.dtype(port.dtype), port.host) for port in built.inputs]

    @lru_cache(maxsize=256)
    def shapes(known: tuple[tuple[str, Shape], ...]) -> list[Shape]:
        try:
            return [array.shape for array in on_zeros(built.graph, kinds, dict(known))]
        except Exception as error:  # inputs that do not go together, in ONNX Runtime's own words
            raise RuntimeError("Error in infer shapes.") from error

    def infer(index: int) -> Any:
        return lambda known: shapes(tuple(sorted(known.items())))[index]

    return [
        Tensor(
            port.name,
            np.dtype(port.dtype),
            port.shape,
            infer=infer(index),
            data_dependent=port.data_dependent,
        )
        for index, port in enumerate(built.outputs)
    ]
