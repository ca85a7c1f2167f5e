"""What is told of GPUs, of a driver that is a double of NVIDIA's NVML."""

import sys

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families

from tests.doubles.nvml import Driver
from tests.server.serving import client_of
from trtasync.server.models import Models
from trtasync.server.prometheus.gpus import gpu_families
from trtasync.server.prometheus.route import metrics


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
