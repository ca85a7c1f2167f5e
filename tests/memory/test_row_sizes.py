"""Rows and outputs of absurd size are refused before memory is asked for."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from support.helpers import same, tensor
from support.onnx_models import FLOAT, node, value, write_model
from trtasync import InvalidInput, Pad, PlanError, open_engine
from trtasync.system.free_memory import free_memory
from trtasync.testing import ScriptedBackend

pytestmark = pytest.mark.anyio


def backend() -> ScriptedBackend:
    return ScriptedBackend(inputs=[tensor("x", "N", "n")], outputs=[tensor("y", "N", "n")])


async def test_a_row_that_is_too_large() -> None:
    async with open_engine(backend(), max_row_bytes=400) as engine:
        largest = np.ones((3, 100), np.float32)
        assert same(await engine.infer(largest), largest)
        with pytest.raises(InvalidInput, match=r"404 bytes exceeds max_row_bytes=400") as caught:
            await engine.infer(np.ones((1, 101), np.float32))
        error = pickle.loads(pickle.dumps(caught.value))
        assert (error.name, error.expected, error.got) == ("x", 400, 404)


async def test_it_counts_as_it_is_padded() -> None:
    padding = {"x": Pad(axis=1, sizes=(64, 128))}
    async with open_engine(backend(), max_row_bytes=300, padding=padding) as engine:
        await engine.infer(np.ones(50, np.float32))
        with pytest.raises(InvalidInput, match="512 bytes"):
            await engine.infer(np.ones(70, np.float32))


async def test_the_default_leaves_half_of_the_free_memory() -> None:
    """An array without memory of its own: one number, looked at many times."""
    free = free_memory()
    assert free is not None
    async with open_engine(backend(), max_batch_size=8) as engine:
        for length, fits in ((free // 4, False), (1000, True)):
            line = np.broadcast_to(np.float32(1), (length,))
            if fits:
                await engine.infer(line)
            else:
                with pytest.raises(InvalidInput, match="max_row_bytes"):
                    await engine.infer(line)


async def test_outputs_of_absurd_declared_size(tmp_path: Path) -> None:
    """They would lie in the slot."""
    wide = 10**12
    x, y = value("x", FLOAT, ["N", "n"]), value("y", FLOAT, ["N", wide])
    path = write_model(tmp_path / "liar.onnx", [node("Identity", ["x"], ["y"])], [x], [y])
    with pytest.raises(PlanError, match=f"declares outputs of {8 * 4 * wide} bytes"):
        await open_engine(path, backend="onnxruntime", batching=True)


@pytest.mark.parametrize("value", [0, -1, True, 1.5])
def test_a_size_that_makes_no_sense(value: int) -> None:
    with pytest.raises(InvalidInput, match="max_row_bytes"):
        open_engine(backend(), max_row_bytes=value)


def test_what_a_control_group_leaves(tmp_path: Path) -> None:
    """Of a small container on a large machine; caches are as good as free."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:  8000 kB\n")
    assert free_memory(tmp_path) == 8000 * 1024
    (tmp_path / "proc/self/cgroup").write_text("0::/job\n")
    (tmp_path / "proc/self/mountinfo").write_text("1 2 0:3 / /groups rw - cgroup2 cgroup2 rw\n")
    group = tmp_path / "groups/job"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("700000\n")
    assert free_memory(tmp_path) == 8000 * 1024
    (group / "memory.max").write_text("1000000\n")
    assert free_memory(tmp_path) == 300000
    (group / "memory.stat").write_text("anon 1\ninactive_file 50000\n")
    assert free_memory(tmp_path) == 350000
