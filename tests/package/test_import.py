"""What `import trtasync` pulls in, and that AnyIO and numpy are enough."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

HEAVY = ("tensorrt", "tensorrt_bindings", "cuda", "onnxruntime", "onnx", "trio", "uvloop")

LOADED = f"""
import sys
import trtasync, trtasync.testing
print(sorted({{name.split(".")[0] for name in sys.modules}} & set({HEAVY!r})))
"""

ALONE = f"""
import sys
for name in {(*HEAVY, "ml_dtypes", "hypothesis", "pytest", "rich", "fastapi")!r}:
    sys.modules[name] = None  # importing it raises ImportError

import anyio
import numpy as np
import trtasync

x = trtasync.TensorSpec("x", np.dtype("float32"), ("N", 3))

async def main():
    backend = trtasync.FunctionBackend(np.negative, inputs=[x], outputs=[x])
    async with trtasync.open_engine(backend) as engine:
        print((await engine.infer(np.arange(3, dtype=np.float32))).tolist())
    try:
        async with trtasync.open_engine({str(ROOT / "examples/models/gather.onnx")!r}):
            pass
    except trtasync.BackendUnavailable as error:
        print("trtasync[cpu]" in str(error))

anyio.run(main)
"""


def run(program: str) -> str:
    """What a fresh interpreter prints; warnings are errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_import_pulls_in_no_runtime_and_no_second_loop() -> None:
    assert run(LOADED).strip() == "[]"


def test_anyio_and_numpy_are_enough() -> None:
    assert run(ALONE).splitlines() == ["[-0.0, -1.0, -2.0]", "True"]
