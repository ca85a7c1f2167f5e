"""The backends, and why one could not be used here."""

from dataclasses import dataclass
from importlib.util import find_spec

from trtasync.errors import BackendUnavailable, TrtasyncError
from trtasync.runtimes.flavours import RTX, TENSORRT, Flavour


@dataclass(frozen=True, slots=True)
class BackendState:
    """One that `backend=` can name.

    Attributes:
        name: as there.
        version: of its library; "" where it is not installed or was not asked.
        missing: what stands between it and a model that runs, each with its remedy; empty if
            nothing does.
    """

    name: str
    version: str
    missing: list[str]


def backends() -> list[BackendState]:
    """All of them, in the order in which they are tried."""
    driver = _driver_problem()
    return [_tensorrt("tensorrt", TENSORRT, driver), _tensorrt("tensorrt-rtx", RTX, driver), _cpu()]


def _cpu() -> BackendState:
    from trtasync.runtimes.onnxruntime.loading import import_runtime

    try:
        return BackendState("onnxruntime", str(import_runtime().__version__), [])
    except BackendUnavailable as error:
        return BackendState("onnxruntime", "", [str(error)])


def _driver_problem() -> str:
    from trtasync.runtimes.cuda import driver_report

    try:
        return driver_report()
    except TrtasyncError as error:  # the device is lost
        return str(error)


def _tensorrt(name: str, flavour: Flavour, driver: str) -> BackendState:
    """Its library is imported only where CUDA answers: without a GPU that can kill the process."""
    if driver:
        found = any(find_spec(module) for module in flavour.modules)
        if not found and not find_spec("cuda"):  # one command brings both
            neither = f"neither {flavour.title} nor cuda-python is installed: {flavour.needs}."
            return BackendState(name, "", [neither])
        missing = [] if found else [f"{flavour.title} is not installed: {flavour.needs}."]
        return BackendState(name, "", [driver, *missing])
    from trtasync.plans.phases import require_builder
    from trtasync.runtimes.cuda import find_device
    from trtasync.runtimes.tensorrt.engines import demand_gpu
    from trtasync.runtimes.tensorrt.library import library

    version = ""
    try:
        lib = library(flavour)
        version = lib.version
        if flavour.is_rtx:
            demand_gpu(find_device(0), lib)
        require_builder(lib)
    except TrtasyncError as error:
        return BackendState(name, version, [str(error)])
    return BackendState(name, version, [])
