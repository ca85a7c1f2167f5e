"""What is written: never in an input's place, and whole or not at all."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.cli.support import refused, run
from tests.genuine.machines import Machine
from tests.opening.crowded import no_more_files
from tests.plans.support import GATHER, contents, matrix, write_matmul
from trtasync import InvalidInput
from trtasync.cli.outputs import check_outputs, deliver
from trtasync.measure import Recorder
from trtasync.measure.plot import save
from trtasync.system.atomic_files import written_whole

SHORT = ["--seconds", "0.01", "--warm-up", "0", "--rounds", "1", "--backend", "onnxruntime"]

COMMANDS = {
    "bench": ["bench", *SHORT],
    "tune": ["tune", "--minutes", "0.001", "--backend", "onnxruntime"],
    "inspect": ["inspect"],
    "check": ["check", "--seconds", "0.1", "--backend", "onnxruntime"],
    "build": ["build"],
}
OUTPUTS = {
    "bench": ["--json", "--plot", "--trace"],
    "tune": ["--json", "--plot", "--state"],
    "inspect": ["--json"],
    "check": ["--json"],
    "build": ["--json", "--output"],
}
EVERY = [(command, output) for command, outputs in OUTPUTS.items() for output in outputs]

Files = dict[str, Path]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A model, the file of its weights, samples."""
    model = write_matmul(tmp_path / "m.onnx", matrix(), external="m.weights")
    np.savez(tmp_path / "samples.npz", x=matrix(1, 3, 4))
    return {
        "model": model,
        "weights": tmp_path / "m.weights",
        "samples": tmp_path / "samples.npz",
    }


def _itself(path: Path) -> Path:
    return path


def _another_spelling(path: Path) -> Path:
    return path.parent / ".." / path.parent.name / path.name


def _link(path: Path) -> Path:
    link = path.with_name("link.png")
    link.symlink_to(path)
    return link


def _hard_link(path: Path) -> Path:
    link = path.with_name("hard.png")
    os.link(path, link)
    return link


@pytest.mark.parametrize(("command", "output"), EVERY)
@pytest.mark.parametrize("name", [_itself, _link, _hard_link])
@pytest.mark.parametrize("which", ["model", "weights"])
def test_no_output_of_any_command_replaces_the_model(
    machine: Machine,
    files: Files,
    command: str,
    output: str,
    which: str,
    name: Callable[[Path], Path],
) -> None:
    before = contents(files["model"].parent)
    path = name(files[which])
    line = refused(2, *COMMANDS[command], files["model"], output, path)
    assert "would be overwritten" in line
    assert str(files[which]) in line
    after = contents(files["model"].parent)
    assert {name: after[name] for name in before} == before
    assert machine.builds.started == 0


@pytest.mark.parametrize("command", ["bench", "tune", "check", "build"])
def test_nor_the_samples(machine: Machine, files: Files, command: str) -> None:
    before = files["samples"].read_bytes()
    samples = ["--samples", files["samples"]]
    line = refused(2, *COMMANDS[command], files["model"], *samples, "--json", files["samples"])
    assert "is an input" in line
    assert files["samples"].read_bytes() == before


def test_nor_a_plan_that_is_checked_nor_kept_measurements(machine: Machine, files: Files) -> None:
    plan = files["model"].with_name("m.plan")
    run("build", files["model"], "--output", plan)
    before = plan.read_bytes()
    refused(2, "check", files["model"], "--plan", plan, "--json", plan)
    refused(2, "inspect", plan, "--json", plan)
    assert plan.read_bytes() == before
    state = files["model"].with_name("state.jsonl")
    state.write_bytes(b"")
    refused(2, *COMMANDS["tune"], files["model"], "--state", state, "--json", state)
    samples = ["--samples", files["samples"], "--state", files["samples"]]
    assert "is an input" in refused(2, *COMMANDS["tune"], files["model"], *samples)


