"""Our lists of TensorRT's names: the runtime side's and the builder's."""

from tests.conformance.protocols import only_some_names
from trtasync.plans import api as build_api
from trtasync.runtimes.tensorrt import api as runtime_api

APIS = (runtime_api, build_api)

GENUINE_NAMES: dict[type[object], str] = {**runtime_api.GENUINE_NAMES, **build_api.GENUINE_NAMES}
"""Where each protocol is found in the genuine module ("" is the module itself)."""

ONLY_SOME = only_some_names(GENUINE_NAMES)
