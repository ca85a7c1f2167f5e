"""The genuine TensorRT for RTX on a real GPU: it runs a plan, or refuses this GPU and says so.

H100 and H200 are refused, by NVIDIA's decision. Nobody has run this on a GPU that is not.
"""

from pathlib import Path

import numpy as np
import pytest

from support.helpers import MODELS, same
from tests.genuine.library import installed, is_installed
from trtasync import BackendUnavailable, BuilderConfig, build_plan, open_engine
from trtasync.runtimes.cuda import find_device

pytestmark = [pytest.mark.gpu, pytest.mark.anyio]

GATHER = MODELS / "gather.onnx"
TABLE = np.arange(64, dtype=np.float32).reshape(16, 4)
"""What it looks rows up in."""

SUPPORTED = ("8.0", "8.6", "8.9", "12.0", "12.1")


async def test_a_gpu_runs_a_plan_or_is_refused_with_the_way_out(gpu: None, tmp_path: Path) -> None:
    if not is_installed():
        pytest.skip("TensorRT for RTX is not there; `make test` fetches it")
    device = find_device(0)
    capability = ".".join(map(str, device.capability))
    config = BuilderConfig(compute_capabilities=SUPPORTED)
    with installed():
        plan = await build_plan(GATHER, cache=tmp_path, builder_config=config, max_batch_size=4)
        if capability not in SUPPORTED:
            with pytest.raises(BackendUnavailable) as caught:
                await open_engine(plan)
            told = str(caught.value)
            wanted = (device.name, capability, "8.9, 12.0", "trtasync[cu13]")
            assert [word for word in wanted if word not in told] == []
            return
        for _ in range(2):  # compiled, then taken from beside the plan
            async with open_engine(plan, batching=True) as engine:
                index = np.array([3, 0, 15], np.int64)
                answer = await engine.infer(index)
                assert same(answer, TABLE[index])
        assert list(plan.path.parent.glob("*.kernels"))
