"""What NVIDIA's driver says of the machine's GPUs, under Triton's names.

`nv_gpu_utilization` is the part of the time in which anything ran, of whatever process; the time
that an engine computed is in `trtasync_stream_compute_seconds_total`.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from prometheus_client.core import Metric

_METRICS: dict[str, tuple[str, Callable[[Any, Any], float]]] = {
    "nv_gpu_utilization": (
        "Part of the time in which it computed, 0 to 1.",
        lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu / 100,
    ),
    "nv_gpu_memory_total_bytes": (
        "Its memory.",
        lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).total,
    ),
    "nv_gpu_memory_used_bytes": (
        "Its memory in use.",
        lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used,
    ),
    "nv_gpu_power_usage": (
        "Watts it takes.",
        lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
    ),
    "nv_gpu_power_limit": (
        "Watts it may take.",
        lambda nvml, gpu: nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1000,
    ),
    "nv_energy_consumption": (
        "Joules it took since the driver was loaded.",
        lambda nvml, gpu: nvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1000,
    ),
}


def gpu_families() -> list[Metric]:
    """Metrics of all GPUs of this machine; none without a driver, or without `nvidia-ml-py`.

    Asking the driver may take milliseconds.
    """
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return [_family(name, pynvml) for name in _METRICS]
    finally:
        pynvml.nvmlShutdown()


def _family(name: str, nvml: Any) -> Metric:
    text, read = _METRICS[name]
    family = Metric(name, text, "unknown")
    for gpu in _gpus(nvml):
        with suppress(nvml.NVMLError):  # not every GPU knows everything
            family.add_sample(name, {"gpu_uuid": nvml.nvmlDeviceGetUUID(gpu)}, read(nvml, gpu))
    return family


def _gpus(nvml: Any) -> Iterator[Any]:
    for index in range(nvml.nvmlDeviceGetCount()):
        yield nvml.nvmlDeviceGetHandleByIndex(index)
