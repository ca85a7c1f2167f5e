"""A machine on which TensorRT for RTX runs plans, on doubles, and what is kept there."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from support import doubles
from support.doubles import models, tensorrt_rtx
from support.doubles.tensorrt_rtx import Made
from trtasync import open_engine
from trtasync.runtimes.flavours import RTX

ADA: dict[str, Any] = {"gpu": "Double RTX", "capability": (8, 9)}
VERSION = "1.7.1.116"
"""Of the double."""


@contextmanager
def on_a_machine(**machine: Any) -> Iterator[Made]:
    """TensorRT for RTX beside the double of CUDA."""
    with doubles.install(**machine), patch.dict(sys.modules, {"tensorrt_rtx": tensorrt_rtx}):
        tensorrt_rtx._made = Made()
        yield tensorrt_rtx._made
        tensorrt_rtx._made = Made()


def content(model: models.Model) -> bytes:
    """A plan of it, built by TensorRT for RTX."""
    plan = models.plan(replace(model, version="1.7.1", capability="8.9"))
    return RTX.magic + plan[len(RTX.magic) :]


def write(folder: Path, model: models.Model) -> Path:
    """The same as a file."""
    path = folder / f"{model.name}.plan"
    path.write_bytes(content(model))
    return path


async def opened(model: Path | bytes, made: Made, **options: Any) -> int:
    """How many kernels an opening compiles."""
    before = len(made.configs)
    async with open_engine(model, streams=1, batching=True, batch_sizes=[1, 8], **options):
        (config,) = made.configs[before:]
        cache = config.get_runtime_cache()
        assert cache is not None
        return cache.compiled


def beside(plan: Path) -> list[str]:
    """Files of kernels there."""
    return sorted(path.name for path in plan.parent.glob("*.kernels"))


def in_cache() -> list[Path]:
    """Files of kernels in the cache of the user."""
    return sorted(Path(os.environ["TRTASYNC_CACHE_DIR"], "kernels").glob("*.kernels"))


def told(caplog: pytest.LogCaptureFixture, level: str = "WARNING") -> list[str]:
    """Lines of the log about kernels."""
    lines = [each.getMessage() for each in caplog.records if each.levelname == level]
    return [line for line in lines if "kernels" in line]
