"""The genuine lean runtime refuses what is no plan, in its own words, and stays alive."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from support.gpu.plans import rows_plan
from tests.gpu.lean_child import MODULES

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(180),
    pytest.mark.usefixtures("gpu"),
    pytest.mark.skipif(
        not any(find_spec(name) for name in MODULES),
        reason="the lean runtime of TensorRT is not installed (tensorrt_lean_cu13_libs, "
        "tensorrt_lean_cu13_bindings)",
    ),
]

MAGIC = b"ftrt"
"""What a serialized engine begins with."""


def _noise(size: int) -> bytes:
    return random.Random(9).randbytes(size)


def _header(fields: int) -> bytes:
    return MAGIC + b"".join(number.to_bytes(4, "little") for number in range(fields))


def _nothing_enqueued(context: Any, stream: int) -> bool:
    return True


def _the_doubles_plan() -> bytes:
    return rows_plan(_nothing_enqueued)


BAD_PLANS: dict[str, Callable[[], bytes]] = {
    "noise": lambda: _noise(100_000),
    "short noise": lambda: _noise(3),
    "one byte": lambda: b"\0",
    "zeros": lambda: bytes(100_000),
    "magic alone": lambda: MAGIC,
    "magic and zeros": lambda: MAGIC + bytes(10_000),
    "magic and noise": lambda: MAGIC + _noise(100_000),
    "header and noise": lambda: _header(8) + _noise(100_000),
    "text": lambda: b"this is not a plan\n" * 1000,
    "an onnx file": lambda: (ROOT / "examples/models/gather.onnx").read_bytes(),
    "the double's plan": _the_doubles_plan,
}


def _open_in_a_process(plan: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpu.lean_child", str(plan)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", BAD_PLANS)
def test_a_bad_plan_is_refused_in_tensorrts_words(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    plan = tmp_path / "bad.plan"
    plan.write_bytes(BAD_PLANS[name]())
    found = _open_in_a_process(plan)
    assert found["health"] == ""
    for refusal in found["refusals"]:
        assert refusal["kind"] == "PlanRefused", refusal
        assert "bad.plan" in refusal["words"]
        assert found["version"] in refusal["words"]
        assert "TensorRT gave no reason" not in refusal["words"], refusal
    record_property("words", found["refusals"][0]["words"])


def test_the_lean_runtime_inspects_and_says_that_it_cannot_build(tmp_path: Path) -> None:
    plan = tmp_path / "bad.plan"
    plan.write_bytes(MAGIC + _noise(100_000))
    found = _open_in_a_process(plan)
    assert found["inspection"]["kind"] == "PlanRefused"
    assert "TensorRT gave no reason" not in found["inspection"]["words"]
    assert found["build"]["kind"] == "BackendUnavailable"
    assert "only runs plans" in found["build"]["words"]
    assert [path.name for path in tmp_path.iterdir()] == ["bad.plan"]
    assert found["health"] == ""


def test_an_empty_file(tmp_path: Path) -> None:
    """Cannot even be mapped; TensorRT is not asked."""
    plan = tmp_path / "bad.plan"
    plan.write_bytes(b"")
    found = _open_in_a_process(plan)
    assert found["health"] == ""
    assert [refusal["kind"] for refusal in found["refusals"]] == ["PlanError"] * 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    found = _open_in_a_process(tmp_path / "none.plan")
    assert [refusal["kind"] for refusal in found["refusals"]] == ["PlanError"] * 2
    assert found["health"] == ""
