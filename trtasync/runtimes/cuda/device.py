"""A GPU, found before anything is created on it."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from trtasync.errors import BackendUnavailable, InvalidInput
from trtasync.runtimes.cuda.calls import STICKY, UNKNOWN, failure, runtime
from trtasync.runtimes.cuda.fast import FastCalls, fast_calls

log: logging.Logger = logging.getLogger("trtasync")

DRIVER_FLOORS = {13: "R580", 12: "R535"}
"""By CUDA's major version (NVIDIA's pip prerequisites for TensorRT 10.16 and 11.4)."""


class Device:
    """One GPU through its primary context.

    Attributes:
        index: its CUDA device number.
        name: as the driver calls it, e.g. "NVIDIA H200".
        capability: compute capability, e.g. (9, 0).
        processors: streaming multiprocessors; a MIG part of a GPU has fewer under the same name.
        lost: why it cannot be used again by this process; "" while it can.
        fast: the calls of the hot path, which keep the GIL.
    """

    def __init__(self, index: int, module: Any, alone: bool):
        """For `find_device`, which has checked that the device exists."""
        self.index = index
        self._alone = alone  # then no code in this process can select another one
        self.runtime = module
        self.lost: str = ""
        self._local = threading.local()
        self.enter()
        properties = self.call(module.cudaGetDeviceProperties, index)
        name = properties.name
        self.name: str = name.decode().rstrip("\0") if isinstance(name, bytes) else str(name)
        self.capability: tuple[int, int] = (int(properties.major), int(properties.minor))
        self.processors: int = int(properties.multiProcessorCount)
        self.fast: FastCalls = fast_calls(module, index)
        self.free_bytes()  # a lost device answers all of the above, but not this

    def enter(self) -> None:
        """Make this the calling thread's current device. Do this first in every thread."""
        self.check(int(self.runtime.cudaSetDevice(self.index)[0]), "cudaSetDevice")
        self._local.entered = True

    def enter_again(self) -> None:
        """`enter` as cheaply as possible: almost free with only one device, and keeping the GIL
        with several."""
        if not getattr(self._local, "entered", False):
            self.enter()
        elif not self._alone:
            code = self.fast.enter()
            if code:
                self.check(code, "making the device current")

    def enter_to_free(self) -> None:
        """`enter`, but without an error if the device is lost: there is nothing to free on it."""
        if int(self.runtime.cudaSetDevice(self.index)[0]) in STICKY:
            self.lost = self.lost or "it was lost"

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of the runtime and check its code; returns its other results.

        Raises:
            DeviceLost: a sticky error; the device is marked lost.
            CudaError: any other.
        """
        result = function(*arguments)
        self.check(int(result[0]), function.__name__)
        return result[1] if len(result) == 2 else result[1:]

    def check(self, code: int, what: str) -> None:
        """Raise unless a return code is success."""
        if code:
            error = failure(self.runtime, code, what)
            if code in STICKY:
                self.lost = self.lost or str(error)
            raise error

    def raise_if_lost(self) -> None:
        """Raise DeviceLost if an unrecoverable error is behind a refusal."""
        code = int(self.runtime.cudaPeekAtLastError()[0])
        if code in STICKY:
            self.check(code, "the device's last error")

    def free(self, function: Callable[..., Any], handle: Any) -> None:
        """Free something. On a lost device the driver has already freed it."""
        code = int(function(handle)[0])
        if code and not self.lost and code not in STICKY:
            log.warning("%s", failure(self.runtime, code, function.__name__))

    def free_bytes(self) -> int:
        """Free device memory, in bytes."""
        return int(self.call(self.runtime.cudaMemGetInfo)[0])

    def driver(self) -> str:
        """The CUDA version that the driver supports, e.g. "13.0"."""
        return _dotted(_version(self.runtime.cudaDriverGetVersion()))

    def __repr__(self) -> str:
        return f"<Device {self.index}: {self.name}>"


def find_device(index: Any) -> Device:
    """Find the GPU with this number.

    Raises:
        BackendUnavailable: no cuda-python, no driver, a driver that is too old, no GPU; the message
            says what to install and what was found.
        DeviceLost: it was lost by this process before.
        InvalidInput: there are GPUs, but not this one.
    """
    if not isinstance(index, int) or isinstance(index, bool):
        raise InvalidInput(f"a GPU is given by its number, not by {index!r}.")
    module = runtime()
    problem, count = _survey(module)
    if problem:
        raise BackendUnavailable(problem)
    if not 0 <= index < count:
        raise InvalidInput(f"there is no GPU {index}: this machine has {count}, counted from 0.")
    return Device(index, module, alone=count == 1)


def driver_report() -> str:
    """Say why no device can be used on this machine, or "" if one can. Creates no context.

    Raises:
        DeviceLost: there is one, which this process has lost.
    """
    try:
        return _survey(runtime())[0]
    except BackendUnavailable as error:
        return str(error)


def _survey(module: Any) -> tuple[str, int]:
    """Return (what is wrong, number of devices); neither call creates a context."""
    code, count = module.cudaGetDeviceCount()
    if not int(code) and count:
        return "", int(count)
    if int(code) in STICKY - {UNKNOWN}:
        raise failure(module, int(code), "cudaGetDeviceCount")
    driver = _version(module.cudaDriverGetVersion())
    wanted = _version(module.cudaRuntimeGetVersion())
    floor = DRIVER_FLOORS.get(wanted[0], "a newer one")
    found = f"the driver found speaks CUDA {_dotted(driver)}" if driver[0] else "found no driver"
    reason = code.name if hasattr(code, "name") else code
    return (
        f"the TensorRT backend needs an NVIDIA GPU, and driver {floor} or newer for CUDA "
        f"{_dotted(wanted)}; {found}, and the number of GPUs it gives is {count or 0} ({reason}). "
        "Without a GPU an .onnx file runs on the CPU (backend='auto').",
        0,
    )


def _version(result: tuple[Any, ...]) -> tuple[int, int]:
    number = int(result[1] or 0) if len(result) > 1 else 0
    return number // 1000, number % 1000 // 10


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
