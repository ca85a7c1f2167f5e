"""What is told of GPUs, of a driver that is a double of NVIDIA's NVML."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families

from tests.server.serving import client_of
from trtasync.server.models import Models
from trtasync.server.prometheus.gpus import gpu_families
from trtasync.server.prometheus.route import metrics


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


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Installed."""
    driver = Driver()
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    return driver


def values() -> dict[tuple[str, str], float]:
    """By metric and GPU."""
    return {
        (sample.name, sample.labels["gpu_uuid"]): sample.value
        for family in gpu_families()
        for sample in family.samples
    }


def test_what_the_driver_says(driver: Driver) -> None:
    assert values() == {
        ("nv_gpu_utilization", "GPU-0"): 0.25,
        ("nv_gpu_utilization", "GPU-1"): 0.5,
        ("nv_gpu_memory_total_bytes", "GPU-0"): 2**36,
        ("nv_gpu_memory_total_bytes", "GPU-1"): 2**36,
        ("nv_gpu_memory_used_bytes", "GPU-0"): 2**30,
        ("nv_gpu_memory_used_bytes", "GPU-1"): 2**30,
        ("nv_gpu_power_usage", "GPU-0"): 250.5,
        ("nv_gpu_power_limit", "GPU-0"): 700,
        ("nv_energy_consumption", "GPU-0"): 9,
    }
    assert driver.users == 0


def test_no_driver_and_no_package(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.works = False
    assert gpu_families() == []
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpu_families() == []


@pytest.mark.anyio
@pytest.mark.parametrize("wanted", [True, False])
async def test_it_is_told_with_triton_s_names(driver: Driver, wanted: bool) -> None:
    models = Models()
    route = metrics(models, triton_names=wanted, registry=CollectorRegistry())
    async with client_of(models, routes=[route]) as client:
        text = (await client.get("/metrics")).text
    found = {each.name for each in text_string_to_metric_families(text)}
    assert ("nv_gpu_utilization" in found) is wanted


@pytest.mark.anyio
async def test_large_numbers_are_written_out(driver: Driver) -> None:
    """As perf_analyzer wants them."""
    models = Models()
    registry = CollectorRegistry()
    Gauge("others", "Theirs.", registry=registry).set(2**30)
    route = metrics(models, triton_names=True, registry=registry)
    async with client_of(models, routes=[route]) as client:
        lines = (await client.get("/metrics")).text.splitlines()
    assert 'nv_gpu_memory_used_bytes{gpu_uuid="GPU-1"} 1073741824.000000' in lines
    assert 'nv_gpu_power_usage{gpu_uuid="GPU-0"} 250.5' in lines
    assert "others 1.073741824e+09" in lines
