"""The code in docs/tensorrt.md and docs/benchmarking.md runs, on the doubles."""

import io
from typing import Any

import anyio
import numpy as np
import onnx
import pytest

import trtasync
from support import doubles
from tests.documents.running import python_blocks, run_block, write_identity
from tests.tensorrt.devices import Interface

X = np.ones(8, np.float32)

POOLING = """
    <ir_version: 8, opset_import: ["": 17]>
    bert (float[N, T] input_ids, float[N, T] attention_mask) => (float[N, 1] pooled)
    { true = Mul(input_ids, attention_mask)  pooled = ReduceMax <axes = [1], keepdims = 1> (true) }
"""
"""One answer per text, whatever its length and its padding."""


async def make_plans() -> None:
    """Of up to 64 rows, in this folder."""
    write_identity("model.onnx", ["N", 8])
    onnx.save(onnx.parser.parse_model(POOLING), "bert.onnx")
    lengths = "1x1/8x64/64x512"
    for name, profile in (
        ("model", "x:1x8/8x8/64x8"),
        ("bert", f"input_ids:{lengths},attention_mask:{lengths}"),
    ):
        await trtasync.build_plan(f"{name}.onnx", output=f"{name}.plan", profiles=profile)


@pytest.mark.anyio
@pytest.mark.usefixtures("elsewhere")
async def test_the_page_about_tensorrt() -> None:
    sent: list[Any] = []
    names: dict[str, Any] = {"trtasync": trtasync, "x": X, "ids": X, "mask": X}
    names |= {"file": io.BytesIO(X.tobytes()), "send": lambda y: sent.append(y.copy())}
    with doubles.install():
        await make_plans()
        names["cuda_tensor"] = Interface(X)
        first, lending, padding = python_blocks("docs/tensorrt.md")
        await run_block(first, names)
        async with trtasync.open_engine("model.plan") as names["engine"]:
            await run_block(lending, names)
        await run_block(padding, names)
        names["cuda_tensor"].close()
        for memory in ("x", "y", "z"):  # of the GPU, or pinned
            del names[memory]
    np.testing.assert_array_equal(names["w"], X)
    np.testing.assert_array_equal(sent, [X])
    assert names["out"]["pooled"].tolist() == [1]


@pytest.mark.usefixtures("elsewhere")
def test_the_page_about_measuring(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = python_blocks("docs/benchmarking.md")
    quick = block.replace("compare=True", "compare=True, seconds=0.05, warm_up=0.01, rounds=1")
    assert quick != block
    with doubles.install():
        anyio.run(make_plans)
        exec(compile(quick, "block", "exec"), {})
    rate, over_ceiling = map(float, capsys.readouterr().out.split())
    assert rate > 0
    assert over_ceiling > 0
