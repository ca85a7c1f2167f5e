"""Terminals of all kinds: encodings without line drawing, 80 columns, real ones through a pty."""

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from support.doubles.child import ROOT
from support.onnx_models import FLOAT, node, value, write_model
from tests.cli.pipes import PAIR, QUICK, command, environment, trtasync

STRANGE = "tensor/\N{GREEK SMALL LETTER LAMDA}_\N{LATIN SMALL LETTER E WITH ACUTE}"

NARROW = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "strict ascii": {"PYTHONIOENCODING": "ascii:strict"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "the C locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
WORSE = sorted(NARROW.keys() - {"ascii"})

COMMANDS = {
    "bench": ("bench", PAIR, *QUICK, "-c", "1,4", "--compare"),
    "tune": ("tune", PAIR, *QUICK, "--streams", "1", "--max-batch-size", "2"),
    "inspect": ("inspect", PAIR),
    "check": ("check", PAIR, "--backend", "onnxruntime"),
}


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """A model whose input and file have names that few encodings can say."""
    x, y = (value(name, FLOAT, ["N", 4]) for name in (STRANGE, "y"))
    path = tmp_path / "model_\N{GREEK SMALL LETTER LAMDA}.onnx"
    return write_model(path, [node("Relu", [STRANGE], ["y"])], [x], [y])


@pytest.mark.parametrize(
    ("name", "terminal"),
    [*((name, "ascii") for name in COMMANDS), *(("bench", each) for each in WORSE)],
)
def test_a_terminal_that_cannot_draw_gets_tables_and_files_all_the_same(
    tmp_path: Path, name: str, terminal: str
) -> None:
    out = tmp_path / "out.json"
    done = trtasync(tmp_path, *COMMANDS[name], "--json", out, **NARROW[terminal])
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode("ascii")
    assert "-----" in text
    assert "+" not in text.replace("e+", "")  # rich's own box would be wider
    assert max(map(len, text.splitlines())) <= 80 or name == "tune"  # a call to paste is one line
    assert json.loads(out.read_text())
    if name == "bench":
        assert "####" in text


@pytest.mark.parametrize("settings", NARROW.values(), ids=NARROW)
def test_names_that_the_terminal_cannot_show_are_escaped(
    tmp_path: Path, strange: Path, settings: dict[str, str]
) -> None:
    environ = {**settings, "PYTHONUTF8": settings.get("PYTHONUTF8", "0")}
    done = trtasync(tmp_path, "inspect", strange, **environ)
    assert done.returncode == 0, done.stderr
    assert rb"\u03bb" in done.stdout or rb"\udcce\udcbb" in done.stdout
    done = trtasync(tmp_path, "bench", strange, *QUICK, "--shape", f"{STRANGE}:x", **environ)
    assert done.returncode == 2
    assert done.stderr.startswith(b"trtasync: ")
    assert done.stderr.count(b"\n") == 1


def test_a_terminal_that_can_draw_gets_lines_and_bars(tmp_path: Path, strange: Path) -> None:
    bench = ("bench", strange, *QUICK, "-c", "1")
    done = trtasync(tmp_path, *bench, PYTHONIOENCODING="utf-8")
    text = done.stdout.decode()
    assert "\N{BOX DRAWINGS LIGHT HORIZONTAL}" * 5 in text
    assert "\N{LOWER SEVEN EIGHTHS BLOCK}" * 5 in text
    done = trtasync(tmp_path, "inspect", strange, PYTHONIOENCODING="utf-8")
    assert STRANGE in done.stdout.decode()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("name", ["bench", "tune"])
def test_progress_is_drawn_in_the_terminal_s_own_characters(
    tmp_path: Path, name: str, encoding: str
) -> None:
    leader, follower = pty.openpty()
    settings = {"PYTHONIOENCODING": f"{encoding}:strict", "TERM": "xterm", "COLUMNS": "80"}
    child = subprocess.Popen(
        command(*COMMANDS[name], "--json", tmp_path / "out.json"),
        cwd=ROOT,
        env=environment(tmp_path) | settings,
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    try:
        screen = _read(leader).decode(encoding)
        assert child.wait(timeout=120) == 0, screen
    finally:
        child.kill()
        os.close(leader)
    assert json.loads((tmp_path / "out.json").read_text())
    assert {"bench": "1 caller", "tune": "exploring"}[name] in screen
    assert screen.isascii() == (encoding != "utf-8")


def _read(leader: int) -> bytes:
    """All that a child writes to its terminal until it ends."""
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # Linux: the last writer has gone
            part = b""
        if not part:
            return b"".join(parts)
        parts.append(part)


def test_help_needs_no_more_than_ascii(tmp_path: Path) -> None:
    for name in ("build", "inspect", "bench", "tune", "check"):
        done = trtasync(tmp_path, name, "--help", PYTHONIOENCODING="ascii:strict")
        assert done.returncode == 0, done.stderr
        assert b"--json" in done.stdout
        assert rb"\u" not in done.stdout
