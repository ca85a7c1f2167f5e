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
    """A source that has been read.

    Attributes:
        name: its name in messages and logs.
        digest: digest of everything that defines the network; None if that is not known.
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
        """The axes as the file names them."""
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
        """Empty: nobody has named them."""
        return {}

    def call(self, network: Any, trt: Any) -> object:
        """Let it define the network; keep what it returns until the plan is built.

        Args:
            network: an empty network.
            trt: the module to pass to a parameter of this name.
        """
        try:
            parameter = signature(self.define).parameters.get("trt")
        except (TypeError, ValueError):  # a function written in C need not have one
            parameter = None
        if parameter is None:
            return self.define(network)
        if parameter.kind in (Parameter.POSITIONAL_ONLY, Parameter.VAR_POSITIONAL):
            return self.define(network, trt)
        return self.define(network, trt=trt)


def check_source(source: Any) -> None:
    """Refuse at once what is not a source.

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
    """Read a model as far as possible without TensorRT. In a thread: it may be gigabytes.

    Args:
        source: path of an ONNX file, or a network function.
        cache_key: what identifies the network, according to the user; for a file, in addition to
        its content.
        kept: there is a cache, which needs a digest.

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
