"""TensorRT plans on CUDA streams."""

from trtasync.backends.tensorrt.backend import TensorRTBackend, TensorRTOptions, load

__all__ = ["TensorRTBackend", "TensorRTOptions", "load"]
