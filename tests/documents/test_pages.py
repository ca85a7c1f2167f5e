"""The code in the README and in docs/tensorrt-flow.md runs."""

import logging
from pathlib import Path

import numpy as np
import pytest

import trtasync
from support import doubles
from tests.documents.running import python_blocks, run, run_block, write_identity

VERSIONS = ["11.4.0.106", "10.16.1.11"]


def test_code_in_the_readme_runs(tmp_path: Path) -> None:
    blocks = [block for block in python_blocks("README.md") if "import trtasync" in block]
    assert len(blocks) == 2
    for index, block in enumerate(blocks):
        script = tmp_path / f"block_{index}.py"
        script.write_text(block)
        assert "same" in run(str(script))


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, where plans are kept as well."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRTASYNC_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.anyio
async def test_the_readmes_way_to_a_plan_runs_on_the_doubles(elsewhere: Path) -> None:
    (block,) = [block for block in python_blocks("README.md") if "import" not in block]
    write_identity(elsewhere / "model.onnx", ["N", 3, 224, 224])
    with doubles.install():
        await run_block(block, {"trtasync": trtasync})


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.anyio
async def test_the_walk_through_runs_on_the_doubles(elsewhere: Path, version: str) -> None:
    write_identity(elsewhere / "model.onnx", ["N", "H", "W"])
    names: dict[str, object] = {}
    level = logging.getLogger("trtasync.tensorrt").level
    with doubles.install(version=version) as gpu:
        gpu.builds.static_contexts = True  # those that are made by hand
        try:
            for block in python_blocks("docs/tensorrt-flow.md"):
                await run_block(block, names)
        finally:
            logging.getLogger("trtasync.tensorrt").setLevel(level)
    np.testing.assert_array_equal(names["y"], names["x"])
    assert (elsewhere / "model.plan").is_file()
    assert (elsewhere / "again.plan").is_file()
