"""Where a network comes from: an ONNX file, or a function that defines it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, iscoroutinefunction, signature
from os import PathLike
from typing import Any, Protocol

from trtasync.errors import InvalidInput
from trtasync.model.axes import AxisNames
from trtasync.plans.axis_names import axis_names
from trtasync.plans.onnx_files import OnnxFile, read_onnx
from trtasync.plans.paths import read_path

NetworkFunction = Callable[..., object]
"""define(network), or define(network, trt) to get TensorRT's module without importing one: adds
inputs and layers with TensorRT's own calls and marks outputs. What it returns is kept until the
plan is built: TensorRT reads numpy weights only then and does not copy them, so return whatever
holds yours."""

Source = str | PathLike[str] | NetworkFunction


class Model(Protocol):
    """A source that was read.

    Attributes:
        name: for messages and logs.
        digest: of all that defines the network; None when nobody can tell.
        axes: tensor name -> its axes, as far as they are known without TensorRT.
    """

    @property
    def name(self) -> str: ...
    @property
    def digest(self) -> str | None: ...
    @property
    def axes(self) -> AxisNames: ...


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """An ONNX file; see `Model`."""

    file: OnnxFile
    digest: str | None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.file.path.name

    @property
    def axes(self) -> AxisNames:
        """As the file names them."""
        return axis_names(self.file.model)


@dataclass(frozen=True, slots=True)
class FunctionModel:
    """A network function; see `Model`."""

    define: NetworkFunction
    digest: str | None

    @property
    def name(self) -> str:
        """The function's name."""
        return getattr(self.define, "__name__", None) or type(self.define).__name__

    @property
    def axes(self) -> AxisNames:
        """Nobody has named them."""
        return {}

    def call(self, network: Any, trt: Any) -> object:
        """Have it define the network; what it returns is to be kept until the plan is built.

        Args:
            network: empty.
            trt: the module that a parameter of this name gets.
        """
        try:
            parameter = signature(self.define).parameters.get("trt")
        except (TypeError, ValueError):  # what is written in C need not have one
            parameter = None
        if parameter is None:
            return self.define(network)
        if parameter.kind in (Parameter.POSITIONAL_ONLY, Parameter.VAR_POSITIONAL):
            return self.define(network, trt)
        return self.define(network, trt=trt)


def check_source(source: Any) -> None:
    """Refuse at once what is no source.

    Raises:
        InvalidInput: it is neither a path nor a function.
    """
    if isinstance(source, (str, PathLike)):
        read_path("the model", source)
    elif not callable(source) or iscoroutinefunction(source):
        raise InvalidInput(
            "build from the path of an .onnx file or from a function define(network), not from "
            f"{source!r}."
        )


def read_source(source: Source, cache_key: str | None, kept: bool) -> OnnxModel | FunctionModel:
    """Read a model as far as that goes without TensorRT. In a thread: it may be gigabytes.

    Args:
        source: path of an ONNX file, or a network function.
        cache_key: what the user says identifies the network; for a file beside its content.
        kept: there is a cache, for which a digest is needed.

    Raises:
        BuildError: the file cannot be read.
    """
    if isinstance(source, (str, PathLike)):
        file = read_onnx(read_path("the model", source), hashing=kept)
        return OnnxModel(file, _digest(file.digest(), cache_key) if kept else None)
    return FunctionModel(source, None if cache_key is None else _digest("function", cache_key))


def _digest(content: str, cache_key: str | None) -> str:
    if cache_key is None:
        return content
    return hashlib.sha256(f"{content}\n{cache_key}".encode()).hexdigest()