def test_nor_the_module_of_a_network_function(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / f"networks_{tmp_path.name}.py"
    module.write_text("def define(network):\n    raise RuntimeError\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    line = refused(
        2, "build", f"{module.stem}:define", "--cache-key", "k", "--json", module.with_suffix(".py")
    )
    assert "is an input" in line
    assert "define" in module.read_text()


def test_two_outputs_are_two_files(tmp_path: Path) -> None:
    one = tmp_path / "out.png"
    with pytest.raises(InvalidInput, match="are the same file"):
        check_outputs(None, str(one), _another_spelling(one))
    check_outputs(None, str(one), tmp_path / "other.png")


def test_build_refuses_weights_as_its_output_too(machine: Machine, files: Files) -> None:
    """Not only on the command line."""
    import anyio

    from trtasync import BuildError, build_plan

    async def main() -> None:
        await build_plan(files["model"], output=files["weights"])

    before = files["weights"].read_bytes()
    with pytest.raises(BuildError, match="is the model itself"):
        anyio.run(main)
    assert files["weights"].read_bytes() == before


# -- whole or not there ---------------------------------------------------------------------------


class Fails(Exception):
    """In the middle of writing."""


def test_what_fails_half_way_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"before")

    def half() -> None:
        with written_whole(path) as file:
            file.write(b"half")
            raise Fails

    with pytest.raises(Fails):
        half()
    assert contents(tmp_path) == {"out": b"before"}


@pytest.mark.parametrize("kind", ["json", "plot", "trace"])
def test_every_output_is_written_whole(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"before")
    figure = Figure()
    write: dict[str, Callable[[], object]] = {
        "json": lambda: deliver("{}", str(path), lambda console: None),
        "plot": lambda: save(figure, path),
        "trace": lambda: Recorder().write(path),
    }

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises((OSError, InvalidInput), match=r"out\.png.*No space|No space.*out\.png"):
            write[kind]()
    assert contents(tmp_path) == {"out.png": b"before"}
    write[kind]()
    assert [*contents(tmp_path)] == ["out.png"]
    assert path.read_bytes() != b"before"


def test_a_file_keeps_its_mode_and_a_link_is_written_where_it_leads(tmp_path: Path) -> None:
    path, link = tmp_path / "out.json", tmp_path / "link.json"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    run("inspect", GATHER, "--json", link)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert json.loads(path.read_text())["nodes"] == 1


def test_what_is_no_plain_file_is_written_to_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with written_whole(pipe) as file:
            file.write(b"through")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives away")
def test_a_link_or_a_mode_of_another_user_s_is_not_gone_by(tmp_path: Path) -> None:
    path, link = tmp_path / "out.json", tmp_path / "link.json"
    path.write_text("theirs")
    path.chmod(0o6777)
    os.chown(path, 65534, 65534)
    link.symlink_to(path)
    os.chown(link, 65534, 65534, follow_symlinks=False)
    with pytest.raises(PermissionError, match="another user"), written_whole(link) as file:
        file.write(b"ours")
    assert path.read_text() == "theirs"
    with written_whole(path) as file:
        file.write(b"ours")
    assert path.read_text() == "ours"
    assert path.stat().st_mode & 0o6002 == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_a_full_disk_is_named_by_the_file_that_was_asked_for() -> None:
    with (
        pytest.raises(OSError, match="No space left") as caught,
        written_whole(Path("/dev/full")) as file,
    ):
        file.write(b"more than fits")
    assert caught.value.filename == "/dev/full"


def test_without_descriptors_an_output_is_refused_and_what_is_known_is_shown(
    tmp_path: Path,
) -> None:
    shown: list[object] = []
    with (
        no_more_files(),
        pytest.raises(InvalidInput, match=r"cannot write .*out\.json: Too many open files"),
    ):
        deliver("{}", str(tmp_path / "out.json"), shown.append)
    assert len(shown) == 1
    assert contents(tmp_path) == {}


def test_a_disk_that_fills_up_leaves_what_was_there(tmp_path: Path) -> None:
    """As large as files may be: the same to a writer as a disk that is full."""
    program = """
import resource, signal, sys
from pathlib import Path
from trtasync.system.atomic_files import written_whole

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    with written_whole(Path(sys.argv[1])) as file:
        file.write(bytes(1 << 20))
except OSError as error:
    print(error.filename)
"""
    report = tmp_path / "report.json"
    report.write_text("what was there")
    done = subprocess.run(
        [sys.executable, "-c", program, str(report)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(report)
    assert report.read_text() == "what was there"
    assert os.listdir(tmp_path) == ["report.json"]


def test_an_own_copy_of_the_model_may_be_written_over(tmp_path: Path, files: Files) -> None:
    copy = tmp_path / "copy.json"
    shutil.copy(files["model"], copy)
    run("inspect", files["model"], "--json", copy)
    assert json.loads(copy.read_text())["file"] == str(files["model"])
