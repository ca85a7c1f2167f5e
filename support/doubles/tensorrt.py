"""A double of `tensorrt` 11.4, with the surface that the product uses and its real rules.

Misuse returns False or None and logs, as the genuine bindings do; `tests/conformance` holds the
names and parameters against them. Whatever begins with an underscore is for tests. It does not
depend on the double of CUDA: benchmarks give it kernels for a real GPU. `tensorrt10` is 10.16.
"""

from support.doubles import trt_context as _context
from support.doubles.trt_builder import Builder as Builder
from support.doubles.trt_common import *  # noqa: F403 - what 10.16 has too
from support.doubles.trt_config import IBuilderConfig as IBuilderConfig
from support.doubles.trt_engine import ICudaEngine as ICudaEngine
from support.doubles.trt_engine import Runtime as Runtime
from support.doubles.trt_enums import BuilderFlag as BuilderFlag
from support.doubles.trt_enums import NetworkDefinitionCreationFlag as NetworkDefinitionCreationFlag
from support.doubles.trt_enums import TacticSource as TacticSource
from support.doubles.trt_network import INetworkDefinition as INetworkDefinition
from support.doubles.trt_tensors import ITensor as ITensor

__version__ = "11.4.0.106"

_calls, _violations = _context.calls, _context.violations
