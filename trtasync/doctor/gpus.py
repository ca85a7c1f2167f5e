"""The GPUs that the kernel's driver knows, without a context on any of them."""

import os
from dataclasses import dataclass
from pathlib import Path

from trtasync.system.free_memory import read_text


@dataclass(frozen=True, slots=True)
class Gpus:
    """What there is.

    Attributes:
        driver: NVIDIA's; "" where none is loaded, or the system does not tell.
        models: a name for each GPU.
        visible: CUDA_VISIBLE_DEVICES; None where it is not set.
    """

    driver: str
    models: list[str]
    visible: str | None


def gpus(root: Path = Path("/")) -> Gpus:
    """Of this machine, as far as Linux tells; `root` is that of `/proc`."""
    nvidia = root / "proc/driver/nvidia"
    first, _, _ = read_text(nvidia / "version").partition("\n")
    told = [read_text(path) for path in sorted(nvidia.glob("gpus/*/information"))]
    return Gpus(
        driver=" ".join(first.removeprefix("NVRM version:").split()),
        models=[_value(text, "Model") for text in told],
        visible=os.environ.get("CUDA_VISIBLE_DEVICES"),
    )


def _value(text: str, name: str) -> str:
    for line in text.splitlines():
        known, _, value = line.partition(":")
        if known.strip() == name:
            return value.strip()
    return "unknown"
