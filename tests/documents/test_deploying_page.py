"""The code in docs/deploying.md runs: an engine in another process, and one that a service runs."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio
import numpy as np
import pytest

import trtasync
from support.helpers import until
from tests.documents.running import python_blocks, run_block, write_identity
from tests.shared.processes import sockets, wait_for
from trtasync.shared.places import VARIABLE

X = np.ones(4, np.float32)


@pytest.fixture
def sockets_folder(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where sockets are, for their paths have to be short; no process is left that listens."""
    write_identity(elsewhere / "model.onnx", ["N", 4])
    with tempfile.TemporaryDirectory(prefix="trtasync-") as made:
        monkeypatch.setenv(VARIABLE, made)
        yield Path(made)
        wait_for(lambda: not sockets(Path(made)))


@pytest.mark.anyio
async def test_its_code_runs(sockets_folder: Path) -> None:
    shared, joining, serving = python_blocks("docs/deploying.md")
    names: dict[str, object] = {"trtasync": trtasync, "x": X}
    brief = shared.replace("shared=True", "shared=True, linger=0")
    assert brief != shared
    await run_block(brief, names)
    np.testing.assert_array_equal(names.pop("y"), X)

    socket, stop = sockets_folder / "engine.sock", anyio.Event()
    served = serving.replace("/run/app/engine.sock", str(socket))
    joined = joining.replace("/run/trtasync/host.sock", str(socket)).replace("resnet50", "model")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_block, served, {"trtasync": trtasync, "stop": stop})
        await until(socket.exists)
        await run_block(joined, names)
        stop.set()
    np.testing.assert_array_equal(names["y"], X)
