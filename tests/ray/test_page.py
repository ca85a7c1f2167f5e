"""The code in docs/ray.md runs on a cluster."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anyio.from_thread import BlockingPortal

from tests.documents.running import python_blocks, run_block, write_identity

X = np.ones(4, np.float32)
MODELS = ("digits", "resnet50", "a", "b", "c")


@pytest.fixture
def names(portal: BlockingPortal, cluster: None) -> Iterator[dict[str, Any]]:
    """What the page takes for granted; its application, which has no name, is gone at the end."""
    from ray import serve
    from ray.serve.config import gRPCOptions

    from trtasync.integrations.ray_serve import Replica, multiplexed

    yield {"x": X, "Replica": Replica, "multiplexed": multiplexed, "gRPCOptions": gRPCOptions}
    portal.call(partial(serve.delete, "default", _blocking=False))


def test_its_code_runs(names: dict[str, Any], portal: BlockingPortal, tmp_path: Path) -> None:
    for name in MODELS:
        write_identity(tmp_path / f"{name}.onnx", ["N", 4])
    answers = 0
    for block in python_blocks("docs/ray.md"):
        portal.call(run_block, _with_paths(block, tmp_path), names)
        if "y" in names:
            np.testing.assert_array_equal(names.pop("y"), X)
            answers += 1
    assert answers == 2


def _with_paths(block: str, folder: Path) -> str:
    """Models by whole paths, as replicas are elsewhere; the cluster is there already."""
    for name in MODELS:
        block = block.replace(f'"{name}.onnx"', f'"{folder / name}.onnx"')
    return block.replace("ray.init()\n", "")
