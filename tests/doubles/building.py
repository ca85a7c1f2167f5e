"""What the tests of the builder's double build with."""

from typing import Any

import numpy as np

from support.doubles import Installed
from support.doubles.kernels import view
from tests.doubles.calling import CUDA, ok

VERSIONS = ("10.16.1.11", "11.4.0.106")
RANGE = ((1, 4), (2, 4), (8, 4))
F32 = np.float32
X = np.arange(12, dtype=F32).reshape(3, 4)


class Kit:
    """A builder with all that belongs to a build.

    Attributes:
        lines: what TensorRT has logged.
    """

    def __init__(self, gpu: Installed, *, strong: bool = True):
        ok(CUDA.cudaSetDevice(0))
        self.gpu, self.trt = gpu, gpu.trt
        self.lines: list[str] = []
        self.logger = self._make_logger()
        self.builder = self.trt.Builder(self.logger)
        flag = self.trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
        self.network = self.builder.create_network(1 << int(flag) if strong else 0)
        self.config = self.builder.create_builder_config()

    def _make_logger(self) -> Any:
        trt, lines = self.trt, self.lines

        class Log(trt.ILogger):  # type: ignore[misc, name-defined]  # known at run time only
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, msg: str) -> None:
                lines.append(f"{severity.name} {msg}")

        return Log()

    def define(self, shape: tuple[int, ...] = (-1, 4)) -> "Kit":
        """y = x + 1."""
        n, trt = self.network, self.trt
        x = n.add_input("x", trt.DataType.FLOAT, shape)
        one = n.add_constant((1, 4), np.ones((1, 4), F32)).get_output(0)
        self.output(n.add_elementwise(x, one, trt.ElementWiseOperation.SUM))
        return self

    def output(self, layer: Any, name: str = "y") -> None:
        tensor = layer.get_output(0)
        tensor.name = name
        self.network.mark_output(tensor)

    def profile(self, *range_: tuple[int, ...], name: str = "x") -> "Kit":
        profile = self.builder.create_optimization_profile()
        profile.set_shape(name, *(range_ or RANGE))
        assert self.config.add_optimization_profile(profile) >= 0
        return self

    def build(self) -> Any:
        return self.builder.build_serialized_network(self.network, self.config)

    def refused(self, *words: str) -> None:
        """The build gives None, and the last line says why."""
        assert self.build() is None
        assert all(word in self.lines[-1] for word in words), self.lines

    def engine(self, plan: Any) -> Any:
        return self.trt.Runtime(self.logger).deserialize_cuda_engine(plan)

    def run(self, plan: Any, **inputs: Any) -> dict[str, Any]:
        """Every output for these inputs."""
        return run(self.gpu, self.engine(plan), inputs)


def memory(size: int) -> int:
    return int(ok(CUDA.cudaMalloc(max(256, size))))


def run(gpu: Installed, engine: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    context = engine.create_execution_context(
        gpu.trt.ExecutionContextAllocationStrategy.USER_MANAGED
    )
    context.set_device_memory(memory(1024), 1024)
    for name, array in inputs.items():
        host = engine.get_tensor_location(name) == gpu.trt.TensorLocation.HOST
        assert host or context.set_input_shape(name, array.shape)
        address = memory(array.nbytes)
        view(address, array.shape, array.dtype)[...] = array
        assert context.set_tensor_address(name, address)
    outputs = [engine.get_tensor_name(i) for i in range(len(inputs), engine.num_io_tensors)]
    assert context.infer_shapes() == []
    for name in outputs:
        assert context.set_tensor_address(name, memory(context.get_max_output_size(name)))
    stream: int = ok(CUDA.cudaStreamCreateWithFlags(1))
    assert context.execute_async_v3(stream)
    ok(CUDA.cudaStreamSynchronize(stream))
    dtypes = {name: engine.get_tensor_dtype(name).name for name in outputs}
    kinds = {"FLOAT": F32, "HALF": np.float16, "INT64": np.int64}
    return {
        name: view(context._addresses[name], context.get_tensor_shape(name), kinds[dtypes[name]])
        for name in outputs
    }
