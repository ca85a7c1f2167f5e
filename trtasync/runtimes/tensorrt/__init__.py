"""TensorRT plans on CUDA streams."""

from trtasync.runtimes.tensorrt.backend import TensorRTBackend, TensorRTOptions, load

__all__ = ["TensorRTBackend", "TensorRTOptions", "load"]
