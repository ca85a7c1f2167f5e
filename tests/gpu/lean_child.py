"""`python -m tests.gpu.lean_child PLAN`: the genuine lean runtime is given a plan that is none.

Prints what became of it as JSON. A process of its own: a segmentation fault must show as one.
"""

import asyncio
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import trtasync
from support.gpu.hardware import call, load, malloc, missing, put, runtime
from trtasync.inspection import inspect_plan

MODULES = ("tensorrt_lean", "tensorrt_lean_bindings")
"""The thin package and the bindings alone, which carry everything that is needed."""


def use_lean() -> str:
    """Let the library find the lean runtime and nothing else; returns its version."""
    sys.modules["tensorrt"] = None  # type: ignore[assignment]  # importing it raises ImportError
    for name in MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            sys.stderr.write(f"{name}: {error}\n")
        else:
            sys.modules["tensorrt_lean"] = module
            return str(module.__version__)
    raise ImportError("no lean runtime")


async def refused_build(path: str) -> dict[str, str]:
    """Try to build: the lean runtime cannot."""
    try:
        await trtasync.build_plan(path, output=f"{path}.built", cache=False)
    except Exception as error:
        return {"kind": type(error).__name__, "words": str(error)}
    return {"kind": "built", "words": ""}


def refused_inspection(path: str) -> dict[str, str]:
    """Try to inspect the plan."""
    try:
        inspect_plan(Path(path))
    except Exception as error:
        return {"kind": type(error).__name__, "words": str(error)}
    return {"kind": "inspected", "words": ""}


async def refusal(path: str) -> dict[str, str]:
    """Try to open the plan."""
    try:
        async with trtasync.open_engine(path, backend="tensorrt"):
            return {"kind": "opened", "words": ""}
    except Exception as error:
        return {"kind": type(error).__name__, "words": str(error)}


def health() -> str:
    """ "" when CUDA, and torch where there is torch, still work in this process."""
    array = np.arange(1000, dtype=np.int32)
    back = np.zeros_like(array)
    address = put(array)
    kind = runtime().cudaMemcpyKind.cudaMemcpyDeviceToHost
    call(runtime().cudaMemcpy, back.ctypes.data, address, back.nbytes, kind)
    call(runtime().cudaFree, address)
    call(runtime().cudaFree, malloc(1 << 20))
    if not np.array_equal(array, back):
        return "a copy to the device and back is wrong"
    if not missing("torch") and float(load("torch").ones(1000, device="cuda").sum()) != 1000:
        return "torch cannot count"
    return ""


def main(path: str) -> dict[str, Any]:
    """Twice: the first refusal must not spoil the second."""
    version = use_lean()
    refusals = [asyncio.run(refusal(path)) for _ in range(2)]
    return {
        "version": version,
        "refusals": refusals,
        "build": asyncio.run(refused_build(path)),
        "inspection": refused_inspection(path),
        "health": health(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1])) + "\n")
