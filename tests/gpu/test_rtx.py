r"""The genuine TensorRT for RTX on a real GPU: it runs a plan, or refuses this GPU and says so.

H100 and H200 are refused, by NVIDIA's decision. Nobody has run this on a GPU that is not.

`make test` fetches the library. To a GPU machine that reaches no package index its two wheels are
carried, in parts where 96 MB are too much for one transfer. Here, for the Python there:

    version=1.7.1.116
    pip download --no-deps --only-binary=:all: --python-version 3.12 --dest .gl/rtx \
        --platform manylinux_2_28_x86_64 \
        tensorrt-rtx-cu13-libs==$version tensorrt-rtx-cu13-bindings==$version
    split --bytes=48MB .gl/rtx/tensorrt_rtx_cu13_libs-*.whl .gl/rtx-libs.

There, in the folder where the parts and the other wheel have arrived:

    cat rtx-libs.* > tensorrt_rtx_cu13_libs-$version-py3-none-manylinux_2_28_x86_64.whl
    pip install --no-index --no-deps tensorrt_rtx_*.whl \
        --target "$(python3 -c 'import sys; print(sys.prefix)')/tensorrt-rtx-$version"

and then `python3 -m pytest tests/gpu/test_rtx.py`.
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

SUPPORTED = ("7.5", "8.0", "8.6", "8.9", "12.0", "12.1")


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
