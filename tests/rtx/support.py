"""A machine on which TensorRT for RTX runs plans, on doubles."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from support import doubles
from support.doubles import models, tensorrt_rtx
from support.doubles.tensorrt_rtx import Made
from trtasync.runtimes.flavours import RTX

ADA: dict[str, Any] = {"gpu": "Double RTX", "capability": (8, 9)}


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
