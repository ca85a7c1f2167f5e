"""The classic walk-through as far as the plan, on NVIDIA's own builder."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from examples import identity_network
from tests.documents.running import python_blocks, run_block, write_identity
from tests.genuine import library
from tests.genuine.machines import machine_with

pytestmark = pytest.mark.genuine_builder

PAGE = "docs/tensorrt-flow.md"
BUILDING = (
    *("Logger", "Builder", "Network", "Builder config", "Profiles", "Plan"),
    *("Precision", "Progress and cancellation"),
)
"""Sections of the page that end with a plan, or before."""

PLAN_OF_RTX = b"vtrt"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, where plans are kept as well."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRTASYNC_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def quiet() -> Iterator[None]:
    """The page sets a logger's level."""
    logger = logging.getLogger("trtasync.tensorrt")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.mark.usefixtures("quiet")
def test_every_block_of_the_build_runs(elsewhere: Path) -> None:
    write_identity(elsewhere / "model.onnx", ["N", "H", "W"])
    first, *_ = python_blocks(PAGE, [""])
    blocks = [first, *python_blocks(PAGE, BUILDING)]
    assert len(blocks) == 10
    names: dict[str, object] = {}

    async def walk() -> None:
        for block in blocks:
            await run_block(block, names)

    with machine_with(library.PACKAGE):
        anyio.run(walk)
    for plan in (names["blob"], (elsewhere / "model.plan").read_bytes()):
        assert bytes(plan).startswith(PLAN_OF_RTX)  # type: ignore[call-overload]  # a buffer
    assert (elsewhere / "again.plan").read_bytes().startswith(PLAN_OF_RTX)
    kept = list((elsewhere / "cache").rglob("*.plan"))
    assert len(kept) == 2  # of the first block, and in half precision


def test_the_identity_network_is_built_without_a_gpu_by_both_halves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--plan", str(tmp_path / "identity.plan"), "--compute-capability", "8.9"]
    with library.installed():
        assert identity_network.main(arguments) == 0
    version = re.escape(library.VERSION)
    assert re.fullmatch(
        rf"for compute capability 8\.9, by TensorRT for RTX {version}:\n"
        r"identity\.plan: \d+ bytes, a plan: True\n"
        r"identity-plain\.plan: \d+ bytes, a plan: True\n",
        capsys.readouterr().out,
    )
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sorted(sizes) == ["identity-plain.plan", "identity.plan"]
    assert all(size > 10_000 for size in sizes.values())


def test_the_file_of_the_identity_network_is_loaded_and_not_built_again(tmp_path: Path) -> None:
    """As far as a GPU is needed: the library refuses this one, and says why."""
    path = tmp_path / "identity.plan"
    with machine_with(library.PACKAGE) as gpu:
        anyio.run(identity_network.our_plan, path)
        whole = path.read_bytes()
        with pytest.raises(Exception, match="cannot read") as caught:
            anyio.run(identity_network.ours, path)
        assert type(caught.value).__name__ in ("PlanRefused", "BackendUnavailable")
        assert gpu.builds.started == 1
    assert path.read_bytes() == whole
