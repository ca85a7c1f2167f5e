"""A double of what NVIDIA's driver says of GPUs through NVML, and of `pynvml`, its Python."""

from types import ModuleType, SimpleNamespace
from typing import Any


class NVMLError(Exception):
    """Of the driver."""


class Driver(ModuleType):
    """`pynvml` with two GPUs, of which the second knows nothing of power.

    Attributes:
        users: who have begun and not ended.
        works: False where there is no driver.
    """

    NVMLError = NVMLError

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.users = 0
        self.works = True

    def __getattr__(self, name: str) -> Any:
        def ask(gpu: int) -> int:
            if gpu == 1:
                raise NVMLError("not supported")
            return {"PowerUsage": 250_500, "EnforcedPowerLimit": 700_000}.get(name[13:], 9_000)

        if not name.startswith("nvmlDeviceGet"):
            raise AttributeError(name)
        return ask

    def nvmlInit(self) -> None:  # noqa: N802 - NVML's name
        if not self.works:
            raise NVMLError("driver not loaded")
        self.users += 1

    def nvmlShutdown(self) -> None:  # noqa: N802 - NVML's name
        self.users -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802 - NVML's name
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802 - NVML's name
        return index

    def nvmlDeviceGetUUID(self, gpu: int) -> str:  # noqa: N802 - NVML's name
        return f"GPU-{gpu}"

    def nvmlDeviceGetUtilizationRates(self, gpu: int) -> SimpleNamespace:  # noqa: N802 - NVML's name
        return SimpleNamespace(gpu=25 * (gpu + 1))

    def nvmlDeviceGetMemoryInfo(self, gpu: int) -> SimpleNamespace:  # noqa: N802 - NVML's name
        return SimpleNamespace(used=2**30, total=2**36)
