"""One program on one builder: what it is given, and how it is run."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.genuine.recording import Record, Recorded, plain

Program = Callable[["Trial"], None]

NO_DRIVER = "cudaError 35"
"""What the genuine one says beside each of its errors, where there is no GPU."""

MISTAKES = (TypeError, ValueError, RuntimeError, IndexError, AttributeError, KeyError)
"""What TensorRT's bindings raise."""

F32 = np.float32
RANGE = ((1, 4), (2, 4), (8, 4))


class Workshop:
    """TensorRT in this process, with its one logger: a second one would be ignored.

    Attributes:
        trt: the module.
        logger: hands what is said to the program that runs.
        record: of that program.
    """

    def __init__(self, trt: Any):
        self.trt = trt
        self.record = Record()
        self.logger = self._make_logger()

    def _make_logger(self) -> Any:
        trt, workshop = self.trt, self

        class Log(trt.ILogger):  # type: ignore[misc, name-defined]  # known at run time only
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, msg: str) -> None:
                if NO_DRIVER not in msg:
                    workshop.record.hear(severity.name)

        return Log()

    def run(self, program: Program) -> list[str]:
        """The steps of a program."""
        self.record = Record()
        trial = Trial(self)
        with suppress(*MISTAKES):  # the last step says so
            program(trial)
        return self.record.steps


class Trial:
    """A builder and all that belongs to a build; what is done with them is noted.

    Attributes:
        trt: the module.
        builder, network, config: recorded objects of TensorRT.
    """

    def __init__(self, workshop: Workshop):
        self.trt = trt = workshop.trt
        self._workshop, self.record = workshop, workshop.record
        self._kept: list[Any] = []
        builder = trt.Builder(workshop.logger)
        strong = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        self.builder = Recorded(builder, "builder", self.record)
        self.network = Recorded(builder.create_network(strong), "network", self.record)
        self.config = Recorded(builder.create_builder_config(), "config", self.record)
        self.record.said.clear()

    def attempt(self, what: str, act: Callable[[], Any]) -> Any:
        """Something that is no method or property of a recorded object."""
        return self.record.attempt(what, act)

    def look(self, it: Any, *names: str) -> None:
        """At properties of a recorded object: that is noted."""
        for name in names:
            getattr(it, name)

    # -- networks ----------------------------------------------------------------------------------

    def input(self, name: str = "x", shape: tuple[int, ...] = (-1, 4), dtype: str = "FLOAT") -> Any:
        """One more input."""
        return self.network.add_input(name, getattr(self.trt.DataType, dtype), shape)

    def ones(self, shape: tuple[int, ...] = (1, 4), dtype: Any = F32) -> Any:
        """A constant's output."""
        return self.network.add_constant(shape, self.keep(np.ones(shape, dtype))).get_output(0)

    def keep(self, it: Any) -> Any:
        """Hold something until the program has ended: TensorRT does not copy weights, for one."""
        self._kept.append(it)
        return it

    def sum(self, one: Any, other: Any, operation: str = "SUM") -> Any:
        """A layer's output."""
        how = getattr(self.trt.ElementWiseOperation, operation)
        return self.network.add_elementwise(one, other, how).get_output(0)

    def mark(self, tensor: Any, name: str = "y") -> None:
        """Make it an output."""
        if name:
            tensor.name = name
        self.network.mark_output(tensor)

    def define(self, shape: tuple[int, ...] = (-1, 4)) -> None:
        """y = x + 1."""
        self.mark(self.sum(self.input(shape=shape), self.ones()))

    # -- profiles, builds --------------------------------------------------------------------------

    def profile(self, *range_: Any, name: str = "x") -> None:
        """Add one."""
        profile = self.builder.create_optimization_profile()
        profile.set_shape(name, *(range_ or RANGE))
        self.config.add_optimization_profile(profile)

    def build(self) -> Any:
        """The plan, if there is one; and what the network looks like then."""
        self.show()
        return self.builder.build_serialized_network(self.network, self.config)

    def show(self) -> None:
        """Note the network's tensors."""
        network = self.network
        for kind, count in (("input", network.num_inputs), ("output", network.num_outputs)):
            for index in range(count):
                tensor = getattr(network, f"get_{kind}")(index)
                self.look(tensor, "name", "dtype", "shape")

    # -- ONNX --------------------------------------------------------------------------------------

    def parser(self) -> Any:
        """An ONNX parser; kept, because it owns the weights that it has read."""
        it = self.keep(self.trt.OnnxParser(plain(self.network), self._workshop.logger))
        return Recorded(it, "parser", self.record)

    def parse(self, model: Any, *, path: str | None = None) -> Any:
        """The parser; its problems are noted."""
        parser = self.parser()
        data = model if isinstance(model, bytes) else model.SerializeToString()
        if path is None:
            parser.parse(data)
        else:
            parser.parse(data, path)
        for index in range(min(parser.num_errors, 2)):
            problem = parser.get_error(index)
            problem.code()
            problem.node()
            problem.node_operator()
        return parser


def node(operator: str, inputs: str = "x", outputs: str = "y", **attributes: Any) -> Any:
    """`inputs` and `outputs` by name, with spaces between."""
    return helper.make_node(
        operator, inputs.split(), outputs.split(), name=f"make_{outputs}", **attributes
    )


def value(name: str, shape: Any = ("N", 4), dtype: str = "FLOAT") -> Any:
    """An input or output of a graph."""
    return helper.make_tensor_value_info(name, getattr(TensorProto, dtype), shape)


def model(
    *nodes: Any,
    inputs: Any = None,
    outputs: Any = None,
    weights: Mapping[str, Any] | None = None,
    opset: int = 17,
    name: str = "graph",
) -> Any:
    """An ONNX model; x[N, 4] -> y[N, 4] by default."""
    graph = helper.make_graph(
        nodes,
        name,
        [value("x")] if inputs is None else inputs,
        [value("y")] if outputs is None else outputs,
        [numpy_helper.from_array(array, key) for key, array in (weights or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
